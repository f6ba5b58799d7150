"""Ctrl-C that loses nothing: what has begun is finished first."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def interrupt_finishes_what_is_begun() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C, or SIGTERM, only ask to stop, and the second one stop at once."""
    asked = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(*_: object) -> None:
        asked.set()
        restore()

    for number, handler in before.items():
        # A run in the background of a shell ignores Ctrl-C, and shall go on doing so.
        if handler is not signal.SIG_IGN:
            signal.signal(number, ask)
    try:
        yield asked.is_set
    finally:
        restore()
