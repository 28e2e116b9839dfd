"""The verification of a deployed stack against the promises of its config: `python -m verification --help`."""
