"""From a photo and its matte to what the user asked for: alpha, cutout, foreground, composite."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mattecli.core.dataset.compositing import composite
from mattecli.core.dataset.foreground import estimate_foreground
from mattecli.core.imaging.placing import fill_frame
from mattecli.core.imaging.reading import Picture, to_bits, to_unit

KINDS = ("cutout", "alpha", "foreground", "composite")

# Colour is kept under transparent pixels this far from the subject, in pixels, so that resampling
# a cutout mixes in no black; farther out it is cleared, which hides the old background and packs
# well.
_RIM = 8
_NEAR = np.ones((2 * _RIM + 1, 2 * _RIM + 1), np.uint8)
# Smaller alpha is stored as 0 in 8 bits.
_VISIBLE = 0.5 / 255


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
        For composites: a colour of shape (3,) or a picture of shape (H, W, 3), float32 in [0, 1].
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
        foreground = estimate_foreground(to_unit(color[box]), alpha[box])
    for kind in wanted.kinds:
        if kind == "alpha":
            result = to_bits(alpha, wanted.bits)
        elif kind == "cutout":
            result = np.zeros((*frame, 4), to_bits(alpha[:1, :1], wanted.bits).dtype)
            near = cv2.dilate((alpha[box] > _VISIBLE).view(np.uint8), _NEAR)
            result[box][..., :3] = cv2.copyTo(to_bits(foreground, wanted.bits), near)
            result[..., 3] = to_bits(alpha, wanted.bits)
        elif kind == "foreground":
            result = _beyond(to_bits(foreground, wanted.bits), box, frame)
        else:
            behind = wanted.background
            behind = behind if behind.ndim == 1 else fill_frame(behind, frame)
            canvas = np.empty((*frame, 3), np.float32)
            canvas[:] = behind
            canvas[box] = composite(alpha[box], foreground, canvas[box])
            result = to_bits(canvas, wanted.bits)
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
    flat = composite(to_unit(picture.alpha), to_unit(picture.color), matte_color)
    return to_bits(flat, 8 * picture.color.dtype.itemsize)


def subject_box(alpha: np.ndarray, margin: int) -> tuple[slice, slice]:
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


def _beyond(inner: np.ndarray, box: tuple[slice, slice], frame: tuple[int, int]) -> np.ndarray:
    """Let the colours at the edge of the box go on to the frame."""
    (top, bottom), (left, right) = (
        (part.start, length - part.stop) for part, length in zip(box, frame, strict=True)
    )
    return cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_REPLICATE)
