"""How typical a color is of some pixels, and not of others: histograms of color."""

from __future__ import annotations

import cv2
import numpy as np

# Steps of the color histograms along L, a and b, and the width of one in Lab's units.
_BINS, _STEP = (17, 33, 33), np.array([6.0, 6.0, 6.0], np.float32)
# Share of a histogram below which a color counts as one that is not there.
_RARE = 1e-4


def smooth_lab(color: np.ndarray) -> np.ndarray:
    """Lab, with the texture of surfaces smoothed away and their borders kept."""
    lab = cv2.cvtColor(color.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return cv2.bilateralFilter(lab, 5, 15, 3)


def color_numbers(lab: np.ndarray) -> np.ndarray:
    """Give the number of the histogram's bin that each pixel's color falls into."""
    steps = np.rint((lab - np.array([0, -96, -96], np.float32)) / _STEP).astype(np.int32)
    return np.ravel_multi_index(tuple(np.moveaxis(steps, 2, 0)), _BINS, mode="clip")


def color_likeness(colors: np.ndarray, mine: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Probability, in [0, 1], that a pixel's color is one of `mine` and not one of `others`."""
    own, other = (_frequency(colors[mask])[colors] for mask in (mine, others))
    return own / (own + other + np.float32(_RARE))


def _frequency(colors: np.ndarray) -> np.ndarray:
    """Histogram of colors that sums to 1, smoothed so that neighboring colors count too."""
    counts = np.bincount(colors, minlength=int(np.prod(_BINS))).astype(np.float32).reshape(_BINS)
    for axis in range(3):
        lines = np.moveaxis(counts, axis, 0)
        padded = np.concatenate([lines[:1], lines, lines[-1:]])
        counts = np.moveaxis((padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4, 0, axis)
    return counts.ravel() / max(1, len(colors))
