"""The one exception that the user is meant to read."""


class MatteError(Exception):
    """Something the user can mend: one line that says what, which file, and what to do."""
