"""From a photo and its matte to what the user asked for: alpha, cutout, foreground, composite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np

from mattecli.core.imaging.pixels import Picture, to_8_bit, to_16_bit, to_bits, to_unit
from mattecli.core.matting.blocks import Block, blocks
from mattecli.core.matting.compositing import composite
from mattecli.core.matting.foreground import estimate_foreground
from mattecli.core.matting.placing import fill_frame

# Colour is kept under transparent pixels this far from the subject, in pixels, so that resampling
# a cutout mixes in no black; farther out it is cleared, which hides the old background and packs
# well.
_RIM = 8
_NEAR = np.ones((2 * _RIM + 1, 2 * _RIM + 1), np.uint8)
# Smaller alpha is stored as 0 in 8 bits.
_VISIBLE = 0.5 / 255
# Rows that are mixed at once.
_STRIP = 64


@dataclass(frozen=True)
class OutputSpec:
    """What is made of a photo.

    Attributes
    ----------
    kinds : tuple of str
        Any of `KINDS`.
    bits : int
        8 or 16 per channel.
    background : ndarray or None
        For composites: a colour of shape (3,), float32 in [0, 1], or a picture of shape (H, W, 3),
        uint8 or uint16.
    crop : float or None
        Crop to the subject, with a margin of this share of its longer side; None keeps the frame.
    """

    kinds: tuple[str, ...] = ("cutout",)
    bits: int = 8
    background: np.ndarray | None = None
    crop: float | None = None


class Subject:
    """A photo and its matte, and what several kinds of output share.

    Parameters
    ----------
    color : ndarray of shape (H, W, 3), uint8 or uint16
    alpha : float32 ndarray of shape (H, W), in [0, 1]
    bits : int
        8 or 16 per channel of the outputs.

    Attributes
    ----------
    box : pair of slices
        The subject and what is around it, outside of which all is transparent.
    """

    def __init__(self, color: np.ndarray, alpha: np.ndarray, bits: int) -> None:
        self.alpha, self.bits = alpha, bits
        self.box = subject_box(alpha, _RIM)
        self._color = color

    @cached_property
    def foreground(self) -> np.ndarray:
        """Colours without their old background, in the box: ndarray of shape (h, w, 3)."""
        color = to_8_bit(self._color) if self.bits == 8 else to_16_bit(self._color)
        return estimate_foreground(color[self.box], self.alpha[self.box])


class Output(Protocol):
    """One kind of output."""

    def render(self, subject: Subject) -> np.ndarray:
        """Make it, in the photo's frame, uint8 or uint16."""
        ...


class AlphaOutput:
    """The matte, grey."""

    def render(self, subject: Subject) -> np.ndarray:
        """Give an ndarray of shape (H, W)."""
        return to_bits(subject.alpha, subject.bits)


class CutoutOutput:
    """Straight colours and alpha; colours far from the subject are cleared."""

    def render(self, subject: Subject) -> np.ndarray:
        """Give an ndarray of shape (H, W, 4)."""
        foreground, alpha, box = subject.foreground, subject.alpha, subject.box
        result = np.zeros((*alpha.shape, 4), foreground.dtype)
        near = cv2.dilate((alpha[box] > _VISIBLE).view(np.uint8), _NEAR)
        inside = result[box]
        for strip in _strips(foreground.shape):
            inside[strip][..., :3] = cv2.copyTo(foreground[strip], near[strip])
        for strip in _strips(alpha.shape):
            result[strip][..., 3] = to_bits(alpha[strip], subject.bits)
        return result


class ForegroundOutput:
    """Colours alone, continued over the whole frame."""

    def render(self, subject: Subject) -> np.ndarray:
        """Give an ndarray of shape (H, W, 3)."""
        return extend_to_frame(subject.foreground, subject.box, subject.alpha.shape)


class CompositeOutput:
    """The subject on a colour, float32 of shape (3,) in [0, 1], or a picture."""

    def __init__(self, background: np.ndarray | None) -> None:
        assert background is not None, "a composite needs a background"
        self.background = background

    def render(self, subject: Subject) -> np.ndarray:
        """Give an ndarray of shape (H, W, 3)."""
        background, bits, box = self.background, subject.bits, subject.box
        foreground = subject.foreground
        if background.ndim == 1:
            result = np.empty((*subject.alpha.shape, 3), foreground.dtype)
            result[:] = to_bits(background, bits)
        else:
            background = to_8_bit(background) if bits == 8 else to_16_bit(background)
            result = fill_frame(background, subject.alpha.shape)
        inside, alpha = result[box], subject.alpha[box]
        for strip in _strips(alpha.shape):
            behind = to_unit(inside[strip]) if background.ndim == 3 else background
            mixed = composite(alpha[strip], to_unit(foreground[strip]), behind)
            inside[strip] = to_bits(mixed, bits)
        return result


#: How each kind of output is made.
OUTPUTS: dict[str, Callable[[OutputSpec], Output]] = {
    "cutout": lambda spec: CutoutOutput(),
    "alpha": lambda spec: AlphaOutput(),
    "foreground": lambda spec: ForegroundOutput(),
    "composite": lambda spec: CompositeOutput(spec.background),
}
KINDS = tuple(OUTPUTS)


def render_outputs(color: np.ndarray, alpha: np.ndarray, spec: OutputSpec) -> dict[str, np.ndarray]:
    """Make every output of one photo.

    Parameters
    ----------
    color : ndarray of shape (H, W, 3), uint8 or uint16
    alpha : float32 ndarray of shape (H, W), in [0, 1]

    Returns
    -------
    dict of ndarray
        For each kind an image of 8 or 16 bits: ``alpha`` is grey, ``cutout`` RGBA with straight
        colour, the others RGB.
    """
    subject = Subject(color, alpha, spec.bits)
    results = {kind: OUTPUTS[kind](spec).render(subject) for kind in spec.kinds}
    if spec.crop is not None:
        height, width = (part.stop - part.start for part in subject_box(alpha, 0))
        window = subject_box(alpha, round(spec.crop * max(height, width)))
        results = {kind: result[window] for kind, result in results.items()}
    return results


def flatten(picture: Picture, matte_color: np.ndarray) -> np.ndarray:
    """Lay a picture that has an alpha channel onto a colour; others pass unchanged.

    Parameters
    ----------
    matte_color : float32 ndarray of shape (3,), in [0, 1]

    Returns
    -------
    ndarray of shape (H, W, 3), dtype of the picture
    """
    if picture.alpha is None:
        return picture.color
    flat = np.empty_like(picture.color)
    for strip in _strips(flat.shape):
        mixed = composite(to_unit(picture.alpha[strip]), to_unit(picture.color[strip]), matte_color)
        flat[strip] = to_bits(mixed, 8 * flat.itemsize)
    return flat


def subject_box(alpha: np.ndarray, margin: int) -> Block:
    """Find the rows and columns that hold the subject, and `margin` pixels around, in the frame.

    Without any subject the box is the whole frame.
    """
    visible = alpha > _VISIBLE
    rows, columns = visible.any(axis=1).nonzero()[0], visible.any(axis=0).nonzero()[0]
    if rows.size == 0:
        return slice(0, alpha.shape[0]), slice(0, alpha.shape[1])
    down, across = (
        slice(max(0, int(found[0]) - margin), min(length, int(found[-1]) + 1 + margin))
        for found, length in zip((rows, columns), alpha.shape, strict=True)
    )
    return down, across


def _strips(shape: tuple[int, ...]) -> Iterator[Block]:
    """Go through a picture in strips, as no picture of floats need be held whole."""
    return blocks((shape[0], shape[1]), _STRIP, shape[1])


def extend_to_frame(inner: np.ndarray, box: Block, frame: tuple[int, int]) -> np.ndarray:
    """Continue the colours at the edge of the box to the whole frame (height, width)."""
    (top, bottom), (left, right) = (
        (part.start, length - part.stop) for part, length in zip(box, frame, strict=True)
    )
    return cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_REPLICATE)
