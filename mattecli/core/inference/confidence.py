"""How likely a matte is right, told by the matte itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Alpha up to this counts as clear background.
_CLEAR = 0.02
# Between these a pixel is unsure.
_UNSURE = 0.1, 0.9
# Shares are compared by their logarithms, from here on: what is smaller makes nothing surer.
_LEAST = 1e-2

#: Constants of a logistic regression on `Signs.logarithms`, for the weights that ship:
#: `tests/benchmarks/bench_confidence.py` prints them.
CONSTANTS = (-8.637, -5.408, 2.686, 0.147)
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
    """

    decided: float
    unsure: float
    subject: float

    def logarithms(self) -> list[float]:
        """Give 1 and the logarithms of what is doubtful, which the regression weighs."""
        doubts = 1 - self.decided, self.unsure, self.subject
        return [1.0, *(math.log(value + _LEAST) for value in doubts)]


def signs_of(alpha: np.ndarray) -> Signs:
    """Look at a matte, float32 of shape (h, w) in [0, 1], at the size the network saw it."""
    seen = alpha[alpha > _CLEAR]
    if not seen.size:
        return Signs(1.0, 0.0, float(alpha.mean()))
    return Signs(
        float(np.abs(2 * seen - 1).mean()),
        float(np.count_nonzero((seen > _UNSURE[0]) & (seen < _UNSURE[1])) / seen.size),
        float(alpha.mean()),
    )


def confidence_of(signs: Signs) -> float:
    """Give the chance, in [0, 1], that the intersection over union with the truth is 0.95 or more.

    It is calibrated for the weights that ship, on photos of many kinds. How far passes differ does
    not count: it told nothing that the last one does not.
    """
    score = sum(c * x for c, x in zip(CONSTANTS, signs.logarithms(), strict=True))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, score))))
