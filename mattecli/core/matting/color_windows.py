"""Alpha as a linear function of color in every small window: what refinement rests on."""

from __future__ import annotations

import cv2
import numpy as np


class ColorWindows:
    """All square windows of a picture, prepared so that fitting alpha to them is cheap.

    In a window so small that subject and background each have colors on a line, alpha is
    ``slope · color + offset`` (Levin et al., "A Closed-Form Solution to Natural Image Matting",
    PAMI 2008). The fit is a ridge regression, all of it box filters (He et al., "Guided Image
    Filtering", PAMI 2013).

    Parameters
    ----------
    image : float32 ndarray of shape (H, W, 3), in [0, 1]
    radius : int
        Windows have a side of ``2 · radius + 1`` pixels.
    flat : float
        Contrast (squared) below which a window counts as flat.
    """

    def __init__(self, image: np.ndarray, radius: int, flat: float) -> None:
        self.image = image
        self.side = 2 * radius + 1
        # In double precision: a variance is a small difference of large numbers.
        planes = [np.ascontiguousarray(image[..., i], dtype=np.float64) for i in range(3)]
        means = [self.mean(plane) for plane in planes]

        def covariance(i: int, j: int) -> np.ndarray:
            return self.mean(planes[i] * planes[j]) - means[i] * means[j]

        rr, gg, bb = (covariance(i, i) + flat for i in range(3))
        rg, rb, gb = covariance(0, 1), covariance(0, 2), covariance(1, 2)
        # The adjugate of a symmetric 3x3 matrix, over its determinant.
        adjugate = {
            (0, 0): gg * bb - gb * gb,
            (0, 1): rb * gb - rg * bb,
            (0, 2): rg * gb - rb * gg,
            (1, 1): rr * bb - rb * rb,
            (1, 2): rg * rb - rr * gb,
            (2, 2): rr * gg - rg * rg,
        }
        determinant = rr * adjugate[0, 0] + rg * adjugate[0, 1] + rb * adjugate[0, 2]
        self._inverse = [
            [(adjugate[min(i, j), max(i, j)] / determinant).astype(np.float32) for j in range(3)]
            for i in range(3)
        ]
        self._mean_image = np.dstack(means).astype(np.float32)

    def mean(self, array: np.ndarray) -> np.ndarray:
        """Mean of every window, at its center; H×W or H×W×C of any float type."""
        return cv2.blur(array, (self.side, self.side), borderType=cv2.BORDER_REFLECT)

    def fit(self, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fit float32 H×W `alpha` in every window, and average over the windows of each pixel.

        Returns
        -------
        slope : float32 ndarray of shape (H, W, 3)
        offset : float32 ndarray of shape (H, W)
        """
        mean_alpha = self.mean(alpha)
        covariance = self.mean(self.image * alpha[..., None])
        covariance -= self._mean_image * mean_alpha[..., None]
        slope = np.empty_like(self.image)
        for i in range(3):
            slope[..., i] = sum(self._inverse[i][j] * covariance[..., j] for j in range(3))
        offset = mean_alpha - np.einsum("hwc,hwc->hw", slope, self._mean_image)
        return self.mean(slope), self.mean(offset)
