"""Making samples as a task for an executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from mattecli.core.dataset.plan import Sample
from mattecli.core.dataset.worker import BuildSpec, Result, Worker
from mattecli.core.executing.processes import in_processes
from mattecli.core.executing.tasks import OneByOne


@dataclass(frozen=True)
class SampleTask:
    """Makes runs of samples that share a subject; see `Task`.

    Attributes
    ----------
    workers : int
        Processes on this machine.
    at_once : int
        Samples that one process on this machine makes before it says so.
    """

    spec: BuildSpec
    workers: int
    at_once: int

    def run_here(
        self, items: Iterable[list[Sample]], stopped: Callable[[], bool]
    ) -> Iterator[list[Result]]:
        """Make samples in this process, or in several."""
        if self.workers > 1:
            yield from in_processes(self, items, self.workers, stopped)
            return
        worker = Worker(self.spec)
        for chunk in items:
            for start in range(0, len(chunk), self.at_once):
                yield worker.make_all(chunk[start : start + self.at_once])

    def open(self, cpus: int) -> OneByOne[list[Sample], list[Result]]:
        """Make ready for runs of samples."""
        return OneByOne(Worker(self.spec).make_all)

    def lost(self, item: list[Sample], reason: str) -> list[Result]:
        """Give the results of samples that ended their process."""
        return [f"{sample.name}: {reason}" for sample in item]

    def received(self, item: list[Sample], answer: list[Result]) -> list[Result]:
        """Give the results as they are."""
        return answer
