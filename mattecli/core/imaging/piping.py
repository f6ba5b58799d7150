"""Pictures through standard input."""

from __future__ import annotations

import sys

from mattecli.core.errors import MatteError


def read_standard_input() -> bytes:
    """Read all that comes through standard input.

    Raises
    ------
    MatteError
        If it is closed, or cannot be read.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise MatteError("standard input is closed: pipe a picture into it, or name a file")
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise MatteError(f"cannot read standard input: {error.strerror or error}") from None
