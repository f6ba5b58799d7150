"""The one exception that the user is meant to read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path


class MatteError(Exception):
    """Something the user can mend: one line that says what, which file, and what to do."""


def reason_of(error: Exception, name: object) -> str:
    """Say in one line what went wrong with `name`, whether or not it was foreseen."""
    if isinstance(error, MatteError):
        # What came through a pipe has no name to be told by.
        named = str(name) == "-" or str(name) in str(error)
        return str(error) if named else f"{name}: {error}"
    text = " ".join([f"{type(error).__name__}:", *str(error).split()])
    return f"{name}: {text.removesuffix(':')}"


def nearest(name: str, names: Iterable[str]) -> str:
    """Suggest the right name for a wrong one: "did you mean 'x'?", or all there are."""
    names = list(names)
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean '{close[0]}'?"
    return f"use one of {', '.join(names)}"


def address_of(path: Path) -> str | None:
    """Give the address that was taken for a path, which keeps only one of its two slashes."""
    found = _ADDRESS.match(str(path))
    return f"{found[1]}://{found[2]}" if found else None


_ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):/+(.+)")


def missing(path: Path) -> MatteError:
    """Say that there is no such file or folder, and what there is of nearly that name."""
    if text := address_of(path):
        return MatteError(f"{text} is an address, not a file: download it and name the file")
    if path.is_symlink() and not path.exists():
        return MatteError(f"{path} is a link to something that does not exist")
    if path.exists():
        return MatteError(f"{path} is neither a file nor a folder: - reads standard input")
    names = [beside.name for beside in path.parent.glob("[!.]*")] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1)
    hint = f": did you mean '{path.with_name(close[0])}'?" if close else ""
    return MatteError(f"{path} does not exist{hint}")
