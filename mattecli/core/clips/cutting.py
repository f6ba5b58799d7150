"""Cutting a clip frame by frame, into other clips or into a folder of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mattecli.core.clips.mattes import ClipMattes, frame_mattes
from mattecli.core.clips.resuming import Resuming
from mattecli.core.clips.sinks import Sink, open_sink
from mattecli.core.clips.smoothing import FrameMatte, smooth
from mattecli.core.device import usable_cores
from mattecli.core.errors import OutputUnusable
from mattecli.core.imaging.animations import FORMATS
from mattecli.core.imaging.clips.codecs import CONTAINERS
from mattecli.core.imaging.clips.groups import GROUP, GroupStore
from mattecli.core.imaging.clips.pipe_writing import PIPES
from mattecli.core.imaging.clips.reading import Frame
from mattecli.core.imaging.frame_folders import is_numbered
from mattecli.core.imaging.moving import MovingPicture
from mattecli.core.imaging.pixels import Picture
from mattecli.core.inference.assessment import Assessment
from mattecli.core.inference.jobs import Job
from mattecli.core.inference.ordered import in_order
from mattecli.core.inference.predictor import Predictor
from mattecli.core.inference.run import Settings
from mattecli.core.inference.run_options import RunOptions
from mattecli.core.matting.backdrops import Backdrop
from mattecli.core.matting.flattening import flatten
from mattecli.core.objects.paths import ObjectPath


class Stopped(Exception):
    """A clip was left because it was asked to."""


@dataclass(frozen=True)
class ClipWay:
    """How a clip is cut.

    Attributes
    ----------
    run : RunOptions
    smoothed : bool
        Whether to `smooth` the mattes.
    guided : bool
        Whether the network is told the matte of the frame before; see `ClipMattes`.
    backdrop : Backdrop, optional
        A background that moves.
    stopped : callable
        Asked before each frame.
    """

    run: RunOptions
    smoothed: bool = True
    guided: bool = False
    backdrop: Backdrop | None = None
    stopped: Callable[[], bool] = lambda: False


def clip_job(source: Path, out: Path, kinds: tuple[str, ...], suffix: str) -> Job:
    """Name what becomes of a clip: a file, or a folder of pictures for each of several kinds."""
    if suffix in (*CONTAINERS, *FORMATS, *PIPES):
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
    way: ClipWay,
    store: GroupStore | None = None,
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
    store : GroupStore, optional
        Keeps groups of frames, and has those that are done already; see `group_store`.

    Raises
    ------
    MatteError
        If the clip is damaged, or the result cannot be written; a file is then not there.
    Stopped
        If it was asked to stop; a file is then not there.
    """
    workers = way.run.workers or min(usable_cores(), 8)
    with (
        open_sink(job, clip, settings, way.run.overwrite) as sink,
        ThreadPoolExecutor(workers, "finish") as pool,
    ):
        mattes = _clip_mattes(job, clip, predictor, settings, guided=way.guided)
        resuming = Resuming(store, sink, mattes)
        yield from resuming.assessments()
        found = resuming.watched(
            frame_mattes(
                (_flat(frame, settings) for frame in resuming.rest(clip.frames(sink.take_audio))),
                predictor.at_scale(1),
                way.run.batch_size_on(predictor.device_type),
                mattes,
            )
        )
        frames = smooth(found, before=resuming.before()) if way.smoothed else found
        for number, assessment in _finished(
            enumerate(frames, resuming.done + 1), clip, sink, way, pool
        ):
            resuming.took(number, assessment)
            yield assessment
    if mattes is not None and mattes.lost:
        clip.notes.append("what was chosen is followed up to the first cut between scenes only")
    if way.backdrop is not None:
        clip.problems.extend(way.backdrop.problems)


@contextmanager
def group_store(
    job: Job, clip: MovingPicture, settings: Settings, run: RunOptions, said: str
) -> Iterator[GroupStore | None]:
    """Open what keeps groups of frames while a clip is cut; None where there is nothing to keep.

    What is whole of it stays if the block is interrupted, or if nothing more can be written.

    Parameters
    ----------
    said : str
        What the result depends on beside the clip.
    """
    paths = list(job.outputs.values())
    into_files = settings.suffix in CONTAINERS and not any(
        isinstance(path, ObjectPath) for path in paths
    )
    if not into_files or (clip.frame_count is not None and clip.frame_count <= GROUP):
        yield None
        return
    store = GroupStore(paths[0], said, resume=not run.overwrite)
    if store.thrown_away:
        clip.notes.append("begun anew, as other options or another clip had been broken off")
    try:
        yield store
    except (Stopped, KeyboardInterrupt, OutputUnusable):
        store.close()
        raise
    except BaseException:
        store.discard()
        raise
    store.discard()


def _finished(
    frames: Iterable[tuple[int, FrameMatte[Frame]]],
    clip: MovingPicture,
    sink: Sink,
    way: ClipWay,
    pool: Executor,
) -> Iterator[tuple[int, Assessment]]:
    """Let threads make what becomes of numbered frames, and hand it to the sink in order."""

    def numbered_frames() -> Iterator[tuple[int, FrameMatte[Frame], np.ndarray | None]]:
        for number, seen in frames:
            if way.stopped():
                raise Stopped
            time = seen.payload.time * clip.time_base
            yield number, seen, None if way.backdrop is None else way.backdrop.at(time)

    def make(*frame: Any) -> tuple[int, Any, Assessment]:
        return (frame[0], *sink.make(*frame))

    workers = way.run.workers or min(usable_cores(), 8)
    for number, made, assessment in in_order(pool, make, numbered_frames(), workers):
        sink.take(made)
        yield number, assessment


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


def _flat(frame: Frame, settings: Settings) -> Frame:
    """Lay a frame that has an alpha channel onto the color that photos are laid onto."""
    picture = Picture(frame.color, frame.alpha)
    return frame._replace(color=flatten(picture, settings.matte_color))
