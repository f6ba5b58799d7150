"""Ctrl-C that loses nothing: what has begun is finished first."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def graceful_shutdown() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C, or SIGTERM, only ask to stop, and the second one stop at once.

    torchrun hands the Ctrl-C on that its processes had from the terminal already, so what follows
    within a second counts as the same.
    """
    asked = threading.Event()
    same_until = 0.0
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number: int, _: object) -> None:
        nonlocal same_until
        if not asked.is_set():
            asked.set()
            same_until = time.monotonic() + 1
        elif time.monotonic() > same_until:
            restore()
            signal.raise_signal(number)

    for number, handler in before.items():
        # A run in the background of a shell ignores Ctrl-C, and shall go on doing so.
        if handler is not signal.SIG_IGN:
            signal.signal(number, ask)
    try:
        yield asked.is_set
    finally:
        restore()
