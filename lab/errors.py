"""The lab's one exception."""


class LabError(Exception):
    """Something the user can put right: one line that says what is wrong, where, and what to do."""
