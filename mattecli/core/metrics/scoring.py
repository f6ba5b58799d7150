"""Scoring single images, or several at once on a device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

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


def score_job(job: Job) -> Scored | MatteError:
    """Score an image, or give the error that speaks of its files."""
    try:
        prediction, truth, region, notes = read_job_with_notes(job)
    except MatteError as error:
        return error
    return Scored(score(prediction, truth, region), pixel_count(truth, region), notes)


def connect_job(job: Job) -> tuple | MatteError:
    """Give what `in_batches` needs of a job: the arrays, the region, Conn, and the notes."""
    try:
        prediction, truth, region, notes = read_job_with_notes(job)
    except MatteError as error:
        return error
    return prediction, truth, region, connectivity_error(prediction, truth, region), notes


def in_batches(
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
