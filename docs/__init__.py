"""The pages, and the program that checks them: `python -m docs.check`."""
