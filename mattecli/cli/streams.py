"""Standard streams that take any text, and that may be closed; and the lines that are printed."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from typing import Any

import typer

from mattecli.core.plain_text import escaped, in_one_line

_HANDLER = "matte-plain"
# What stands in for our own signs where a stream knows only ASCII.
_SUBSTITUTES = {"→": "->", "–": "-", "−": "-", "×": "x", "·": "*", "…": "...", "≥": ">=", "²": "2"}
_SUBSTITUTES |= {"α": "alpha", "─": "-", "━": "-", "│": "|", "╭": "+", "╮": "+", "╰": "+", "╯": "+"}


def prepare_streams() -> None:
    """Make standard streams usable whatever the shell and the locale made of them.

    Letters that a stream cannot hold are escaped instead of ending the program. Where standard
    error is closed, what would be printed is dropped. Standard input and output that are closed
    stay so for Python, whose users say so; but no file of ours shall get their numbers, or what a
    library prints would end up in it.
    """
    codecs.register_error(_HANDLER, _substitute)
    _fill_closed_descriptors()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # Of what stands in for a stream not everything can be told.
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors=_HANDLER)  # type: ignore[union-attr]


def say(text: str, *, color: str | None = None, err: bool = True) -> None:
    """Print a line; names in it are shown, not obeyed, and it stays short enough to be read."""
    typer.secho(in_one_line(text), fg=color, err=err)


def _substitute(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_SUBSTITUTES.get(char) or escaped(char) for char in text), error.end


def _fill_closed_descriptors() -> None:
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                opened = os.open(os.devnull, mode)
                if opened != number:
                    os.dup2(opened, number)
                    os.close(opened)


def bound_message(error: Any) -> None:
    """Make one printable line of the message of an exception of click's."""
    if isinstance(getattr(error, "message", None), str):
        error.message = in_one_line(error.message)
