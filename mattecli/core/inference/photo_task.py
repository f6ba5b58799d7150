"""Cutting photos as a task for an executor."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path

from mattecli.core.errors import MatteError
from mattecli.core.executing.processes import alone
from mattecli.core.inference.jobs import Job, JobQueue
from mattecli.core.inference.options import PredictOptions
from mattecli.core.inference.pipeline import run_pipeline
from mattecli.core.inference.preloading import load_predictor
from mattecli.core.inference.run import Settings, predict_all, steps_of
from mattecli.core.inference.run_options import RunOptions
from mattecli.core.inference.steps import Outcome
from mattecli.core.inference.underway import Underway


@dataclasses.dataclass(frozen=True)
class PhotoTask:
    """What is done with each photo of a run; see `Task`.

    Attributes
    ----------
    out : Path, optional
        Folder of the results. With it, `run_here` notes what is under way, and a photo that was so
        in a process that died is tried once more, alone in a fresh process.
    """

    settings: Settings
    options: PredictOptions
    run: RunOptions
    out: Path | None = None

    def run_here(self, items: Iterable[Job], stopped: Callable[[], bool]) -> Iterator[Outcome]:
        """Cut photos by the threads of this process."""
        return self.run_rounds([items], stopped)

    def run_rounds(
        self, rounds: Iterable[Iterable[Job]], stopped: Callable[[], bool]
    ) -> Iterator[Outcome]:
        """Cut photos by the threads of this process, round by round as they come."""
        if self.out is None:
            yield from predict_all(rounds, self.settings, self.options, self.run, stopped=stopped)
            return
        underway = Underway(self.out)
        lost: set[str] = set()
        with underway.noting():
            for outcome in self._noted(iter(rounds), stopped, underway):
                if outcome.is_lost:
                    lost.add(outcome.job.name)
                else:
                    underway.end(outcome.job.name)
                yield outcome
            if not stopped():
                # Others are done already, or do not belong to this run.
                underway.end_all_but(lost)

    def _noted(
        self,
        rounds: Iterator[Iterable[Job]],
        stopped: Callable[[], bool],
        underway: Underway,
    ) -> Iterator[Outcome]:
        suspects: list[Job] = []

        def is_sound(job: Job) -> bool:
            if underway.is_suspect(job.name):
                suspects.append(job)
                return False
            return True

        def sound_rounds() -> Iterator[Iterable[Job]]:
            """Give rounds without suspects, up to one that has some."""
            for items in rounds:
                sound: Iterable[Job] = filter(is_sound, items)
                if isinstance(items, list):
                    # How many there are says how the cores are used best.
                    sound = list(sound)
                yield sound
                if suspects:
                    return

        while True:
            yield from predict_all(
                sound_rounds(),
                self.settings,
                self.options,
                self.run,
                stopped=stopped,
                begins=lambda job: underway.begin(job.name),
            )
            if not suspects:
                return
            yield from alone(self, suspects, stopped)
            suspects.clear()

    def open(self, cpus: int) -> PhotoEngine:
        """Load the network."""
        return PhotoEngine(self, self.run.workers or cpus)

    def lost(self, item: Job, reason: str) -> Outcome:
        """Give the outcome of a photo that ended its process."""
        return Outcome(item, "failed", f"{item.name}: {reason}", is_lost=True)

    def received(self, item: Job, answer: Outcome) -> Outcome:
        """Give the outcome with the job that it is of."""
        return dataclasses.replace(answer, job=item)


class PhotoEngine:
    """A pipeline that runs as long as its process does, and takes photos one by one."""

    def __init__(self, task: PhotoTask, workers: int) -> None:
        self._predictor = load_predictor(task.options, max_concurrency=workers)
        batch_size = task.run.batch_size_on(self._predictor.device_type)
        #: Enough for all stages of the pipeline to have work.
        self.slots = 2 * (batch_size + workers)
        self._queue = JobQueue()
        self._waiting: dict[Job, Future[Outcome]] = {}
        self._broken: Exception | None = None
        outcomes = run_pipeline(
            self._queue,
            self._predictor,
            steps_of(task.settings),
            batch_size=batch_size,
            workers=workers,
        )
        threading.Thread(target=self._pass_on, args=(outcomes,), daemon=True).start()

    def do(self, item: Job) -> Outcome:
        """Cut a photo, and wait for it.

        Raises
        ------
        OutputUnusable
            If nothing more can be written.
        """
        outcome: Future[Outcome] = Future()
        self._waiting[item] = outcome
        try:
            self._queue.put(item)
        except MatteError as error:
            raise self._broken or error from None
        return outcome.result()

    def _pass_on(self, outcomes: Iterator[Outcome]) -> None:
        try:
            for outcome in outcomes:
                self._waiting.pop(outcome.job).set_result(outcome)
        except Exception as error:
            # Whoever waits for a photo shall not wait forever.
            self._broken = error
            self._queue.close()
            for waiting in list(self._waiting.values()):
                waiting.set_exception(error)
