"""Photos to cut, and the queue of those that come while a pipeline runs."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from mattecli.core.errors import MatteError
from mattecli.core.imaging.opening import NamedBytes
from mattecli.core.inference.inputs import Address

#: Where a photo is: a file, an address, or the bytes of a file.
Source: TypeAlias = "Path | Address | bytes"


@dataclass(frozen=True, eq=False)
class Job:
    """One photo to cut, and where its results go: a path for each kind, ``-`` is stdout.

    Attributes
    ----------
    place : str
        What the photo is called among those of the run: a relative path. Empty for one that came
        through a pipe, or a clip.
    """

    source: Source
    outputs: dict[str, Path]
    place: str = ""

    @property
    def stem(self) -> str:
        """Its place without suffix, by which what goes with it is found."""
        return PurePosixPath(self.place).with_suffix("").as_posix() if self.place else ""

    @property
    def name(self) -> str:
        """Name of the photo for reports; ``-`` is standard input."""
        if isinstance(self.source, (Path, Address)):
            return str(self.source)
        return self.source.name if isinstance(self.source, NamedBytes) else "-"


class JobQueue:
    """Jobs that come while the pipeline runs; it takes them as soon as there is room.

    Those that somebody waits for go before those that are done in the background. `put`, `drop`
    and `close` may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._urgent: deque[Job] = deque()
        self._background: deque[Job] = deque()
        self._arrival: Future[None] = Future()
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether no more jobs are taken."""
        return self._closed

    def put(self, job: Job, *, urgent: bool = True) -> None:
        """Add a job.

        Raises
        ------
        MatteError
            If the queue is closed.
        """
        with self._lock:
            if self._closed:
                raise MatteError("no more photos are taken")
            (self._urgent if urgent else self._background).append(job)
            self._wake()

    def drop(self, job: Job) -> bool:
        """Take a job back, if it still waits; tell whether it did."""
        with self._lock:
            for jobs in (self._urgent, self._background):
                if job in jobs:
                    jobs.remove(job)
                    return True
        return False

    def close(self) -> None:
        """Take no more: what somebody waits for is still done, what is in the background is not."""
        with self._lock:
            self._closed = True
            self._background.clear()
            self._wake()

    def take(self) -> Job | None:
        """Give the next job; None if there is none at present."""
        with self._lock:
            if self._urgent:
                return self._urgent.popleft()
            return self._background.popleft() if self._background else None

    def arrival(self) -> Future[None] | None:
        """Give what is done once something has come; None once nothing can come any more."""
        with self._lock:
            if self._closed and not self._urgent:
                return None
            if self._arrival.done():
                self._arrival = Future()
            return self._arrival

    def _wake(self) -> None:
        if not self._arrival.done():
            self._arrival.set_result(None)
