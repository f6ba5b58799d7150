"""A photo in patches of even color, and how strongly neighboring patches belong together."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from mattecli.core.matting.color_likeness import smooth_lab

# How far around the places that patches grow from an even spot is sought, of their distance.
_LOOK = 1 / 3
# Differences of color (CIE76 in Lab) and of alpha by which neighbors' affinity falls to 1/e, and
# what is left of it across the strongest edge.
_COLOR, _ALPHA, _LEAST = 10.0, 0.35, 0.002


class Patches:
    """A photo in patches of even color, grown by watershed from a grid.

    Parameters
    ----------
    lab : float32 ndarray of shape (H, W, 3)
        The photo in Lab, made small, see `smooth_lab`.
    width : int
        Of a patch, about, in pixels.

    Attributes
    ----------
    labels : int32 ndarray of shape (H, W)
        The number of each pixel's patch, from 0.
    area : float64 ndarray of shape (N,)
        Pixels of each patch.
    color : float64 ndarray of shape (N, 3)
        Its mean color in Lab.
    """

    def __init__(self, lab: np.ndarray, width: int) -> None:
        self.labels = _grown(lab, width)
        count = int(self.labels.max()) + 1
        self.area = np.bincount(self.labels.ravel(), minlength=count).astype(np.float64)
        self.color = np.stack([self.mean(plane) for plane in np.moveaxis(lab, 2, 0)], axis=1)
        # Pairs that touch, the length of their border, and how far their colors differ at most:
        # on average, or beside the border.
        self._pairs, self._length, beside = _borders(self.labels, lab)
        apart = np.linalg.norm(self.color[self._pairs[0]] - self.color[self._pairs[1]], axis=1)
        self._alike = np.exp(-np.maximum(apart, beside) / _COLOR)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean of H×W numbers in each patch, float64."""
        sums = np.bincount(self.labels.ravel(), values.ravel(), len(self.area))
        return sums / np.maximum(self.area, 1)

    def holding(self, mask: np.ndarray) -> np.ndarray:
        """Tell which patches have pixels of a bool H×W mask."""
        return np.bincount(self.labels[mask], minlength=len(self.area)) > 0

    def affinities(self, alpha: np.ndarray) -> np.ndarray:
        """Tell how strongly patches hold together, given the mean of alpha in each.

        Returns
        -------
        float64 ndarray of shape (N, N)
            Symmetric; the length of the border in pixels where patches touch and are alike, less
            where colors or alpha differ, 0 where they do not touch.
        """
        first, second = self._pairs
        alike = self._alike * np.exp(-(((alpha[first] - alpha[second]) / _ALPHA) ** 2))
        affinities = np.zeros((len(self.area), len(self.area)))
        affinities[first, second] = self._length * (alike + _LEAST)
        return affinities + affinities.T


class CutPhoto:
    """A photo and its cuts into patches, which are made where they are asked for, and once.

    Parameters
    ----------
    color : uint8 ndarray of shape (H, W, 3)
        The photo, made small.
    widths : tuple of int
        Of the patches of each cut.
    """

    def __init__(self, color: np.ndarray, widths: tuple[int, ...]) -> None:
        self.color, self._widths = color, widths

    @functools.cached_property
    def lab(self) -> np.ndarray:
        """The photo in Lab, see `smooth_lab`."""
        return smooth_lab(self.color)

    @functools.cached_property
    def cuts(self) -> list[Patches]:
        """The photo in patches of each width."""
        return [Patches(self.lab, width) for width in self._widths]


def _grown(lab: np.ndarray, step: int) -> np.ndarray:
    """Cut a photo in Lab into numbered patches: int32 H×W."""
    height, width = lab.shape[:2]
    look = round(_LOOK * step)
    light = cv2.GaussianBlur(lab[..., 0], (0, 0), 1)
    slope = cv2.magnitude(cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1))
    seeds, count = np.zeros((height, width), np.int32), 0
    for row in range(min(step, height) // 2, height, step):
        for column in range(min(step, width) // 2, width, step):
            top, left = max(0, row - look), max(0, column - look)
            around = slope[top : row + look + 1, left : column + look + 1]
            y, x = np.unravel_index(int(around.argmin()), around.shape)
            count += 1
            seeds[top + y, left + x] = count
    full = [lab[..., 0] * 2.55, lab[..., 1] + 128, lab[..., 2] + 128]
    grown = cv2.watershed(np.clip(cv2.merge(full), 0, 255).astype(np.uint8), seeds)
    # Lines between patches go to the nearest one.
    line = grown <= 0
    _, nearest = cv2.distanceTransformWithLabels(
        line.view(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    numbers = np.zeros(nearest.max() + 1, np.int32)
    numbers[nearest[~line]] = grown[~line]
    # Two seeds may have met in one pixel.
    return np.unique(numbers[nearest], return_inverse=True)[1].reshape(line.shape).astype(np.int32)


def _borders(
    labels: np.ndarray, lab: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    """Find which patches touch: pairs, the lengths of borders, and mean steps of color there."""
    count = int(labels.max()) + 1
    codes, steps = [], []
    for axis in (0, 1):
        one, other = np.delete(labels, -1, axis), np.delete(labels, 0, axis)
        at = one != other
        low, high = np.minimum(one, other)[at], np.maximum(one, other)[at]
        codes.append(low.astype(np.int64) * count + high)
        steps.append(np.linalg.norm(np.diff(lab, axis=axis), axis=2)[at])
    pairs, member = np.unique(np.concatenate(codes), return_inverse=True)
    length = np.bincount(member).astype(np.float64)
    step = np.bincount(member, np.concatenate(steps)) / length
    return (pairs // count, pairs % count), length, step
