"""What a matte says of itself: how much subject it shows, and how sure of it it is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from mattecli.core.imaging.pixels import to_8_bit
from mattecli.core.inference.confidence import DOUBTFUL, confidence_of, signs_of
from mattecli.core.matting.placing import resize

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
        The chance, in [0, 1], that the matte is right; see `confidence_of`. 0 where nothing was
        found.
    is_empty : bool
        Whether nothing was found.
    """

    subject: float
    confidence: float
    is_empty: bool

    @property
    def is_doubtful(self) -> bool:
        """Whether the matte is worth a look."""
        return self.confidence < DOUBTFUL


def assess(
    alpha: np.ndarray,
    color: np.ndarray,
    size: tuple[int, int] | None = None,
) -> Assessment:
    """Judge a matte without knowing the truth.

    Parameters
    ----------
    alpha : float32 ndarray of shape (H, W), in [0, 1]
    color : ndarray of shape (H', W', 3), uint8 or uint16
        The photo, at any size.
    size : tuple of int, optional
        The (height, width) at which confidence is measured, where the matte is larger: a border
        between subject and background then takes the same share of every photo.

    Returns
    -------
    Assessment
    """
    subject = float(cv2.mean(alpha)[0])
    is_empty = subject < _LEAST_SHARE or float(alpha.max()) < _VISIBLE
    if is_empty:
        return Assessment(subject, 0.0, is_empty)
    if size is not None and size[0] * size[1] < alpha.size:
        alpha = cv2.resize(alpha, size[::-1], interpolation=cv2.INTER_AREA)
    seen = to_8_bit(resize(color, *alpha.shape))
    return Assessment(subject, confidence_of(signs_of(alpha, seen)), is_empty)


class ClipAssessment:
    """What the mattes of a clip's frames say, taken together.

    Parameters
    ----------
    rate : float
        Frames a second.

    Attributes
    ----------
    count : int
        Frames so far.
    """

    def __init__(self, rate: float) -> None:
        self.count = 0
        self._subject = 0.0
        self._all_empty = True
        self._recent: deque[float] = deque(maxlen=max(1, round(rate)))
        self._worst: float | None = None

    def add(self, frame: Assessment) -> None:
        """Take note of the next frame."""
        self.count += 1
        self._subject += frame.subject
        self._all_empty = self._all_empty and frame.is_empty
        self._recent.append(frame.confidence)
        if len(self._recent) == self._recent.maxlen:
            mean = sum(self._recent) / len(self._recent)
            self._worst = mean if self._worst is None else min(self._worst, mean)

    def result(self) -> Assessment:
        """Give the mean subject, and the confidence of the worst second."""
        mean = sum(self._recent) / max(1, len(self._recent))
        worst = mean if self._worst is None else self._worst
        return Assessment(self._subject / max(1, self.count), worst, self._all_empty)
