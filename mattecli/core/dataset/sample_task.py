"""Making samples as a task for an executor."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from mattecli.core.dataset.plan import Sample
from mattecli.core.dataset.worker import BuildSpec, Result, Worker, make_all, start_worker
from mattecli.core.errors import MatteError
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
            yield from self._in_processes(items)
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

    def _in_processes(self, chunks: Iterable[list[Sample]]) -> Iterator[list[Result]]:
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(self.workers, context, start_worker, (self.spec,))
        running: set[Future] = set()
        try:
            todo = iter(chunks)
            while True:
                # Few in advance, so that stopping takes no longer than what is in flight.
                running |= {
                    pool.submit(make_all, chunk)
                    for chunk in itertools.islice(todo, 2 * self.workers - len(running))
                }
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool:
            raise MatteError(
                "a worker process was killed, most likely for want of memory: use fewer --workers"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)
