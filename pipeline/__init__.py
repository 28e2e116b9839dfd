"""The commands that workflows run in pull requests, after a merge and on a schedule: `python -m pipeline --help`."""
