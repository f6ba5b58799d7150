"""How many requests may be in progress at once, and when to come again."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from concurrent.futures import Future

from mattecli.core.serving.refusals import Refusal

# Seconds that a request takes until one has been measured, and the longest wait that is asked for.
_FIRST_GUESS, _LONGEST_WAIT = 1.0, 60
# Of so many requests the rate is taken.
_RECENT = 32


class Place:
    """A place among the requests in progress, until the block ends or the work that it is for."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._work: Future | None = None

    def keep_until(self, work: Future) -> None:
        """Keep the place until `work` is done, even if nobody waits for it any more."""
        self._work = work

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        if self._work is None:
            self._admission._leave()
        else:
            self._work.add_done_callback(self._admission._leave)


class Admission:
    """Counts requests, from before their body is read until all work for them has ended."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken = 0
        self._ends: deque[float] = deque(maxlen=_RECENT)
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """Requests in progress."""
        return self._taken

    def enter(self) -> Place:
        """Take a place.

        Raises
        ------
        Refusal
            If all are taken.
        """
        with self._lock:
            if self._taken < self._places:
                self._taken += 1
                return Place(self)
        raise Refusal(
            429,
            f"{self._places} requests are in progress already: try again later",
            {"Retry-After": str(self._wait())},
        )

    def _leave(self, *_: object) -> None:
        with self._lock:
            self._taken -= 1
            self._ends.append(time.monotonic())

    def _wait(self) -> int:
        """Seconds in which half of the places will be free, as fast as the last ones became so."""
        with self._lock:
            ends = list(self._ends)
        each = (ends[-1] - ends[0]) / (len(ends) - 1) if len(ends) > 1 else _FIRST_GUESS
        return min(_LONGEST_WAIT, max(1, math.ceil(each * self._places / 2)))
