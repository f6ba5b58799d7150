"""Exit codes of every command."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """How a command ended."""

    #: All was done.
    SUCCESS = 0
    #: Something failed: a file, a photo of several, a check. Standard error says what.
    FAILURE = 1
    #: The command line is wrong: Typer's own number for it.
    USAGE = 2
    #: Ctrl-C, and outside of training SIGTERM: 128 and the number of SIGINT, as shells report it.
    INTERRUPTED = 130
    #: SIGTERM in training: 128 and its number, which schedulers tell from a failure.
    TERMINATED = 143
