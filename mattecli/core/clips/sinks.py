"""Where the frames of a clip go once their mattes are there: into clips, or into pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from mattecli.core.clips.smoothing import FrameMatte
from mattecli.core.imaging.animations import FORMATS, AnimationWriter
from mattecli.core.imaging.clips.codecs import CONTAINERS
from mattecli.core.imaging.clips.colors import STANDARD
from mattecli.core.imaging.clips.groups import GroupStore
from mattecli.core.imaging.clips.pipe_writing import PIPES, PipeWriter
from mattecli.core.imaging.clips.reading import Frame
from mattecli.core.imaging.clips.writing import ClipWriter
from mattecli.core.imaging.frame_folders import is_numbered, numbered
from mattecli.core.imaging.moving import MovingPicture
from mattecli.core.imaging.pixels import Picture
from mattecli.core.inference.assessment import Assessment, assess
from mattecli.core.inference.jobs import Job
from mattecli.core.inference.run import Settings, finish
from mattecli.core.inference.steps import Item
from mattecli.core.matting.full_size import NetworkMatte, full_size_alpha
from mattecli.core.matting.outputs import GREY, TRANSPARENT, OutputSpec, render_outputs
from mattecli.core.storage import whole_file


class _Track(NamedTuple):
    """One of the files that a clip becomes."""

    kind: str
    writer: Any


class IntoClips:
    """Frames become frames, of one clip for each kind; sound goes with the first."""

    def __init__(self, tracks: list[_Track], settings: Settings) -> None:
        self._tracks = tracks
        self._refine = settings.refine
        self._spec = settings.outputs
        self.take_audio: Callable[[Any], None] | None = tracks[0].writer.write_audio

    @property
    def has_groups(self) -> bool:
        """Whether frames are encoded in groups that can be kept."""
        return all(isinstance(track.writer, ClipWriter) for track in self._tracks)

    def make(
        self, _: int, seen: FrameMatte[Frame], behind: np.ndarray | None
    ) -> tuple[list[Any], Assessment]:
        """Cut a frame, and convert it for each of the clips; work for any thread."""
        picture = Picture(seen.payload.color, seen.payload.alpha)
        alpha = full_size_alpha(picture, NetworkMatte(seen.matte, seen.image), self._refine)
        made: dict[tuple[str, int], np.ndarray] = {}
        for bits in {track.writer.bits for track in self._tracks}:
            kinds = tuple(track.kind for track in self._tracks if track.writer.bits == bits)
            spec = replace(_on(self._spec, behind), kinds=kinds, bits=bits)
            results = render_outputs(seen.payload.color, alpha, spec)
            made |= {(kind, bits): results[kind] for kind in kinds}
        frames = [
            track.writer.convert(made[track.kind, track.writer.bits], seen.payload)
            for track in self._tracks
        ]
        return frames, assess(alpha, seen.image, seen.matte.shape)

    def take(self, made: list[Any]) -> None:
        """Write the next frame."""
        for track, frame in zip(self._tracks, made, strict=True):
            track.writer.write(frame)

    def end_group(self) -> None:
        """End a group of frames."""
        for track in self._tracks:
            track.writer.end_group()

    def keep_in(self, store: GroupStore) -> None:
        """Let a store have all packets."""
        for number, track in enumerate(self._tracks):
            track.writer.keep = partial(store.keep, number)

    def copy_group(self, store: GroupStore, group: int) -> None:
        """Write a group of an earlier run."""
        for number, track in enumerate(self._tracks):
            track.writer.copy(store.packets(group, number, track.writer.time_base))


def pictures_in(place: Path, suffix: str) -> Path:
    """Give the pattern of the pictures that a clip becomes, of a folder or of such a pattern."""
    return place if is_numbered(place) else place / f"%06d{suffix}"


class IntoPictures:
    """Frames become pictures that are named by their numbers."""

    take_audio = None
    has_groups = False

    def __init__(self, job: Job, settings: Settings, overwrite: bool) -> None:
        self._job, self._settings, self._overwrite = job, settings, overwrite

    def make(
        self, number: int, seen: FrameMatte[Frame], behind: np.ndarray | None
    ) -> tuple[None, Assessment]:
        """Cut a frame and write it; work for any thread."""
        outputs = {
            kind: numbered(pictures_in(place, self._settings.suffix), number)
            for kind, place in self._job.outputs.items()
        }
        if not self._overwrite and all(path.exists() for path in outputs.values()):
            return None, assess(seen.matte, seen.image)
        picture = Picture(seen.payload.color, seen.payload.alpha)
        found = NetworkMatte(seen.matte, seen.image)
        settings = replace(self._settings, outputs=_on(self._settings.outputs, behind))
        outcome = finish(Item(Job(self._job.source, outputs), picture, found), settings)
        assert outcome.assessment is not None
        return None, outcome.assessment

    def take(self, _: None) -> None:
        """There is nothing left to do."""


Sink: TypeAlias = "IntoClips | IntoPictures"


@contextmanager
def open_sink(job: Job, clip: MovingPicture, settings: Settings, overwrite: bool) -> Iterator[Sink]:
    """Open what a clip becomes; files are there once the block has ended well."""
    into_clips = settings.suffix in (*CONTAINERS, *FORMATS, *PIPES)
    if beyond := clip.colors.beyond_srgb:
        kept = "are kept without tone mapping" if into_clips else "are taken for sRGB and look dull"
        clip.notes.append(f"its colors ({beyond}) {kept}")
    if not into_clips:
        yield IntoPictures(job, settings, overwrite)
        return
    with ExitStack() as stack:
        tracks: list[_Track] = []
        for kind, path in job.outputs.items():
            is_piped = settings.suffix in PIPES
            temporary = path if is_piped else stack.enter_context(whole_file(path))
            suffix = settings.suffix if len(job.outputs) == 1 else path.suffix
            writer = _writer(temporary, suffix, kind, clip, settings, silent=bool(tracks))
            tracks.append(_Track(kind, stack.enter_context(writer)))
        yield IntoClips(tracks, settings)


def _writer(
    path: Path, suffix: str, kind: str, clip: MovingPicture, settings: Settings, *, silent: bool
) -> ClipWriter | AnimationWriter | PipeWriter:
    if settings.suffix in PIPES:
        channels = 1 if kind in GREY else 4 if kind in TRANSPARENT else 3
        return PipeWriter(settings.suffix, clip, channels=channels, bits=settings.outputs.bits)
    if suffix in FORMATS:
        return AnimationWriter(path, suffix, clip, settings.quality)
    return ClipWriter(
        path,
        suffix,
        clip,
        transparent=kind in TRANSPARENT,
        encoding=settings.encoding,
        keep_metadata=settings.keep_metadata,
        # Mattes have no color, and are no HDR where the clip is.
        colors=STANDARD if kind in GREY else clip.colors,
        silent=silent,
    )


def _on(spec: OutputSpec, behind: np.ndarray | None) -> OutputSpec:
    """Put a frame of a moving background in its place."""
    return spec if behind is None else replace(spec, background=behind)
