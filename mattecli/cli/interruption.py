"""Ctrl-C that loses nothing: what has begun is finished first."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def interrupt_finishes_what_is_begun() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C only ask to stop, and the second one stop at once."""
    asked = threading.Event()

    def ask(*_: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    # A run in the background of a shell ignores Ctrl-C, and shall go on doing so.
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
