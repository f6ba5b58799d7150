"""The one exception that the user is meant to read."""


class MatteError(Exception):
    """Something the user can mend: the message says what, which file, and what to do, in one line."""
