"""Decoding, the network and encoding at the same time, in bounded memory."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mattecli.core.errors import MatteError, reason_of
from mattecli.core.imaging.reading import Picture, image_size, to_8_bit
from mattecli.core.imaging.writing import OutputUnusable
from mattecli.core.inference.assessment import Assessment

if TYPE_CHECKING:
    from mattecli.core.inference.predictor import Predictor

# Pixels that may be on their way at once: some 16 photos of 12 megapixels at most, or a single
# larger one.
_PIXELS_IN_FLIGHT = 200_000_000


@dataclass(frozen=True, eq=False)
class Job:
    """One photo to cut, and where its results go: a path for each kind, ``-`` is stdout."""

    source: Path | bytes
    outputs: dict[str, Path]

    @property
    def name(self) -> str:
        """Name of the photo for reports; ``-`` is standard input."""
        return str(self.source) if isinstance(self.source, Path) else "-"


@dataclass
class Item:
    """A decoded photo on its way: what the network sees of it, and what is kept for its results."""

    job: Job
    picture: Picture
    network_input: np.ndarray
    matte: np.ndarray | None = None
    seconds: float = 0.0


@dataclass
class Outcome:
    """How one photo ended: ok, empty (nothing found), skipped or failed; see `Assessment`."""

    job: Job
    status: str
    reason: str = ""
    seconds: float = 0.0
    size: tuple[int, int] | None = None
    assessment: Assessment | None = None
    preview: np.ndarray | None = field(default=None, repr=False)


def run_pipeline(
    jobs: Iterable[Job],
    predictor: Predictor,
    decode: Callable[[Job], Picture],
    finish: Callable[[Item], Outcome],
    *,
    batch_size: int,
    workers: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Cut photo after photo; outcomes come in the order in which they are ready.

    Worker threads decode ahead and encode behind while others run the network, with photos of one
    network size batched together. A photo that fails is an outcome too.

    Parameters
    ----------
    decode : callable
        Reads one photo; runs in a worker thread.
    finish : callable
        Turns a photo and its matte into files; runs in a worker thread.
    batch_size : int
        Most photos the network sees at once.
    workers : int
        Threads that decode, and as many that encode; the network runs in as many as the predictor
        has streams.
    stopped : callable
        Asked before each new photo; once true, what is on its way is finished and nothing more.

    Raises
    ------
    OutputUnusable
        As soon as nothing more can be written.
    """
    waiting_jobs = ((job, _pixels(job)) for job in jobs)
    upcoming: tuple[Job, int] | None = None
    decoding: dict[Future, Job] = {}
    ready: dict[tuple[int, int], list[Item]] = defaultdict(list)
    running: dict[Future, list[Item]] = {}
    finishing: dict[Future, Item] = {}
    pixels_in_flight: dict[Job, int] = {}

    def prepare(job: Job) -> Item:
        start = time.perf_counter()
        picture = decode(job)
        network_input = predictor.shrink(to_8_bit(picture.color))
        return Item(job, picture, network_input, seconds=time.perf_counter() - start)

    def ended(outcome: Outcome) -> Outcome:
        del pixels_in_flight[outcome.job]
        return outcome

    with (
        ThreadPoolExecutor(workers, "decode") as decoders,
        ThreadPoolExecutor(predictor.streams, "network") as network,
        ThreadPoolExecutor(workers, "finish") as finishers,
    ):
        try:
            while True:
                while (
                    len(decoding) < batch_size + workers
                    and len(pixels_in_flight) < 2 * batch_size + 2 * workers
                ):
                    upcoming = None if stopped() else upcoming or next(waiting_jobs, None)
                    if upcoming is None:
                        break
                    job, pixels = upcoming
                    held = sum(pixels_in_flight.values())
                    if held and held + pixels > _PIXELS_IN_FLIGHT:
                        break
                    upcoming = None
                    pixels_in_flight[job] = pixels
                    decoding[decoders.submit(prepare, job)] = job
                if not pixels_in_flight:
                    return

                while len(running) < predictor.streams and any(ready.values()):
                    size = max(ready, key=lambda size: len(ready[size]))
                    batch, rest = ready[size][:batch_size], ready[size][batch_size:]
                    # A batch waits to be filled only while something that may fill it is decoded.
                    if len(batch) < batch_size and decoding:
                        break
                    ready[size] = rest
                    running[network.submit(_run_network, predictor, batch)] = batch

                wait([*decoding, *running, *finishing], return_when=FIRST_COMPLETED)
                for future in [future for future in decoding if future.done()]:
                    job = decoding.pop(future)
                    try:
                        item = future.result()
                        ready[item.network_input.shape[:2]].append(item)
                    # Anything at all that goes wrong with one photo must not stop the others.
                    except Exception as error:
                        yield ended(_failure(job, error))
                for future in [future for future in running if future.done()]:
                    batch = running.pop(future)
                    if failed := future.result():
                        yield from map(ended, failed)
                        continue
                    for item in batch:
                        finishing[finishers.submit(_finish, finish, item)] = item
                for future in [future for future in finishing if future.done()]:
                    del finishing[future]
                    yield ended(future.result())
        finally:
            # Reached early when the output is unusable or the caller has gone: files that are being
            # written are still finished by the executors' exit, the rest is dropped.
            for future in [*decoding, *running, *finishing]:
                future.cancel()


def _pixels(job: Job) -> int:
    """Ask a file for its size; one that does not tell fails when it is decoded."""
    try:
        return math.prod(image_size(job.source))
    except MatteError:
        return 0


def _run_network(predictor: Predictor, batch: list[Item]) -> list[Outcome]:
    """Fill in the mattes of a batch; what comes back are failures, if the network failed."""
    start = time.perf_counter()
    try:
        mattes = predictor.run([item.network_input for item in batch])
    except Exception as error:
        return [_failure(item.job, error) for item in batch]
    share = (time.perf_counter() - start) / len(batch)
    for item, matte in zip(batch, mattes, strict=True):
        item.matte = matte
        item.seconds += share
    return []


def _finish(finish: Callable[[Item], Outcome], item: Item) -> Outcome:
    start = time.perf_counter()
    try:
        outcome = finish(item)
    except OutputUnusable:
        raise
    except Exception as error:
        outcome = _failure(item.job, error)
    height, width = item.picture.color.shape[:2]
    outcome.size = (width, height)
    outcome.seconds = item.seconds + time.perf_counter() - start
    return outcome


def _failure(job: Job, error: Exception) -> Outcome:
    return Outcome(job, "failed", reason_of(error, job.name))
