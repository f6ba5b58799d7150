"""Checking samples as a task for an executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from mattecli.core.dataset.sample_check import LOST, SampleCheck, check_sample
from mattecli.core.executing.processes import in_processes
from mattecli.core.executing.tasks import OneByOne


@dataclass(frozen=True)
class CheckTask:
    """Checks samples, named one by one; see `Task`.

    Attributes
    ----------
    files, records, light
        See `check_sample`.
    workers : int
        Processes on this machine; 1 stays in this process.
    """

    files: dict[str, dict[str, Path]]
    records: dict[str, dict]
    light: str
    workers: int

    def run_here(self, items: Iterable[str], stopped: Callable[[], bool]) -> Iterator[SampleCheck]:
        """Check samples in this process, or in several."""
        if self.workers > 1:
            return in_processes(self, items, self.workers, stopped)
        return map(self._check, items)

    def open(self, cpus: int) -> OneByOne[str, SampleCheck]:
        """Make ready for single samples."""
        cv2.setNumThreads(cpus)  # the workers are the parallelism
        return OneByOne(self._check)

    def lost(self, item: str, reason: str) -> SampleCheck:
        """Give what is known of a sample that ended its process."""
        return SampleCheck(item, [LOST])

    def received(self, item: str, answer: SampleCheck) -> SampleCheck:
        """Give the check as it is."""
        return answer

    def _check(self, name: str) -> SampleCheck:
        return check_sample(name, self.files, self.records, self.light)
