"""Scoring any number of images: worker processes, a device, and memory for a handful of them."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.masks import Mask
from mattecli.core.imaging.trimaps import read_trimap
from mattecli.core.metrics.connectivity import connectivity_error
from mattecli.core.metrics.matching import Entry
from mattecli.core.metrics.pixels import comparable, pixel_count
from mattecli.core.metrics.regions import region_mask
from mattecli.core.metrics.scores import Scores, score

if TYPE_CHECKING:
    import torch

# Jobs under way for each worker: enough to keep it busy, few enough to keep memory flat.
JOBS_AHEAD = 3
# Pixels that go to the device at a time; in double precision about 1 GB with all in between.
BATCH_PIXELS = 16_000_000


class Job(NamedTuple):
    """One image to score; `alpha` is its matte where no file holds it, or why there is none."""

    method: int
    entry: Entry
    region: str
    alpha: np.ndarray | MatteError | None = None


class Scored(NamedTuple):
    """The errors of one image, the pixels that they were taken over, and how files were read."""

    scores: Scores
    pixels: int
    notes: tuple[str, ...] = ()


def score_jobs(
    jobs: Iterable[Job], workers: int = 1, device: torch.device | None = None
) -> Iterator[tuple[Job, Scored | MatteError]]:
    """Score images one after the other or in parallel, and give them back in order.

    Parameters
    ----------
    jobs : iterable of Job
        Taken as needed, so it may be a generator that predicts the mattes.
    workers : int
        Processes that read and score; 1 stays in this process.
    device : torch.device, optional
        A CUDA device computes all but Conn in batches; the workers do the rest.

    Yields
    ------
    tuple
        The job, and its scores or the error that speaks of its files.

    Raises
    ------
    MatteError
        If a worker process dies, as for lack of memory.
    """
    if device is None:
        yield from _in_processes(_score_job, jobs, workers)
    else:
        yield from _in_batches(_in_processes(_connect_job, jobs, workers), device)


def read_job(job: Job) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Read prediction, truth and region mask of a job.

    Returns
    -------
    prediction, truth : ndarray, shape (H, W), uint8 or uint16, of one dtype
    region : ndarray of bool, shape (H, W), or None for all pixels

    Raises
    ------
    MatteError
        If a file cannot be read or the sizes differ.
    """
    return read_job_with_notes(job)[:3]


def read_job_with_notes(
    job: Job,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Read as `read_job`, and say besides how masks were understood that are not simply alpha."""
    if isinstance(job.alpha, MatteError):
        raise job.alpha
    entry = job.entry
    truth, truth_note = read_mask(entry.truth)
    # A method may find nothing, and its matte be nearly black.
    prediction, note = (
        read_mask(entry.prediction, lenient=True) if job.alpha is None else Mask(job.alpha)
    )
    notes = ((entry.truth, truth_note), (entry.prediction, note))
    _check_size(prediction, entry.prediction, truth, entry.truth)
    trimap = None
    if job.region == "unknown":
        assert entry.trimap is not None
        trimap = read_trimap(entry.trimap)
        _check_size(trimap, entry.trimap, truth, entry.truth)
    said = tuple(f"{path}: {note}" for path, note in notes if note)
    return *comparable(prediction, truth), region_mask(job.region, truth, trimap), said


def _check_size(array: np.ndarray, path: Any, truth: np.ndarray, truth_path: Any) -> None:
    if array.shape != truth.shape:
        sizes = [f"{width}x{height}" for height, width in (array.shape, truth.shape)]
        raise MatteError(f"sizes differ: {path} is {sizes[0]}, {truth_path} is {sizes[1]}")


def _score_job(job: Job) -> Scored | MatteError:
    try:
        prediction, truth, region, notes = read_job_with_notes(job)
    except MatteError as error:
        return error
    return Scored(score(prediction, truth, region), pixel_count(truth, region), notes)


def _connect_job(job: Job) -> tuple | MatteError:
    """Everything that `_in_batches` needs of a job: the arrays, the region, Conn, and the notes."""
    try:
        prediction, truth, region, notes = read_job_with_notes(job)
    except MatteError as error:
        return error
    return prediction, truth, region, connectivity_error(prediction, truth, region), notes


def _in_processes(
    work: Callable[[Job], Any], jobs: Iterable[Job], workers: int
) -> Iterator[tuple[Job, Any]]:
    if workers <= 1:
        for job in jobs:
            yield job, work(job)
        return
    # Not forked: a copy of a process that runs CUDA or OpenCV threads may hang.
    context = multiprocessing.get_context("spawn")
    waiting: deque = deque()
    with ProcessPoolExecutor(workers, context, initializer=_prepare_worker) as pool:
        try:
            for job in jobs:
                with _interrupts_held():
                    future = pool.submit(work, job)
                # The matte goes to the worker; here it is not needed any more.
                waiting.append((job._replace(alpha=None), future))
                if len(waiting) >= workers * JOBS_AHEAD:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        except BrokenProcessPool:
            raise MatteError(
                "a worker process died, perhaps for lack of memory: try fewer --workers"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while a worker may be started, which inherits that and keeps it.

    Ctrl-C reaches every process of the terminal; only the parent shall react to it, and a worker
    that is still importing cannot look after that itself. Windows has no such mask.
    """
    if sys.platform == "win32":
        yield
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)  # the workers are the parallelism


def _in_batches(
    results: Iterable[tuple[Job, Any]], device: torch.device
) -> Iterator[tuple[Job, Scored | MatteError]]:
    """Score neighbors of one size and depth together on the device."""
    batch: list[tuple[Job, tuple]] = []
    for job, result in results:
        if isinstance(result, MatteError):
            yield from _flush(batch, device)
            batch = []
            yield job, result
            continue
        truth = result[1]
        if batch:
            first = batch[0][1][1]
            alike = (first.shape, first.dtype) == (truth.shape, truth.dtype)
            if not alike or (len(batch) + 1) * truth.size > BATCH_PIXELS:
                yield from _flush(batch, device)
                batch = []
        batch.append((job, result))
    yield from _flush(batch, device)


def _flush(batch: list[tuple[Job, tuple]], device: torch.device) -> Iterator[tuple[Job, Scored]]:
    from mattecli.core.metrics.batched import score_batch

    if not batch:
        return
    jobs, results = zip(*batch, strict=True)
    predictions, truths, regions, connectivity, notes = zip(*results, strict=True)
    rows = score_batch(
        np.stack(predictions),
        np.stack(truths),
        None if regions[0] is None else np.stack(regions),
        device,
    )
    for job, row, conn, truth, region, said in zip(
        jobs, rows.tolist(), connectivity, truths, regions, notes, strict=True
    ):
        yield job, Scored(Scores._make([*row, conn]), pixel_count(truth, region), said)
