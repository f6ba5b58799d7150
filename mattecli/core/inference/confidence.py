"""How likely a matte is right, told by the matte and its photo."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from mattecli.core.matting.placing import resize

# Alpha up to this counts as clear background.
_CLEAR = 0.02
# Between these a pixel is unsure.
_UNSURE = 0.1, 0.9
# Shares are compared by their logarithms, from here on: what is smaller makes nothing surer.
_LEAST = 1e-2
# An outline is faint where the photo's color changes by less than this from pixel to pixel, in
# units of CIELAB, at half the size at which the network saw it.
_FAINT = 0.625
# A pixel's neighbors: the outline may be off by one.
_NEAR = np.ones((3, 3), np.uint8)

#: Constants of a logistic regression on `Signs.values`, for the weights that ship:
#: `tests/benchmarks/bench_confidence.py` prints them.
CONSTANTS = (-12.054, -3.939, 0.199, -0.986, -13.118)
#: Photos below this are worth a look.
DOUBTFUL = 0.5


@dataclass(frozen=True)
class Signs:
    """What of a matte tells whether it is right.

    Attributes
    ----------
    decided : float
        The mean of ``|2α − 1|`` over all that is not clear background (α > 0.02), in [0, 1]; 1
        where all of it is.
    unsure : float
        Share of unsure pixels (0.1 < α < 0.9) in that, in [0, 1].
    subject : float
        Mean of alpha, in [0, 1].
    faint : float
        Share of the outline (α = 0.5) where the photo has no edge, in [0, 1]; 1 without any.
    """

    decided: float
    unsure: float
    subject: float
    faint: float

    def values(self) -> list[float]:
        """Give what the regression weighs: 1, logarithms of what is doubtful, and `faint`."""
        doubts = 1 - self.decided, self.unsure, self.subject
        return [1.0, *(math.log(value + _LEAST) for value in doubts), self.faint]


def signs_of(alpha: np.ndarray, color: np.ndarray) -> Signs:
    """Look at a matte at the size the network saw it.

    Parameters
    ----------
    alpha : float32 ndarray of shape (h, w), in [0, 1]
    color : uint8 ndarray of shape (h, w, 3)
        The photo.
    """
    subject, faint = float(alpha.mean()), _faint_share(alpha, color)
    seen = alpha[alpha > _CLEAR]
    if not seen.size:
        return Signs(1.0, 0.0, subject, faint)
    return Signs(
        float(np.abs(2 * seen - 1).mean()),
        float(np.count_nonzero((seen > _UNSURE[0]) & (seen < _UNSURE[1])) / seen.size),
        subject,
        faint,
    )


def _faint_share(alpha: np.ndarray, color: np.ndarray) -> float:
    """Give the share of the outline along which the photo has no edge."""
    height, width = (max(1, side // 2) for side in alpha.shape)
    inside = (resize(alpha, height, width) > 0.5).astype(np.uint8)
    # Where the photo's border cuts the subject off there is no outline.
    around = cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    outline = cv2.morphologyEx(around, cv2.MORPH_GRADIENT, _NEAR)[1:-1, 1:-1] > 0
    if not outline.any():
        return 1.0
    unit = resize(color, height, width).astype(np.float32) / 255
    lab = cv2.cvtColor(unit, cv2.COLOR_RGB2LAB)
    slope = np.zeros(inside.shape, np.float32)
    for channel in cv2.split(lab):
        for x, y in ((1, 0), (0, 1)):
            slope += np.square(cv2.Sobel(channel, cv2.CV_32F, x, y, scale=1 / 8))
    steepest = cv2.dilate(slope, _NEAR)[outline]
    return float(np.count_nonzero(steepest < _FAINT**2) / steepest.size)


def confidence_of(signs: Signs) -> float:
    """Give the chance, in [0, 1], that the intersection over union with the truth is 0.95 or more.

    It is calibrated for the weights that ship, on photos of many kinds. How far passes differ does
    not count: it told nothing that the last one does not.
    """
    score = sum(c * x for c, x in zip(CONSTANTS, signs.values(), strict=True))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, score))))
