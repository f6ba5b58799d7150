"""How processes that share work start and end: anew, deaf to signals, and with their parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext


def started_anew() -> SpawnContext:
    """Give the way to start a process that is no copy of this one.

    A copy has one thread, but the locks as they were. Threads of OpenCV, CUDA or OpenMP that hold
    one at that moment, if only to end, never give it back in the copy, which then waits forever.
    """
    return multiprocessing.get_context("spawn")


@contextlib.contextmanager
def held_back(*signals: signal.Signals) -> Iterator[None]:
    """Hold signals back while a process may be started, which inherits that and keeps it.

    Ctrl-C reaches every process of a terminal, and a scheduler's SIGTERM often every process of a
    job; only the parent shall react to them, and a process that is still importing cannot look
    after that itself. Windows has no such mask.
    """
    if sys.platform == "win32":
        yield
        return
    # Started with the first process otherwise, after which it lets signals through.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """Let this process, started by another one, end when that one has ended, however it did."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)
