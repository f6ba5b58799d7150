"""The one exception that the user is meant to read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MatteError(Exception):
    """Something the user can mend: one line that says what, which file, and what to do."""


def nearest(name: str, names: Iterable[str]) -> str:
    """Suggest the right name for a wrong one: "did you mean 'x'?", or all there are."""
    names = list(names)
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean '{close[0]}'?"
    return f"use one of {', '.join(names)}"
