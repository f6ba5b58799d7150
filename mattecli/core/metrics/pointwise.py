"""SAD, MSE and MAD: the errors that look at one pixel at a time."""

from __future__ import annotations

import cv2
import numpy as np

from mattecli.core.metrics.pixels import comparable, mask_of, pixel_count, white


def sad(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None) -> float:
    """Sum of absolute differences, Σ|p − t| / 1000.

    Parameters
    ----------
    prediction, truth : ndarray, shape (H, W)
        Mattes: uint8 or uint16 (white is opaque), or floats in [0, 1]; the two may differ in depth.
    region : ndarray of bool, shape (H, W), optional
        The pixels that count; all of them by default.

    Returns
    -------
    float
        In thousands of fully wrong pixels; 0 for an empty region.

    Raises
    ------
    MatteError
        If the sizes differ or an array is no matte.
    """
    p, t = comparable(prediction, truth)
    return cv2.norm(p, t, cv2.NORM_L1, mask=mask_of(region, p)) / white(p) / 1000


def mad(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None) -> float:
    """Mean of absolute differences over the region, in [0, 1]; 0 for an empty region.

    Parameters and errors are those of `sad`.
    """
    return sad(prediction, truth, region) * 1000 / max(pixel_count(truth, region), 1)


def mse(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None) -> float:
    """Mean of squared differences over the region, in [0, 1]; 0 for an empty region.

    Parameters and errors are those of `sad`.
    """
    p, t = comparable(prediction, truth)
    squares = cv2.norm(p, t, cv2.NORM_L2SQR, mask=mask_of(region, p)) / white(p) ** 2
    return squares / max(pixel_count(t, region), 1)
