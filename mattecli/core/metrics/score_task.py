"""Scoring as a task for an executor."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import cv2
import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.executing.processes import in_processes
from mattecli.core.executing.tasks import OneByOne
from mattecli.core.imaging.pixels import to_bits
from mattecli.core.imaging.reading import read_color
from mattecli.core.metrics.scoring import Job, Scored, connect_job, in_batches, score_job

if TYPE_CHECKING:
    import torch

#: A job, and its scores or the error that speaks of its files.
Result: TypeAlias = "tuple[Job, Scored | MatteError]"


class Predictor(Protocol):
    """What finds the mattes that are scored: uint8 H×W×3 photos in, float32 H×W mattes out."""

    @property
    def device_type(self) -> str:
        """``cpu``, ``cuda`` or ``mps``."""
        ...

    def predict(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """Predict the mattes of several photos."""
        ...


@dataclasses.dataclass(frozen=True)
class ScoreTask:
    """Scores images; see `Task`.

    Attributes
    ----------
    workers : int
        Processes on this machine that read and score; 1 stays in this process.
    device : torch.device, optional
        A CUDA device computes all but Conn in batches; the workers do the rest.
    predictor : Predictor, optional
        Predicts each entry's matte from its ``prediction`` file, which then is a photo.
    load : callable, optional
        Gives the predictor to each worker of a cluster.
    work : callable
        What workers do with a job.
    """

    workers: int = 1
    device: torch.device | None = None
    predictor: Predictor | None = None
    load: Callable[[], Predictor] | None = None
    work: Callable[[Job], Any] = score_job

    def run_here(self, items: Iterable[Job], stopped: Callable[[], bool]) -> Iterator[Result]:
        """Score by this process and the workers that it starts."""
        jobs = items if self.predictor is None else _with_mattes(items, self.predictor)
        if self.device is None:
            yield from self._results(jobs, score_job, stopped)
        else:
            yield from in_batches(self._results(jobs, connect_job, stopped), self.device)

    def open(self, cpus: int) -> OneByOne[Job, Result]:
        """Make ready for single jobs."""
        cv2.setNumThreads(cpus)  # the workers are the parallelism
        if self.load is None:
            return OneByOne(lambda job: (job._replace(alpha=None), self.work(job)))
        predictor = self.load()

        def work(job: Job) -> Result:
            (alpha,) = predict_alpha(predictor, [job.entry.prediction])
            return job, self.work(job._replace(alpha=alpha))

        return OneByOne(work)

    def lost(self, item: Job, reason: str) -> Result:
        """Give the result of an image that ended its process."""
        return item._replace(alpha=None), MatteError(f"{item.entry.prediction}: {reason}")

    def received(self, item: Job, answer: Result) -> Result:
        """Give the result as it is."""
        return answer

    def _results(
        self, jobs: Iterable[Job], work: Callable[[Job], Any], stopped: Callable[[], bool]
    ) -> Iterator[tuple[Job, Any]]:
        if self.workers > 1:
            yield from in_processes(ScoreTask(work=work), jobs, self.workers, stopped)
            return
        for job in jobs:
            yield job, work(job)


def score_jobs(
    jobs: Iterable[Job], workers: int = 1, device: torch.device | None = None
) -> Iterator[Result]:
    """Score images on this machine, in order as long as no worker dies; see `ScoreTask`."""
    return ScoreTask(workers, device).run_here(jobs, lambda: False)


def predict_alpha(predictor: Predictor, photos: list[Path]) -> list[np.ndarray | MatteError]:
    """Predict 8-bit mattes, as a file would hold them; an unreadable photo gives its error."""
    outcomes: list[MatteError | None] = []
    images = []
    for photo in photos:
        try:
            images.append(read_color(photo))
            outcomes.append(None)
        except MatteError as error:
            outcomes.append(error)
    mattes = iter(predictor.predict(images))
    return [to_bits(next(mattes), 8) if outcome is None else outcome for outcome in outcomes]


def _with_mattes(jobs: Iterable[Job], predictor: Predictor) -> Iterator[Job]:
    waiting = iter(jobs)
    batch = 8 if predictor.device_type == "cuda" else 1
    while some := list(itertools.islice(waiting, batch)):
        mattes = predict_alpha(predictor, [job.entry.prediction for job in some])
        for job, matte in zip(some, mattes, strict=True):
            yield job._replace(alpha=matte)
