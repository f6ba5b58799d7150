"""Decoding, the network and encoding at the same time, in bounded memory."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.reading import Picture, to_8_bit
from mattecli.core.imaging.writing import OutputUnusable

if TYPE_CHECKING:
    from mattecli.core.inference.predictor import Predictor

# Decoded pixels that may be on their way at once: some 16 photos of 12 megapixels at most, or a
# single larger one.
_PIXELS_IN_FLIGHT = 200_000_000


@dataclass(frozen=True)
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

    @property
    def pixels(self) -> int:
        """Size of the photo in pixels."""
        return self.picture.color.shape[0] * self.picture.color.shape[1]


@dataclass
class Outcome:
    """How one photo ended."""

    job: Job
    status: str
    reason: str = ""
    seconds: float = 0.0
    size: tuple[int, int] | None = None
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

    Worker threads decode ahead and encode behind while this thread feeds the network, with photos
    of one network size batched together. A photo that fails is an outcome too.

    Parameters
    ----------
    decode : callable
        Reads one photo; runs in a worker thread.
    finish : callable
        Turns a photo and its matte into files; runs in a worker thread.
    batch_size : int
        Most photos the network sees at once.
    workers : int
        Threads that decode, and as many that encode.
    stopped : callable
        Asked before each new photo; once true, what is on its way is finished and nothing more.

    Raises
    ------
    OutputUnusable
        As soon as nothing more can be written.
    """
    waiting_jobs = iter(jobs)
    decoding: dict[Future, Job] = {}
    ready: dict[tuple[int, int], list[Item]] = defaultdict(list)
    finishing: dict[Future, Item] = {}
    in_flight_limit = 2 * batch_size + 2 * workers

    def prepare(job: Job) -> Item:
        start = time.perf_counter()
        picture = decode(job)
        network_input = predictor.shrink(to_8_bit(picture.color))
        return Item(job, picture, network_input, seconds=time.perf_counter() - start)

    def items_in_flight() -> list[Item]:
        return [item for items in ready.values() for item in items] + list(finishing.values())

    def room_for_another() -> bool:
        held = items_in_flight()
        pixels = sum(item.pixels for item in held)
        return len(held) + len(decoding) < in_flight_limit and pixels < _PIXELS_IN_FLIGHT

    with (
        ThreadPoolExecutor(workers, "decode") as decoders,
        ThreadPoolExecutor(workers, "finish") as finishers,
    ):
        try:
            while True:
                while room_for_another() and len(decoding) < batch_size + workers:
                    job = None if stopped() else next(waiting_jobs, None)
                    if job is None:
                        break
                    decoding[decoders.submit(prepare, job)] = job
                if not (decoding or finishing or any(ready.values())):
                    return

                fullest = max(ready, key=lambda size: len(ready[size]), default=None)
                batch = ready[fullest][:batch_size] if fullest else []
                # A batch waits to be filled only while something that may fill it is decoded.
                if batch and (len(batch) == batch_size or not decoding):
                    ready[fullest] = ready[fullest][batch_size:]
                    if failed := _run_network(predictor, batch):
                        yield from failed
                        continue
                    for item in batch:
                        finishing[finishers.submit(_finish, finish, item)] = item
                else:
                    wait([*decoding, *finishing], return_when=FIRST_COMPLETED)

                for future in [future for future in decoding if future.done()]:
                    job = decoding.pop(future)
                    try:
                        item = future.result()
                        ready[item.network_input.shape[:2]].append(item)
                    # Anything at all that goes wrong with one photo must not stop the others.
                    except Exception as error:
                        yield _failure(job, error)
                for future in [future for future in finishing if future.done()]:
                    del finishing[future]
                    yield future.result()
        finally:
            # Reached early when the output is unusable or the caller has gone: files that are being
            # written are still finished by the executors' exit, the rest is dropped.
            for future in [*decoding, *finishing]:
                future.cancel()


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
    reason = str(error)
    if not isinstance(error, MatteError):
        text = " ".join([f"{type(error).__name__}:", *reason.split()])
        reason = f"{job.name}: {text.removesuffix(':')}"
    return Outcome(job, "failed", reason)
