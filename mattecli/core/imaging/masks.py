"""What the numbers of a mask mean: alpha, or 0 and 1, indices of a palette, other integers.

A mask of 0 and 1 read as alpha is black, and a palette read by its colors is anything; both pass
through a program without an error. What can be told is told, the rest is refused.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mattecli.core.errors import MatteError

# A mask whose largest value is below this share of white holds labels, or nothing to be seen.
_FAINT = 1 / 8
# Channels of a grey picture that was stored as JPEG differ by less.
_GREY = 40
# Share of pixels that may be colored all the same.
_STRAY = 1e-4


class MaskError(MatteError):
    """A picture that can be read but is no mask."""


class Mask(NamedTuple):
    """A mask, and what had to be said about it.

    Attributes
    ----------
    alpha : ndarray of shape (H, W), uint8 or uint16
    note : str
        How numbers were understood that are not simply alpha; empty where they are.
    """

    alpha: np.ndarray
    note: str = ""


def from_values(values: np.ndarray, lenient: bool = False) -> Mask:
    """Understand uint8 or uint16 numbers of shape (H, W).

    Parameters
    ----------
    lenient : bool
        Whether to take what is dark everywhere as it is: a prediction may have found nothing.

    Raises
    ------
    MaskError
        If they are labels.
    """
    full = int(np.iinfo(values.dtype).max)
    top = int(values.max())
    if top in (0, full):
        return Mask(values)
    if top == 1:
        return Mask(values * values.dtype.type(full), _ONES)
    if full == 65535 and top in (255, 1023, 4095, 32767):
        bits = top.bit_length()
        scaled = (values.astype(np.uint32) * full // top).astype(np.uint16)
        return Mask(scaled, f"holds {bits}-bit values in 16 bits: {top} is taken as opaque")
    if top < _FAINT * full:
        text = f"holds values up to {top} of {full} only: labels, or nearly transparent"
        if lenient:
            return Mask(values, f"{text}; taken as it is")
        raise MaskError(f"{text}: a mask is 0 to {full}, or 0 and 1")
    if ((values == 0) | (values == top)).all():
        return Mask(values, f"holds no values but 0 and {top} of {full}, taken as alpha")
    return Mask(values)


_ONES = "holds 0 and 1 only: 1 is taken as opaque"


def from_integers(values: np.ndarray) -> Mask:
    """Understand int32 or uint32 numbers of shape (H, W).

    Raises
    ------
    MaskError
        If it cannot be told what is opaque.
    """
    low, top = int(values.min()), int(values.max())
    if low < 0:
        raise MaskError(f"holds integers from {low} to {top}: a mask has none below 0")
    if top == 0:
        return Mask(np.zeros(values.shape, np.uint8))
    if top == 1:
        return Mask(values.astype(np.uint8) * np.uint8(255), _ONES)
    note = f"holds 32-bit integers: {top} is taken as opaque"
    if top == 255:
        return Mask(values.astype(np.uint8), note)
    if top == 65535:
        return Mask(values.astype(np.uint16), note)
    if top in (2**31 - 1, 2**32 - 1):
        return Mask(np.rint(values * (65535 / top)).astype(np.uint16), note)
    raise MaskError(
        f"holds 32-bit integers up to {top}: a mask ends at 1, 255, 65535 or the largest integer"
    )


def from_few_bits(values: np.ndarray, bits: int) -> Mask | None:
    """Understand a grey picture of 2 or 4 bits that was spread to 8; None if it has white.

    Raises
    ------
    MaskError
        If it holds labels.
    """
    full = 2**bits - 1
    top = int(values.max()) * full // 255
    if top in (0, full):
        return None
    if top == 1:
        return Mask((values > 0).astype(np.uint8) * np.uint8(255), _ONES)
    raise MaskError(f"holds values up to {top} of {full} only: labels, and no mask")


def from_palette(indices: np.ndarray, palette: np.ndarray) -> Mask | None:
    """Understand a picture with a palette; None if its colors are greys, which then count.

    Parameters
    ----------
    indices : uint8 ndarray of shape (H, W)
    palette : uint8 ndarray of shape (N, 3)

    Raises
    ------
    MaskError
        If there are several labels.
    """
    if (palette == palette[:, :1]).all():
        return None
    found = np.flatnonzero(np.bincount(indices.ravel(), minlength=256))
    labels = [int(index) for index in found if index]
    if len(labels) > 1 or labels == [255]:
        raise MaskError(
            f"is a palette picture of the labels {', '.join(map(str, found[:8]))}"
            f"{' and more' if len(found) > 8 else ''}: which of them is the subject?"
        )
    alpha = (indices > 0).astype(np.uint8) * np.uint8(255)
    label = f"index {labels[0]}" if labels else "no index"
    return Mask(alpha, f"is a palette picture: {label} is taken as opaque, 0 as transparent")


def check_numbers(values: np.ndarray) -> None:
    """Raise `MaskError` if floats hold what is no number: a network that failed, not alpha of 0."""
    if count := np.count_nonzero(~np.isfinite(values)):
        raise MaskError(f"holds {count} of {values.size} values that are no numbers (nan or inf)")


def check_grey(color: np.ndarray) -> None:
    """Raise `MaskError` if uint8 or uint16 color of shape (H, W, 3) is no grey picture."""
    red, green, blue = (color[..., channel] for channel in range(3))
    near = _GREY * (np.iinfo(color.dtype).max // 255)
    high = np.maximum(np.maximum(red, green), blue)
    spread = high - np.minimum(np.minimum(red, green), blue)
    if np.count_nonzero(spread > near) > _STRAY * spread.size:
        raise MaskError("is colored: a mask is grey, or the alpha channel of a picture")
