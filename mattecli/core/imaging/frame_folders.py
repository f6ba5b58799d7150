"""Numbered pictures such as ``frames/%06d.png``: read like a clip, and named."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from mattecli.core.errors import MatteError
from mattecli.core.imaging.clips.colors import STANDARD
from mattecli.core.imaging.clips.reading import Frame
from mattecli.core.imaging.pixels import MAX_PIXELS, Picture
from mattecli.core.imaging.reading import read_picture, to_srgb

#: Frames a second, where nobody says it.
RATE = 25
_NUMBER = re.compile(r"%(?:0(\d+))?d")


def is_numbered(path: str | Path) -> bool:
    """Tell whether a name is a pattern of numbered pictures, with one ``%d`` or ``%06d``."""
    return len(_NUMBER.findall(Path(path).name)) == 1 and not Path(path).exists()


def numbered(pattern: Path, number: int) -> Path:
    """Give the name of one picture."""
    (digits,) = _NUMBER.findall(pattern.name)
    return pattern.with_name(_NUMBER.sub(f"{number:0{int(digits or 1)}}", pattern.name))


def has_number(pattern: Path, path: Path) -> bool:
    """Tell whether a path is one of those that a pattern stands for."""
    found = _form(pattern).fullmatch(path.name)
    return found is not None and numbered(pattern, int(found[1])) == path


def files_of(pattern: Path) -> list[Path]:
    """List the numbered pictures that are there.

    Raises
    ------
    MatteError
        If there are none.
    """
    return [numbered(pattern, number) for number in _numbers(pattern)]


class FrameFolder:
    """Numbered pictures, open as a clip; a context manager like `ClipReader`.

    Numbers may start anywhere and have gaps, which take up their time.

    Parameters
    ----------
    path : Path
        A name with ``%d``, or ``%06d`` for numbers of six digits.
    max_pixels : int
    rate : float, optional
        Frames a second.

    Attributes
    ----------
    width, height, pixel_shape, rate, time_base, frame_count, colors, audio, metadata, problems, \
notes
        As those of `ClipReader`.

    Raises
    ------
    MatteError
        If there are no such pictures, or the first cannot be read.
    """

    def __init__(self, path: Path, max_pixels: int = MAX_PIXELS, rate: float | None = None) -> None:
        self.path, self._max_pixels = path, max_pixels
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.audio: list[Any] = []
        self.metadata: dict[str, str] = {}
        self.colors, self.pixel_shape = STANDARD, Fraction(1)
        self.rate = Fraction(rate or RATE).limit_denominator(1001)
        self.time_base = 1 / self.rate
        self._numbers = _numbers(path)
        self.frame_count = len(self._numbers)
        first = self._picture(self._numbers[0])
        self.height, self.width = first.color.shape[:2]

    def frames(self, take_audio: Callable[[Any], None] | None = None) -> Iterator[Frame]:
        """Read picture after picture, with 16 bits where they have them; there is no sound.

        Raises
        ------
        MatteError
            If one cannot be read, or has another size than the first.
        """
        for number in self._numbers:
            picture = self._picture(number)
            if picture.color.shape[:2] != (self.height, self.width):
                height, width = picture.color.shape[:2]
                raise MatteError(
                    f"{numbered(self.path, number)} is {width}x{height} but the first frame "
                    f"{self.width}x{self.height}: frames of a clip have one size"
                )
            yield Frame(picture.color, number - self._numbers[0], 1, picture.alpha)

    def _picture(self, number: int) -> Picture:
        path = numbered(self.path, number)
        return to_srgb(read_picture(path, self._max_pixels))

    def __enter__(self) -> FrameFolder:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to close between pictures."""


def _form(pattern: Path) -> re.Pattern[str]:
    before, after = (re.escape(part) for part in re.split(r"%\d*d", pattern.name))
    return re.compile(f"{before}(\\d+){after}")


def _numbers(pattern: Path) -> list[int]:
    """List the numbers for which there is a picture."""
    form = _form(pattern)
    try:
        names = {entry.name for entry in os.scandir(pattern.parent)}
    except OSError as error:
        reason = error.strerror or error
        raise MatteError(f"cannot list {pattern.parent}: {reason}") from None
    found = {int(match[1]) for match in map(form.fullmatch, names) if match}
    numbers = sorted(number for number in found if numbered(pattern, number).name in names)
    if not numbers:
        raise MatteError(f"there are no pictures {pattern}")
    return numbers
