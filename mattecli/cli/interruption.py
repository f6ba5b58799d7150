"""Ctrl-C that loses nothing: what has begun is finished first."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import TracebackType

from mattecli.cli.status import ExitStatus


class GracefulShutdown:
    """Lets the first Ctrl-C, or SIGTERM, only ask to stop, and the second one stop at once.

    A context manager that gives a function: whether it was asked. torchrun hands the Ctrl-C on
    that its processes had from the terminal already, so what follows within a second counts as
    the same.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._same_until = 0.0
        self._before: dict[int, object] = {}
        #: Number of the signal that asked first; 0 if none did.
        self.number = 0

    def __enter__(self) -> Callable[[], bool]:
        self._before = {
            number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)
        }
        for number, handler in self._before.items():
            # A run in the background of a shell ignores Ctrl-C, and shall go on doing so.
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._ask)
        return self._asked.is_set

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()

    def status(self) -> ExitStatus:
        """Give the exit code to leave with, once what was asked for is done."""
        terminated = self.number == signal.SIGTERM
        return ExitStatus.TERMINATED if terminated else ExitStatus.INTERRUPTED

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _ask(self, number: int, _: object) -> None:
        if not self._asked.is_set():
            self.number = number
            self._asked.set()
            self._same_until = time.monotonic() + 1
        elif time.monotonic() > self._same_until:
            self._restore()
            signal.raise_signal(number)


def graceful_shutdown() -> GracefulShutdown:
    """Make a `GracefulShutdown`, for a ``with`` statement."""
    return GracefulShutdown()
