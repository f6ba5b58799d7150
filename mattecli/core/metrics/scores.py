"""The five figures of one prediction."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mattecli.core.metrics.connectivity import connectivity_error
from mattecli.core.metrics.gradient import REACH, gradient_error
from mattecli.core.metrics.pixels import comparable, mask_of, pixel_count, subject_window
from mattecli.core.metrics.pointwise import mse, sad


class Scores(NamedTuple):
    """SAD, Grad and Conn divided by 1000; MSE and MAD as means in [0, 1]. Lower is better."""

    sad: float
    mse: float
    mad: float
    grad: float
    conn: float


def score(prediction: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None) -> Scores:
    """All five errors of a prediction, at the cost of the part of the image that holds something.

    Parameters
    ----------
    prediction, truth : ndarray, shape (H, W)
        Mattes: uint8 or uint16 (white is opaque), or floats in [0, 1].
    region : ndarray of bool, shape (H, W), optional
        The pixels that count; all of them by default. With none at all, every error is 0.

    Raises
    ------
    MatteError
        If the sizes differ or an array is no matte.
    """
    p, t = comparable(prediction, truth)
    mask_of(region, p)
    count = max(pixel_count(t, region), 1)
    window = subject_window(p, t, margin=REACH)
    p, t = p[window], t[window]
    if p.size == 0:
        return Scores(0.0, 0.0, 0.0, 0.0, 0.0)
    region = None if region is None else region[window]
    share = max(pixel_count(t, region), 1) / count
    total = sad(p, t, region)
    return Scores(
        sad=total,
        mse=mse(p, t, region) * share,
        mad=total * 1000 / count,
        grad=gradient_error(p, t, region),
        conn=connectivity_error(p, t, region),
    )
