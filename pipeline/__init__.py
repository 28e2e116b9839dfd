"""The commands that jobs run for pull requests, after a merge and each night: `python -m pipeline --help`."""
