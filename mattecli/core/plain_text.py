"""Names and messages as they may safely reach a terminal or a log: one line, nothing hidden."""

from __future__ import annotations

import json
from typing import Any

#: Longest message, in characters; of a longer one the middle is left out.
LONGEST = 1000
_KEPT_END = 250


def printable(text: str) -> str:
    r"""Escape all that a terminal would obey or hide, and leave the rest as it is.

    Control characters, line ends, marks that turn the direction of writing and bytes of a name that
    are no UTF-8 become ``\x1b``, ``\n``, ``\u202e`` or ``\xff``. Doing it twice changes nothing.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else escaped(char) for char in text)


def in_one_line(text: str) -> str:
    """Make `printable` of a message, and cut its middle out where it is longer than `LONGEST`."""
    # Escapes take up to ten characters each, so what is left out need not be escaped first.
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - _KEPT_END]} [...] {text[-_KEPT_END:]}"
    text = printable(text)
    if len(text) > 2 * LONGEST:
        text = f"{text[: 2 * LONGEST - _KEPT_END]} [...] {text[-_KEPT_END:]}"
    return text


def cell(text: object) -> str:
    """Give a name as a cell of a rich table, whose markup it is not."""
    from rich.markup import escape

    return escape(printable(str(text)))


def escaped(char: str) -> str:
    """Write a character as Python does; a byte that is no UTF-8 as the byte."""
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


def to_json_line(record: dict[str, Any], *, ascii_only: bool = False) -> str:
    """Write a record as one line of JSON that can be looked at in a terminal, without line end.

    Parameters
    ----------
    record : dict
    ascii_only : bool
        Whether letters outside of ASCII are escaped too, for streams that cannot hold them.
    """
    text = json.dumps(record, ensure_ascii=ascii_only)
    if text.isprintable():
        return text
    # Outside of strings JSON has ASCII only, so what is not printable stands in a string.
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
