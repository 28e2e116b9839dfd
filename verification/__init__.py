"""Proof that a deployed stack does what the mTLS tutorial promises: `python -m verification --help`."""
