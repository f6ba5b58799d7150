"""Decoding, the network and encoding at the same time, in bounded memory."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain

from mattecli.core.errors import MatteError, OutputUnusable, reason_of
from mattecli.core.imaging.pixels import Picture, to_8_bit
from mattecli.core.imaging.reading import image_size
from mattecli.core.inference.inputs import Address
from mattecli.core.inference.jobs import Job, JobQueue
from mattecli.core.inference.passes import PhotoPasses, infer_batch, network_matte
from mattecli.core.inference.predictor import Predictor
from mattecli.core.inference.steps import Item, Outcome, Steps
from mattecli.core.matting.hints import Hints
from mattecli.core.objects.paths import ObjectPath

# Pixels of photos in memory, beyond what it takes to fill a batch in each pass: some 16 photos of
# 12 megapixels, or a single larger one.
_PIXELS_IN_MEMORY = 200_000_000
# What is expected of a photo that has to be fetched.
_PIXELS_ELSEWHERE = 12_000_000
# What is expected of one that was listed with its length: JPEG as cameras write it.
_PIXELS_PER_BYTE = 4
# Batches whose photos are in memory, on an accelerator: crops of the second pass come in several
# sizes, and each size fills a batch of its own.
_BATCHES_IN_MEMORY = 4


def run_pipeline(
    jobs: Iterable[Job] | JobQueue,
    predictor: Predictor,
    steps: Steps,
    *,
    batch_size: int,
    workers: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Cut photo after photo; outcomes come in the order in which they are ready.

    Worker threads decode ahead and encode behind while others run the network. Crops of all photos
    that have one size are batched, in each pass. A photo that fails is an outcome
    too, and fails alone.

    Parameters
    ----------
    jobs : iterable of Job, or JobQueue
        Of a queue all jobs are done that come until it is closed.
    batch_size : int
        Most crops that the network takes at once.
    workers : int
        Threads that decode, and as many that encode; the network runs in as many as the model's
        `max_concurrency`.
    stopped : callable
        Asked before each new photo; once true, what is on its way is finished and nothing more.

    Raises
    ------
    OutputUnusable
        As soon as nothing more can be written.
    """
    with ExitStack() as stack:
        decoders, network, finishers = (
            stack.enter_context(ThreadPoolExecutor(count, name))
            for count, name in (
                (workers, "decode"),
                (predictor.model.max_concurrency, "network"),
                (workers, "finish"),
            )
        )
        pipeline = _Pipeline(predictor, steps, batch_size, workers, stopped)
        yield from pipeline.run(jobs, decoders, network, finishers)


@dataclass
class _Photo:
    """A decoded photo on its way."""

    job: Job
    picture: Picture
    passes: PhotoPasses
    hints: Hints | None
    seconds: float
    error: Exception | None = None


class _Pipeline:
    """The photos on their way, and the next step of each."""

    def __init__(
        self,
        predictor: Predictor,
        steps: Steps,
        batch_size: int,
        workers: int,
        stopped: Callable[[], bool],
    ) -> None:
        self._predictor = predictor
        self._steps = steps
        self._batch_size = batch_size
        self._stopped = stopped
        self._most_decoding = batch_size + workers
        # A batch of one is always full. Of larger ones, those of all passes shall be.
        batches = 2 if batch_size == 1 else _BATCHES_IN_MEMORY
        self._most_photos = batches * batch_size + 2 * workers
        self._least_photos = 1 if batch_size == 1 else 2 * batch_size
        self._pixels: dict[Job, int] = {}
        self._upcoming: tuple[Job, int] | None = None
        self._decoding: dict[Future, Job] = {}
        self._ready: dict[tuple[int, tuple[int, ...]], list[_Photo]] = defaultdict(list)
        self._running: dict[Future, list[_Photo]] = {}
        self._finishing: dict[Future, Job] = {}

    def run(
        self,
        jobs: Iterable[Job] | JobQueue,
        decoders: Executor,
        network: Executor,
        finishers: Executor,
    ) -> Iterator[Outcome]:
        """Take every job through all steps."""
        queue = jobs if isinstance(jobs, JobQueue) else None
        listed = iter(()) if isinstance(jobs, JobQueue) else iter(jobs)
        take = queue.take if queue else partial(next, listed, None)
        try:
            while True:
                # Asked for before jobs are taken, so that none comes unseen in between.
                arrival = queue.arrival() if queue else None
                self._start_decoding(take, decoders)
                if not self._pixels and arrival is None:
                    return
                self._start_network(network)
                futures = [*self._decoding, *self._running, *self._finishing]
                if arrival is not None:
                    futures.append(arrival)
                wait(futures, return_when=FIRST_COMPLETED)
                for outcome in chain(
                    self._take_decoded(), self._take_inferred(finishers), self._take_finished()
                ):
                    del self._pixels[outcome.job]
                    yield outcome
        finally:
            # Reached early when the output is unusable or the caller has gone: files that are being
            # written are still finished by the executors' exit, the rest is dropped.
            for future in [*self._decoding, *self._running, *self._finishing]:
                future.cancel()

    def _start_decoding(self, take: Callable[[], Job | None], decoders: Executor) -> None:
        while len(self._decoding) < self._most_decoding and len(self._pixels) < self._most_photos:
            if self._stopped():
                self._upcoming = None
                return
            if self._upcoming is None and (following := take()):
                self._upcoming = (following, _pixels(following))
            if self._upcoming is None:
                return
            job, pixels = self._upcoming
            held = sum(self._pixels.values())
            if len(self._pixels) >= self._least_photos and held + pixels > _PIXELS_IN_MEMORY:
                return
            self._upcoming = None
            self._pixels[job] = pixels
            self._decoding[decoders.submit(self._decode, job)] = job

    def _start_network(self, network: Executor) -> None:
        while len(self._running) < self._predictor.model.max_concurrency and self._ready:
            key = max(self._ready, key=lambda key: len(self._ready[key]))
            photos = self._ready[key]
            # A batch waits to be filled only while something that may fill it is on its way.
            if len(photos) < self._batch_size and (self._decoding or self._running):
                return
            batch, rest = photos[: self._batch_size], photos[self._batch_size :]
            if rest:
                self._ready[key] = rest
            else:
                del self._ready[key]
            self._running[network.submit(self._infer, batch)] = batch

    def _take_decoded(self) -> Iterator[Outcome]:
        for future in _done(self._decoding):
            job = self._decoding.pop(future)
            try:
                photo = future.result()
            # Anything at all that goes wrong with one photo must not stop the others.
            except Exception as error:
                yield _failure(job, error)
                continue
            self._ready[_batch_key(photo)].append(photo)

    def _take_inferred(self, finishers: Executor) -> Iterator[Outcome]:
        for future in _done(self._running):
            batch = self._running.pop(future)
            future.result()
            for photo in batch:
                if photo.error is not None:
                    yield _failure(photo.job, photo.error)
                elif not photo.passes.is_done:
                    self._ready[_batch_key(photo)].append(photo)
                else:
                    self._finishing[finishers.submit(self._finish, photo)] = photo.job

    def _take_finished(self) -> Iterator[Outcome]:
        for future in _done(self._finishing):
            del self._finishing[future]
            yield future.result()

    def _decode(self, job: Job) -> _Photo:
        start = time.perf_counter()
        picture = self._steps.decode(job)
        hints = self._steps.hints(job, picture)
        detailed = self._steps.detailed(job)
        color = to_8_bit(picture.color)
        passes = self._predictor.planner.start(color, hints, detailed=detailed)
        return _Photo(job, picture, passes, hints, time.perf_counter() - start)

    def _infer(self, batch: list[_Photo]) -> None:
        """Take every photo of a batch through its next pass, or note its error."""
        start = time.perf_counter()
        try:
            mattes = infer_batch(self._predictor.model, [photo.passes for photo in batch])
            if len(mattes) != len(batch):
                raise MatteError(f"the network gave {len(mattes)} mattes for {len(batch)} photos")
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            # One of them may be the cause, and the others shall not fail with it.
            for photo in batch:
                self._infer([photo])
            return
        seconds = (time.perf_counter() - start) / len(batch)
        for photo, matte in zip(batch, mattes, strict=True):
            self._predictor.planner.advance(photo.passes, matte)
            photo.seconds += seconds

    def _finish(self, photo: _Photo) -> Outcome:
        start = time.perf_counter()
        try:
            item = Item(photo.job, photo.picture, network_matte(photo.passes), photo.hints)
            outcome = self._steps.finish(item)
        except OutputUnusable:
            raise
        except Exception as error:
            outcome = _failure(photo.job, error)
        height, width = photo.picture.color.shape[:2]
        outcome.size = (width, height)
        outcome.warnings = photo.picture.notes
        outcome.seconds = photo.seconds + time.perf_counter() - start
        return outcome


def _batch_key(photo: _Photo) -> tuple[int, tuple[int, ...]]:
    """Tell what may share a batch: crops of one size and pass.

    Passes stay apart, so that photos go through all of them in whole batches.
    """
    return photo.passes.count, photo.passes.next_crop.shape


def _done(futures: Iterable[Future]) -> list[Future]:
    return [future for future in futures if future.done()]


def _pixels(job: Job) -> int:
    """Read a file's size from its header; a file that has none fails when it is decoded."""
    if isinstance(job.source, ObjectPath) and job.source.size is not None:
        return _PIXELS_PER_BYTE * job.source.size
    if isinstance(job.source, (Address, ObjectPath)):
        return _PIXELS_ELSEWHERE
    try:
        return math.prod(image_size(job.source))
    except MatteError:
        return 0


def _failure(job: Job, error: Exception) -> Outcome:
    return Outcome(job, "failed", reason_of(error, job.name))
