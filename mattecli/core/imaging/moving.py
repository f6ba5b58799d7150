"""Whatever has frames: clips, animated pictures, numbered pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from mattecli.core.imaging.animations import AnimationReader
from mattecli.core.imaging.clips.colors import Colors
from mattecli.core.imaging.clips.parts import ClipPart, Range
from mattecli.core.imaging.clips.pipes import PipedReader, RawFrames
from mattecli.core.imaging.clips.reading import ClipReader, Frame, is_clip
from mattecli.core.imaging.frame_folders import FrameFolder, is_numbered
from mattecli.core.imaging.pixels import MAX_PIXELS


class MovingPicture(Protocol):
    """Something with frames that is open for reading; see `ClipReader` for what it has."""

    path: Path
    width: int
    height: int
    pixel_shape: Fraction
    rate: Fraction
    time_base: Fraction
    frame_count: int | None
    colors: Colors
    audio: list[Any]
    metadata: dict[str, str]
    problems: list[str]
    notes: list[str]

    def frames(self, take_audio: Callable[[Any], None] | None = None) -> Iterator[Frame]:
        """Decode frame after frame; packets of sound are given to `take_audio`."""
        ...


@contextmanager
def open_frames(
    path: Path,
    max_pixels: int = MAX_PIXELS,
    part: Range | None = None,
    rate: float | None = None,
    raw: RawFrames | None = None,
) -> Iterator[MovingPicture]:
    """Open a clip, an animated picture, or numbered pictures such as ``frames/%06d.png``.

    ``-`` is a stream of frames on standard input.

    Parameters
    ----------
    part : Range, optional
        The part that is wanted; all of it by default.
    rate : float, optional
        Frames a second of numbered pictures.
    raw : RawFrames, optional
        What frames on standard input are that have no header.

    Raises
    ------
    MatteError
        If it cannot be read.
    """
    opened: Any
    if str(path) == "-":
        opened = PipedReader(raw, max_pixels)
    elif is_clip(path):
        opened = ClipReader(path, max_pixels)
    elif is_numbered(path):
        opened = FrameFolder(path, max_pixels, rate)
    else:
        opened = AnimationReader(path, max_pixels)
    with opened:
        yield opened if part is None or part.is_all else ClipPart(opened, part)
