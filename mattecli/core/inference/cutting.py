"""From a photo and its matte to what the user asked for: alpha, cutout, foreground, composite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from mattecli.core.dataset.compositing import composite
from mattecli.core.dataset.foreground import estimate_foreground
from mattecli.core.imaging.blocks import Block, blocks
from mattecli.core.imaging.deep_color import to_16_bit
from mattecli.core.imaging.placing import fill_frame
from mattecli.core.imaging.reading import Picture, to_8_bit, to_bits, to_unit

KINDS = ("cutout", "alpha", "foreground", "composite")

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
class Cut:
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


def cut(color: np.ndarray, alpha: np.ndarray, wanted: Cut) -> dict[str, np.ndarray]:
    """Make everything that is wanted of one photo.

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
    frame = alpha.shape
    box = subject_box(alpha, _RIM)
    results: dict[str, np.ndarray] = {}
    foreground = None
    if set(wanted.kinds) - {"alpha"}:
        whole = to_8_bit(color) if wanted.bits == 8 else to_16_bit(color)
        foreground = estimate_foreground(whole[box], alpha[box])
    for kind in wanted.kinds:
        if kind == "alpha":
            result = to_bits(alpha, wanted.bits)
        elif kind == "cutout":
            result = _cutout(foreground, alpha, box)
        elif kind == "foreground":
            result = _beyond(foreground, box, frame)
        else:
            result = _composite(foreground, alpha, box, wanted.background)
        results[kind] = result
    if wanted.crop is not None:
        height, width = (part.stop - part.start for part in subject_box(alpha, 0))
        window = subject_box(alpha, round(wanted.crop * max(height, width)))
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
    return tuple(
        slice(max(0, int(found[0]) - margin), min(length, int(found[-1]) + 1 + margin))
        for found, length in zip((rows, columns), alpha.shape, strict=True)
    )


def _cutout(foreground: np.ndarray, alpha: np.ndarray, box: Block) -> np.ndarray:
    """Put colour and alpha together; colour that is far from the subject is cleared."""
    result = np.zeros((*alpha.shape, 4), foreground.dtype)
    near = cv2.dilate((alpha[box] > _VISIBLE).view(np.uint8), _NEAR)
    inside = result[box]
    for strip in _strips(foreground.shape):
        inside[strip][..., :3] = cv2.copyTo(foreground[strip], near[strip])
    for strip in _strips(alpha.shape):
        result[strip][..., 3] = to_bits(alpha[strip], 8 * foreground.itemsize)
    return result


def _composite(
    foreground: np.ndarray, alpha: np.ndarray, box: Block, background: np.ndarray
) -> np.ndarray:
    bits = 8 * foreground.itemsize
    if background.ndim == 1:
        result = np.empty((*alpha.shape, 3), foreground.dtype)
        result[:] = to_bits(background, bits)
    else:
        background = to_8_bit(background) if bits == 8 else to_16_bit(background)
        result = fill_frame(background, alpha.shape)
    inside, alpha = result[box], alpha[box]
    for strip in _strips(alpha.shape):
        behind = to_unit(inside[strip]) if background.ndim == 3 else background
        mixed = composite(alpha[strip], to_unit(foreground[strip]), behind)
        inside[strip] = to_bits(mixed, bits)
    return result


def _strips(shape: tuple[int, ...]) -> Iterator[Block]:
    """Go through a picture in strips, as no picture of floats need be held whole."""
    return blocks(shape[:2], _STRIP, shape[1])


def _beyond(inner: np.ndarray, box: Block, frame: tuple[int, int]) -> np.ndarray:
    """Let the colours at the edge of the box go on to the frame."""
    (top, bottom), (left, right) = (
        (part.start, length - part.stop) for part, length in zip(box, frame, strict=True)
    )
    return cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_REPLICATE)
