"""Grad: how far the slopes of the prediction are from those of the truth."""

from __future__ import annotations

import math

import cv2
import numpy as np

from mattecli.core.metrics.pixels import comparable, mask_of

SIGMA = 1.4
EPSILON = 0.01
# Rows filtered at a time: keeps the float64 slopes in the cache, and memory flat at 50 megapixels.
STRIP = 128


def derivative_kernels() -> tuple[np.ndarray, np.ndarray]:
    """Give the Gaussian and its derivative whose outer product is the filter, of L2 norm 1.

    Returns
    -------
    smooth, slope : ndarray, shape (9,), float64
        g(x) and g'(x) for σ = 1.4 out to the half size ceil(σ·sqrt(−2·ln(sqrt(2π)·σ·0.01))) = 4.
    """
    half = math.ceil(SIGMA * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * SIGMA * EPSILON)))
    x = np.arange(-half, half + 1, dtype=np.float64)
    smooth = np.exp(-(x**2) / (2 * SIGMA**2))
    slope = -x * smooth
    return smooth / np.linalg.norm(smooth), slope / np.linalg.norm(slope)


SMOOTH, SLOPE = derivative_kernels()
REACH = len(SMOOTH) // 2


def gradient_error(
    prediction: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None
) -> float:
    """Gradient error, Σ(|∇p| − |∇t|)² / 1000 over the region.

    Each matte is first stretched from its own minimum and maximum to [0, 1], as the public
    Composition-1k evaluation does: a prediction that is the truth times a factor has no error.
    Slopes come from first-order Gaussian derivatives with σ = 1.4 (Rhemann et al., "A Perceptually
    Motivated Online Benchmark for Image Matting", CVPR 2009); the border repeats outwards.
    A constant matte has slope 0 everywhere, and an empty region error 0.

    Parameters and errors are those of `sad`.
    """
    p, t = comparable(prediction, truth)
    if np.array_equal(p, t):
        # Filters round differently by where in memory a matte lies, which would be left here.
        return 0.0
    mask = mask_of(region, p)
    stretch_p, stretch_t = stretch(p), stretch(t)
    height = p.shape[0]
    total = 0.0
    for top in range(0, height, STRIP):
        bottom = min(top + STRIP, height)
        total += cv2.norm(
            _slopes(p, top, bottom, stretch_p),
            _slopes(t, top, bottom, stretch_t),
            cv2.NORM_L2SQR,
            mask=None if mask is None else mask[top:bottom],
        )
    return total / 1000


def stretch(matte: np.ndarray) -> float:
    """Give the factor that brings a matte's span to 1; 0 for a constant one, without slope."""
    low, high, _, _ = cv2.minMaxLoc(matte)
    return 1 / (high - low) if high > low else 0.0


def _slopes(matte: np.ndarray, top: int, bottom: int, factor: float) -> np.ndarray:
    """|∇(factor · matte)| of the rows top to bottom, float64."""
    first = max(top - REACH, 0)
    rows = matte[first : bottom + REACH]
    across, down = (
        cv2.sepFilter2D(rows, cv2.CV_64F, factor * x, y, borderType=cv2.BORDER_REPLICATE)
        for x, y in ((SLOPE, SMOOTH), (SMOOTH, SLOPE))
    )
    return cv2.magnitude(across, down)[top - first : bottom - first]
