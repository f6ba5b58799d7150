"""Cutting a clip frame by frame, into another clip or into a folder of pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mattecli.core.device import usable_cores
from mattecli.core.errors import MatteError
from mattecli.core.imaging.animations import FORMATS, AnimationWriter
from mattecli.core.imaging.clip_codecs import CONTAINERS
from mattecli.core.imaging.clip_colors import STANDARD
from mattecli.core.imaging.clip_writing import ClipWriter
from mattecli.core.imaging.clips import Frame
from mattecli.core.imaging.frame_folders import is_numbered, numbered
from mattecli.core.imaging.moving import MovingPicture
from mattecli.core.imaging.pixels import Picture
from mattecli.core.inference.assessment import Assessment, assess
from mattecli.core.inference.clip_mattes import ClipMattes, frame_mattes
from mattecli.core.inference.options import RunOptions
from mattecli.core.inference.pipeline import Item, Job
from mattecli.core.inference.predictor import Predictor
from mattecli.core.inference.run import Settings, finish
from mattecli.core.inference.smoothing import FrameMatte, smooth
from mattecli.core.matting.flattening import flatten
from mattecli.core.matting.full_size import NetworkMatte, full_size_alpha
from mattecli.core.matting.outputs import GREY, TRANSPARENT, render_outputs
from mattecli.core.storage import whole_file


class Stopped(Exception):
    """A clip was left because it was asked to."""


def clip_job(source: Path, out: Path, kinds: tuple[str, ...], suffix: str) -> Job:
    """Name what becomes of a clip: a file, or folders for pictures, one for each kind of several.

    Raises
    ------
    MatteError
        If the clip would be overwritten by its own result.
    """
    if out.resolve() == source.resolve():
        raise MatteError(f"{out} would overwrite the clip: choose another place for output")
    if suffix in CONTAINERS or suffix in FORMATS:
        return Job(source, {kinds[0]: out})
    if is_numbered(out):
        if len(kinds) == 1:
            return Job(source, {kinds[0]: out})
        return Job(source, {kind: out.parent / kind / out.name for kind in kinds})
    return Job(source, {kind: out / kind if len(kinds) > 1 else out for kind in kinds})


def cut_clip(
    job: Job,
    clip: MovingPicture,
    predictor: Predictor,
    settings: Settings,
    run: RunOptions,
    *,
    smoothed: bool = True,
    guided: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Assessment]:
    """Cut a clip; gives what the matte of each frame that is done says of itself.

    Frames are decoded, taken through the network and encoded in this thread and in their order;
    worker threads bring their mattes to full size, cut and convert them. Only the frames that are
    on their way are in memory.

    Parameters
    ----------
    job : Job
        As `clip_job` gives it.
    clip : MovingPicture
        That of the job's source.
    smoothed : bool
        Whether to `smooth` the mattes.
    guided : bool
        Whether the network is told the matte of the frame before; see `ClipMattes`.
    stopped : callable
        Asked before each frame.

    Raises
    ------
    MatteError
        If the clip is damaged, or the result cannot be written; a file is then not there.
    Stopped
        If `stopped` said so; a file is then not there.
    """
    workers = run.workers or min(usable_cores(), 8)
    with (
        _open_sink(job, clip, settings, run.overwrite) as sink,
        ThreadPoolExecutor(workers, "finish") as pool,
    ):
        mattes = _clip_mattes(job, clip, predictor, settings, guided=guided)
        frames = frame_mattes(
            (_flat(frame, settings) for frame in clip.frames(sink.take_audio)),
            predictor.at_scale(1),
            run.batch_size_on(predictor.device_type),
            mattes,
        )
        matted = enumerate(smooth(frames) if smoothed else frames, 1)
        yield from _finished(matted, sink, pool, workers, stopped)
    if mattes is not None and mattes.lost:
        clip.notes.append("what was chosen is followed up to the first cut between scenes only")


def _finished(
    frames: Iterable[tuple[int, FrameMatte[Frame]]],
    sink: _IntoClip | _IntoPictures,
    pool: Executor,
    workers: int,
    stopped: Callable[[], bool],
) -> Iterator[Assessment]:
    """Let threads make what becomes of numbered frames, and hand it to the sink in order."""
    making: deque[Future] = deque()
    try:
        for number, seen in frames:
            if stopped():
                raise Stopped
            making.append(pool.submit(sink.make, number, seen))
            if len(making) > workers:
                yield _take(sink, making.popleft())
        while making:
            yield _take(sink, making.popleft())
    finally:
        for future in making:
            future.cancel()


def _clip_mattes(
    job: Job, clip: MovingPicture, predictor: Predictor, settings: Settings, *, guided: bool
) -> ClipMattes | None:
    """Prepare to take frame after frame; None where each stands for itself."""
    said = settings.hints.of(job.source)
    guided = guided and predictor.model.takes_guidance
    if said.is_empty:
        return ClipMattes(predictor) if guided else None
    hints = said.read((clip.height, clip.width), settings.max_pixels)
    return ClipMattes(predictor, guides=guided, hints=hints)


def _take(sink: _IntoClip | _IntoPictures, making: Future) -> Assessment:
    made, assessment = making.result()
    sink.take(made)
    return assessment


@contextmanager
def _open_sink(
    job: Job, clip: MovingPicture, settings: Settings, overwrite: bool
) -> Iterator[_IntoClip | _IntoPictures]:
    into_clip = settings.suffix in CONTAINERS or settings.suffix in FORMATS
    if beyond := clip.colors.beyond_srgb:
        kept = "are kept without tone mapping" if into_clip else "are taken for sRGB and look dull"
        clip.notes.append(f"its colors ({beyond}) {kept}")
    if not into_clip:
        yield _IntoPictures(job, settings, overwrite)
        return
    ((kind, path),) = job.outputs.items()
    with whole_file(path) as temporary, _writer(temporary, kind, clip, settings) as writer:
        yield _IntoClip(writer, kind, settings)


def _writer(
    path: Path, kind: str, clip: MovingPicture, settings: Settings
) -> ClipWriter | AnimationWriter:
    if settings.suffix in FORMATS:
        return AnimationWriter(path, settings.suffix, clip, settings.quality)
    return ClipWriter(
        path,
        settings.suffix,
        clip,
        transparent=kind in TRANSPARENT,
        encoding=settings.encoding,
        keep_metadata=settings.keep_metadata,
        # Mattes have no color, and are no HDR where the clip is.
        colors=STANDARD if kind in GREY else clip.colors,
    )


class _IntoClip:
    """Frames become frames."""

    def __init__(self, writer: ClipWriter | AnimationWriter, kind: str, settings: Settings) -> None:
        self._writer = writer
        self._kind = kind
        self._refine = settings.refine
        self._spec = replace(settings.outputs, bits=writer.bits)
        self.take, self.take_audio = writer.write, writer.write_audio

    def make(self, _: int, seen: FrameMatte[Frame]) -> tuple[Any, Assessment]:
        picture = Picture(seen.payload.color, seen.payload.alpha)
        alpha = full_size_alpha(picture, NetworkMatte(seen.matte, seen.image), self._refine)
        result = render_outputs(seen.payload.color, alpha, self._spec)[self._kind]
        return self._writer.convert(result, seen.payload), assess(alpha, seen.matte.shape)


class _IntoPictures:
    """Frames become pictures that are named by their numbers."""

    take_audio = None

    def __init__(self, job: Job, settings: Settings, overwrite: bool) -> None:
        self._job, self._settings, self._overwrite = job, settings, overwrite

    def make(self, number: int, seen: FrameMatte[Frame]) -> tuple[None, Assessment]:
        outputs = {
            kind: numbered(place, number)
            if is_numbered(place)
            else place / f"{number:06}{self._settings.suffix}"
            for kind, place in self._job.outputs.items()
        }
        if not self._overwrite and all(path.exists() for path in outputs.values()):
            return None, assess(seen.matte)
        picture = Picture(seen.payload.color, seen.payload.alpha)
        found = NetworkMatte(seen.matte, seen.image)
        outcome = finish(Item(Job(self._job.source, outputs), picture, found), self._settings)
        assert outcome.assessment is not None
        return None, outcome.assessment

    def take(self, _: None) -> None:
        """There is nothing left to do."""


def _flat(frame: Frame, settings: Settings) -> Frame:
    """Lay a frame that has an alpha channel onto the color that photos are laid onto."""
    picture = Picture(frame.color, frame.alpha)
    return frame._replace(color=flatten(picture, settings.matte_color))
