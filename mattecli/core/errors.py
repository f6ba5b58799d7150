"""The one exception that the user is meant to read."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from mattecli.core.plain_text import in_one_line, printable

# A scheme of one letter is a drive of Windows.
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+(.+)", re.IGNORECASE | re.DOTALL)


class MatteError(Exception):
    """Something the user can fix: one line that says what, which file, and what to do.

    The line is made printable and kept short (`in_one_line`), wherever it ends up.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(in_one_line(message))


class OutputUnusable(MatteError):
    """The place for the output cannot be written to at all, so going on is pointless."""


def reason_of(error: Exception, name: object) -> str:
    """Say in one line what went wrong with `name`, whether or not it was foreseen."""
    if isinstance(error, MatteError):
        # What came through a pipe has no name to be told by.
        named = str(name) == "-" or printable(str(name)) in str(error)
        return str(error) if named else in_one_line(f"{name}: {error}")
    text = " ".join([f"{type(error).__name__}:", *str(error).split()])
    return in_one_line(f"{name}: {text.removesuffix(':')}")


def suggest(name: str, names: Iterable[str]) -> str:
    """Suggest the right name for a wrong one: "did you mean 'x'?", or all there are."""
    names = list(names)
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean '{close[0]}'?"
    return f"use one of {', '.join(names)}"


def address_of(path: Path) -> str | None:
    """Give the address that was taken for a path, which keeps only one of its two slashes."""
    found = _ADDRESS.fullmatch(str(path))
    return f"{found[1]}://{found[2]}" if found else None


def not_found(path: Path) -> MatteError:
    """Say why there is no such file or folder, and what there is of nearly that name."""
    if "://" in str(path):  # an object, whose store has been asked
        return MatteError(f"{path} does not exist, or nothing is in it")
    if address := address_of(path):
        return MatteError(f"{address} is an address, not a file: download it and name the file")
    if path.is_symlink() and not path.exists():
        return MatteError(f"{path} is a link to {path.readlink()}, which does not exist")
    if path.is_dir():
        return MatteError(f"{path} is a folder, not a file")
    if path.exists():
        return MatteError(f"{path} is neither a file nor a folder: - reads standard input")
    names = [beside.name for beside in path.parent.glob("[!.]*")] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1)
    if not close:
        return MatteError(f"{path} does not exist")
    if _looks(close[0]) == _looks(path.name):
        return MatteError(
            f"{path} does not exist: what is there looks the same, but is spelled {close[0]!a}, "
            f"not {path.name!a}"
        )
    return MatteError(f"{path} does not exist: did you mean '{path.with_name(close[0])}'?")


def _looks(name: str) -> str:
    """Give a name without what nobody sees in it: how letters are composed, spaces around."""
    return unicodedata.normalize("NFC", name).strip()
