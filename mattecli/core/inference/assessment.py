"""What a matte says of itself: how much subject it shows, and how sure of it it is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# Alpha up to this counts as clear background.
_CLEAR = 0.02
# A matte whose alpha stays below the first everywhere, or whose subject's share of the photo is
# below the second, shows nothing: 1 is a pixel of 316x316.
_VISIBLE, _LEAST_SHARE = 0.1, 1e-5


@dataclass(frozen=True)
class Assessment:
    """How much subject a matte shows.

    Attributes
    ----------
    subject : float
        The subject's share of the photo's area: the mean of alpha, in [0, 1].
    confidence : float
        How decided the matte is, in [0, 1]: the mean of ``|2α − 1|`` over all that is not clear
        background (α > 0.02), at the size at which the network saw the photo; 1 where all of it
        is. Wide soft regions lower it, be they hair or doubt. It is not calibrated: not the
        probability that the matte is right.
    is_empty : bool
        Whether nothing was found.
    """

    subject: float
    confidence: float
    is_empty: bool


def assess(alpha: np.ndarray, size: tuple[int, int] | None = None) -> Assessment:
    """Judge a matte by itself.

    Parameters
    ----------
    alpha : float32 ndarray of shape (H, W), in [0, 1]
    size : tuple of int, optional
        The (height, width) at which confidence is measured, where the matte is larger: a border
        between subject and background then takes the same share of every photo.

    Returns
    -------
    Assessment
    """
    subject = float(cv2.mean(alpha)[0])
    is_empty = subject < _LEAST_SHARE or float(alpha.max()) < _VISIBLE
    if size is not None and size[0] * size[1] < alpha.size:
        alpha = cv2.resize(alpha, size[::-1], interpolation=cv2.INTER_AREA)
    doubtful = alpha[alpha > _CLEAR]
    confidence = float(np.abs(2 * doubtful - 1).mean()) if doubtful.size else 1.0
    return Assessment(subject, confidence, is_empty)
