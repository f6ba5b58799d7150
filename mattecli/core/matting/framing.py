"""Where the subject lies in a picture that is made for a shop: canvas, room around it, size."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.pixels import MAX_PIXELS
from mattecli.core.matting.blocks import Block
from mattecli.core.matting.placing import resize
from mattecli.core.matting.subject import VISIBLE, Subject, subject_box

#: Room around the subject on a canvas, as a share of it, where nothing else is said.
PAD = 0.08
ALIGNMENTS = ("center", "bottom")
_CANVAS = re.compile(r"(\d{1,6})x(\d{1,6})|(\d{1,6}(?:\.\d+)?):(\d{1,6}(?:\.\d+)?)")
# Where alpha is above this the subject begins, for its size on the canvas.
_SOLID = 0.1
# Enlarging by more than this shows.
_NOTABLE = 1.25


@dataclass(frozen=True)
class Canvas:
    """A frame of so many pixels, or one of these proportions that is as large as the subject asks.

    Attributes
    ----------
    width, height : float
    in_pixels : bool
    """

    width: float
    height: float
    in_pixels: bool


@dataclass(frozen=True)
class Framing:
    """How a subject is placed.

    Attributes
    ----------
    canvas : Canvas or None
        None has the subject's own proportions.
    pad : float or None
        Room on each side, as a share of the canvas's width and height; None is what
        `subject_share` leaves, or `PAD`.
    align : {"center", "bottom"}
    subject_share : float or None
        Share of the canvas's width or height, whichever fills up first, that the subject takes;
        None fills all that `pad` leaves.
    max_pixels : int
        A larger canvas is refused.
    """

    canvas: Canvas | None = None
    pad: float | None = None
    align: str = "center"
    subject_share: float | None = None
    max_pixels: int = MAX_PIXELS

    @property
    def share(self) -> float:
        """The part of the canvas that the subject may take."""
        if self.subject_share is not None:
            return self.subject_share
        return 1 - 2 * (PAD if self.pad is None else self.pad)

    @property
    def room(self) -> float:
        """The room that stays free on each side."""
        return (1 - self.share) / 2 if self.pad is None else self.pad


def parse_canvas(text: str, max_pixels: int = MAX_PIXELS) -> Canvas:
    """Understand ``2000x2000`` (width × height in pixels) or ``4:5`` (proportions).

    Raises
    ------
    MatteError
    """
    found = _CANVAS.fullmatch(text.strip().lower().replace("×", "x"))
    sides = [float(side) for side in found.groups() if side] if found else []
    if not found or min(sides) <= 0 or max(sides) / min(sides) > 100:
        raise MatteError(f"'{text}' is no canvas: use WIDTHxHEIGHT in pixels, or W:H such as 4:5")
    in_pixels = found[1] is not None
    if in_pixels and sides[0] * sides[1] > max_pixels:
        raise MatteError(f"a canvas of {text} is more than {max_pixels / 1e6:g} megapixels")
    return Canvas(sides[0], sides[1], in_pixels)


def parse_share(text: str, most: float) -> float:
    """Understand ``8%`` or ``0.08``, from 0 to `most`.

    Raises
    ------
    MatteError
    """
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        if not 0 <= value <= most:
            raise ValueError
    except ValueError:
        raise MatteError(f"'{text}' is no share: use 0% to {most:.0%}, such as 8%") from None
    return value


class PlacedSubject(Subject):
    """A subject on its canvas.

    Attributes
    ----------
    enlarged : float
        How many times as large as in the photo it is.
    """

    def __init__(self, subject: Subject, framing: Framing) -> None:
        # Haze around a subject takes no room that it could fill itself.
        least = _SOLID if subject.alpha.max() > _SOLID else VISIBLE
        box = subject_box(subject.alpha, 0, least)
        size = box[0].stop - box[0].start, box[1].stop - box[1].start
        frame, self.enlarged = frame_of(size, framing)
        top, left = (
            (room - length * self.enlarged) / 2 for length, room in zip(size, frame, strict=True)
        )
        if framing.align == "bottom":
            # What is thinner than a pixel still takes the last one.
            lowest = min(frame[0] * (1 - framing.room) - size[0] * self.enlarged, frame[0] - 1)
            top = max(0.0, lowest)
        # What is beside the subject's box has colors too, so that no black is mixed into its rim.
        window = _window(box, subject.box, (top, left), frame, self.enlarged)
        target, source, taken = _target(box, window, (top, left), frame, self.enlarged)
        # Of a few pixels, those around them that show in part only are larger than the canvas.
        if math.prod(taken) > 2 * framing.max_pixels:
            raise MatteError(
                f"a subject of {size[1]}x{size[0]} pixels is too small for a canvas of "
                f"{frame[1]}x{frame[0]}"
            )
        alpha = np.zeros(frame, np.float32)
        alpha[target] = resize(subject.alpha[window], *taken)[source]
        super().__init__(subject.color, alpha, subject.bits)
        self.photo = subject
        self.box = target
        rows, columns = (
            slice(part.start - outer.start, part.stop - outer.start)
            for part, outer in zip(window, subject.box, strict=True)
        )
        self.foreground = resize(subject.foreground[rows, columns], *taken)[source]

    @property
    def is_enlarged(self) -> bool:
        """Whether that shows."""
        return self.enlarged > _NOTABLE


def frame_of(size: tuple[int, int], framing: Framing) -> tuple[tuple[int, int], float]:
    """Give the canvas's (height, width), and the factor on the subject's size."""
    height, width = size
    canvas, share = framing.canvas, framing.share
    if canvas is not None and canvas.in_pixels:
        scale = min(share * canvas.height / height, share * canvas.width / width)
        return (int(canvas.height), int(canvas.width)), scale
    ratio = canvas.width / canvas.height if canvas else width / height
    across = max(width, height * ratio) / share
    frame = max(1, round(across / ratio)), max(1, round(across))
    if math.prod(frame) > framing.max_pixels:
        raise MatteError(
            f"a canvas of {frame[1]}x{frame[0]} pixels is more than {framing.max_pixels / 1e6:g} "
            "megapixels: name its size, such as 2000x2000"
        )
    return frame, 1.0


def _window(
    box: Block, most: Block, corner: tuple[float, float], frame: tuple[int, int], scale: float
) -> Block:
    """Grow the box to what shows on the canvas, as far as `most`."""
    rows, columns = (
        slice(
            max(outer.start, inner.start - math.ceil(start / scale) - 1),
            min(outer.stop, math.ceil(inner.start + (room - start) / scale) + 1),
        )
        for inner, outer, start, room in zip(box, most, corner, frame, strict=True)
    )
    return rows, columns


def _target(
    box: Block,
    window: Block,
    corner: tuple[float, float],
    frame: tuple[int, int],
    scale: float,
) -> tuple[Block, Block, tuple[int, int]]:
    """Give where on the canvas the window shows, which part of it, and its size there.

    `corner` is where the upper left corner of the box goes.
    """
    rows, columns = (
        _stretch(inner, outer, start, room, scale)
        for inner, outer, start, room in zip(box, window, corner, frame, strict=True)
    )
    return (rows[0], columns[0]), (rows[1], columns[1]), (rows[2], columns[2])


def _stretch(
    inner: slice, outer: slice, start: float, room: int, scale: float
) -> tuple[slice, slice, int]:
    """Do what `_target` does in one direction."""
    length = max(1, round((outer.stop - outer.start) * scale))
    first = round(start - (inner.start - outer.start) * scale)
    begin = max(first, 0)
    end = max(begin, min(first + length, room))
    return slice(begin, end), slice(begin - first, end - first), length
