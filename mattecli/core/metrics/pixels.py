"""What every metric asks of its arrays: one size, one depth, a region, the part that matters."""

from __future__ import annotations

import cv2
import numpy as np

from mattecli.core.errors import MatteError


def comparable(prediction: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring two mattes to one depth without loss: uint8, uint16, or float32 as a last resort.

    Integers stay integers, because the thresholds of the connectivity error fall on pixel values:
    153/255 reaches the threshold 0.6 in the reference's single precision, and misses it in double.

    Raises
    ------
    MatteError
        If the sizes differ, or an array is not HxW of uint8, uint16 or floats in [0, 1].
    """
    if prediction.shape != truth.shape:
        raise MatteError(
            f"the prediction is {_size(prediction)} but the ground truth is {_size(truth)}"
        )
    if prediction.dtype == truth.dtype == np.uint8:
        return _checked(prediction), _checked(truth)
    if all(matte.dtype in (np.uint8, np.uint16) for matte in (prediction, truth)):
        return _checked(_widen(prediction)), _checked(_widen(truth))
    return _checked(_unit(prediction)), _checked(_unit(truth))


def white(matte: np.ndarray) -> float:
    """Give the value that means opaque: 255, 65535 or 1.0."""
    return float(np.iinfo(matte.dtype).max) if matte.dtype.kind == "u" else 1.0


def mask_of(region: np.ndarray | None, matte: np.ndarray) -> np.ndarray | None:
    """Give the region as the uint8 mask that OpenCV takes, or None for the whole image."""
    if region is None:
        return None
    if region.shape != matte.shape:
        raise MatteError(f"the region is {_size(region)} but the matte is {_size(matte)}")
    return np.ascontiguousarray(region, dtype=bool).view(np.uint8)


def pixel_count(matte: np.ndarray, region: np.ndarray | None) -> int:
    """How many pixels count."""
    return matte.size if region is None else int(np.count_nonzero(region))


def subject_window(prediction: np.ndarray, truth: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Find the rows and columns outside of which both mattes are 0, with a margin of such zeros.

    Beyond it nothing differs, nothing reaches a threshold and, for a margin of the derivative
    filter's half size, nothing slopes: all sums over the window equal those over the image.
    """
    filled = cv2.max(prediction, truth)
    left, top, width, height = cv2.boundingRect((filled > 0).view(np.uint8))
    return (
        slice(max(top - margin, 0), top + height + margin),
        slice(max(left - margin, 0), left + width + margin),
    )


def _size(array: np.ndarray) -> str:
    if array.ndim != 2:
        return f"of shape {array.shape}"
    return f"{array.shape[1]}x{array.shape[0]}"


def _widen(matte: np.ndarray) -> np.ndarray:
    # 65535 = 257 * 255, so v / 255 and 257 v / 65535 are the same number.
    return matte.astype(np.uint16) * np.uint16(257) if matte.dtype == np.uint8 else matte


def _unit(matte: np.ndarray) -> np.ndarray:
    if matte.dtype.kind == "u":
        return (matte / np.float32(white(matte))).astype(np.float32)
    return matte.astype(np.float32)


def _checked(matte: np.ndarray) -> np.ndarray:
    if matte.ndim != 2 or matte.size == 0 or matte.dtype not in (np.uint8, np.uint16, np.float32):
        raise MatteError(
            f"a matte is HxW of uint8, uint16 or floats, not {matte.dtype} {matte.shape}"
        )
    if matte.dtype == np.float32 and not (matte.min() >= 0 and matte.max() <= 1):
        raise MatteError("a matte of floats has values in [0, 1]")
    return np.ascontiguousarray(matte)
