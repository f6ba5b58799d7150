"""The one exception that the user is meant to read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class MatteError(Exception):
    """Something the user can fix: one line that says what, which file, and what to do."""


class OutputUnusable(MatteError):
    """The place for the output cannot be written to at all, so going on is pointless."""


def reason_of(error: Exception, name: object) -> str:
    """Say in one line what went wrong with `name`, whether or not it was foreseen."""
    if isinstance(error, MatteError):
        return str(error)
    text = " ".join([f"{type(error).__name__}:", *str(error).split()])
    return f"{name}: {text.removesuffix(':')}"


def nearest(name: str, names: Iterable[str]) -> str:
    """Suggest the right name for a wrong one: "did you mean 'x'?", or all there are."""
    names = list(names)
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean '{close[0]}'?"
    return f"use one of {', '.join(names)}"


def missing(path: Path) -> MatteError:
    """Say that there is no such file or folder, and what there is of nearly that name."""
    names = [beside.name for beside in path.parent.glob("[!.]*")] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1)
    hint = f": did you mean '{path.with_name(close[0])}'?" if close else ""
    return MatteError(f"{path} does not exist{hint}")
