"""Pictures through standard input."""

from __future__ import annotations

import sys

from mattecli.core.errors import MatteError
from mattecli.core.imaging.opening import max_bytes, too_large
from mattecli.core.imaging.pixels import MAX_PIXELS


def read_standard_input(max_pixels: int = MAX_PIXELS) -> bytes:
    """Read a picture that comes through standard input.

    Raises
    ------
    MatteError
        If it is closed, cannot be read, or holds more than a picture of `max_pixels` can need.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise MatteError("standard input is closed: pipe a picture into it, or name a file")
    limit = max_bytes(max_pixels)
    try:
        data = sys.stdin.buffer.read(limit + 1)
    except OSError as error:
        raise MatteError(f"cannot read standard input: {error.strerror or error}") from None
    if len(data) > limit:
        raise too_large("standard input", len(data), max_pixels)
    return data
