"""What moves behind a subject: a clip, an animated picture or numbered pictures, by time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.animations import is_animated
from mattecli.core.imaging.clips.reading import is_clip
from mattecli.core.imaging.colors import is_color
from mattecli.core.imaging.frame_folders import is_numbered
from mattecli.core.imaging.moving import open_frames
from mattecli.core.imaging.pixels import MAX_PIXELS, Picture
from mattecli.core.matting.flattening import flatten
from mattecli.core.objects.paths import located


class _Shown(NamedTuple):
    """A picture, and the time in seconds up to which it is seen."""

    color: np.ndarray
    until: Fraction


def moves(text: str) -> bool:
    """Tell whether a background, as the user names it, is one of several frames."""
    if is_color(text):
        return False
    path = located(text)
    return is_numbered(path) or is_clip(path) or is_animated(path)


class Backdrop:
    """A background that moves; its frames are asked for in the order of their times.

    Parameters
    ----------
    path : Path
        What `open_frames` reads.
    loops : bool
        Whether it begins anew at its end; otherwise its last frame stays.
    rate : float, optional
        Frames a second of numbered pictures.

    Attributes
    ----------
    problems : list of str
        What was wrong with it, once its end was reached.

    Raises
    ------
    MatteError
        Here and in `at`, if it cannot be read.
    """

    def __init__(
        self,
        path: Path,
        *,
        loops: bool = True,
        rate: float | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.problems: list[str] = []
        self._path, self._loops, self._rate, self._max_pixels = path, loops, rate, max_pixels
        self._frames = self._rounds()
        self._shown = next(self._frames)

    def at(self, time: Fraction) -> np.ndarray:
        """Give what is seen at a time in seconds, uint8 or uint16 of shape (H, W, 3)."""
        while time >= self._shown.until:
            following = next(self._frames, None)
            if following is None:
                break
            self._shown = following
        return self._shown.color

    def close(self) -> None:
        """Close its file."""
        self._frames.close()

    def _rounds(self) -> Generator[_Shown, None, None]:
        """Give frame after frame, round after round."""
        begin = Fraction(0)
        while True:
            end = begin
            for shown in self._round(begin):
                end = shown.until
                yield shown
            if not self._loops:
                return
            if end <= begin:
                raise MatteError(f"{self._path} has no length: it cannot be a background")
            begin = end

    def _round(self, begin: Fraction) -> Iterator[_Shown]:
        white = np.ones(3, np.float32)
        with open_frames(self._path, self._max_pixels, rate=self._rate) as clip:
            usual = 1 / clip.rate
            before = None
            for frame in clip.frames():
                time = begin + frame.time * clip.time_base
                if before is not None:
                    yield _Shown(before, time)
                before = flatten(Picture(frame.color, frame.alpha), white)
                last = time + (frame.duration * clip.time_base or usual)
            if before is None:
                raise MatteError(f"{self._path} holds no frames")
            yield _Shown(before, last)
            if not self.problems:
                self.problems = [f"its background {self._path}: {one}" for one in clip.problems]
