"""A picture in memory, and conversions between its number formats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mattecli.core.errors import MatteError

#: Largest number of pixels that is read unless the caller says otherwise.
MAX_PIXELS = 200_000_000
# Resampling and rounding carry floats beyond 1.
_OVERSHOOT = 1.5


@dataclass
class Picture:
    """A decoded picture, upright.

    Attributes
    ----------
    color : ndarray of shape (H, W, 3), uint8 or uint16
        RGB, not premultiplied.
    alpha : ndarray of shape (H, W), same dtype as `color`, or None
    icc : bytes or None
        RGB profile that `color` is encoded in; None stands for sRGB.
    exif : bytes or None
        EXIF block without the orientation, which has been applied, and without the thumbnail.
    dpi : tuple of float or None
        Dots per inch, horizontal and vertical, where the file states them.
    notes : tuple of str
        What a user has to be told, such as that a file holds further frames.
    """

    color: np.ndarray
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


def to_unit(array: np.ndarray) -> np.ndarray:
    """Scale uint8 or uint16 to float32 in [0, 1]."""
    return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)


def to_bits(unit: np.ndarray, bits: int) -> np.ndarray:
    """Round values in [0, 1] to 8 or 16 bits."""
    full, dtype = (255, np.uint8) if bits == 8 else (65535, np.uint16)
    return (np.clip(unit, 0, 1) * np.float32(full) + np.float32(0.5)).astype(dtype)


def check_bits(bits: object) -> None:
    """Raise `MatteError` unless results can have so many bits."""
    if bits not in (8, 16):
        raise MatteError(f"results have 8 or 16 bits, not {bits}")


def to_8_bit(array: np.ndarray) -> np.ndarray:
    """Round uint16 to uint8; uint8 passes."""
    if array.dtype == np.uint8:
        return array
    # 65535 = 255 * 257, so this rounds to the nearest 8-bit value.
    return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_16_bit(array: np.ndarray) -> np.ndarray:
    """Map float, 32-bit and 8-bit values to uint16.

    Floats up to 1 are taken as [0, 1], and so are those that overshoot a little; larger values as
    the smallest of 8, 16 or 32 bits that holds them; what is not a number becomes 0.
    """
    if array.dtype == np.uint16:
        return array
    if array.dtype == np.uint8:
        return array.astype(np.uint16) * 257
    values = np.nan_to_num(array.astype(np.float64), posinf=0.0, neginf=0.0)
    top = values.max(initial=0.0)
    if array.dtype.kind == "f":
        reach = {1.0: _OVERSHOOT, 255.0: 255.0, 65535.0: 65535.0}
        full = next((full for full, limit in reach.items() if top <= limit), top)
    else:
        full = 65535.0 if top <= 65535 else top
    return np.rint(np.clip(values / full, 0.0, 1.0) * 65535).astype(np.uint16)
