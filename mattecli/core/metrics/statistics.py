"""How sure a mean is: benchmark sets are small, and two methods share their images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RESAMPLES = 2000


class Estimate(NamedTuple):
    """A mean and its 95% interval, each an array with one value a metric."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Comparison(NamedTuple):
    """A method against another on the same images: negative differences and wins speak for it."""

    difference: Estimate
    wins: np.ndarray
    losses: np.ndarray
    images: int


def bootstrap_mean(values: np.ndarray, seed: int = 0) -> Estimate:
    """Mean over images with its 95% percentile-bootstrap interval (Efron and Tibshirani, 1993).

    The images are drawn anew, with replacement, 2000 times; the interval spans the middle 95% of
    the means. It tells how much the figure hangs on which images the set happens to hold.

    Parameters
    ----------
    values : ndarray, shape (images, metrics)
        At least one image. A single one has no spread: its interval is nan.
    seed : int
        Of the draws, so that a table can be reproduced.

    Returns
    -------
    Estimate
        Arrays of shape (metrics,).
    """
    values = np.asarray(values, dtype=np.float64)
    count = len(values)
    mean = values.mean(axis=0)
    if count == 1:
        return Estimate(mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan))
    rng = np.random.default_rng(seed)
    means = np.empty((RESAMPLES, *mean.shape))
    for resample in means:
        times_drawn = np.bincount(rng.integers(count, size=count), minlength=count)
        resample[...] = times_drawn @ values / count
    low, high = np.percentile(means, (2.5, 97.5), axis=0)
    return Estimate(mean, low, high)


def compare(values: np.ndarray, baseline: np.ndarray) -> Comparison:
    """Paired comparison of two methods on the same images.

    Pairing takes out how hard each image is, so it finds differences that two separate intervals
    hide; the difference is sure where its interval leaves out 0.

    Parameters
    ----------
    values, baseline : ndarray, shape (images, metrics)
        Errors of the two methods, row by row of the same image.
    """
    values, baseline = np.asarray(values), np.asarray(baseline)
    return Comparison(
        difference=bootstrap_mean(values - baseline),
        wins=(values < baseline).sum(axis=0),
        losses=(values > baseline).sum(axis=0),
        images=len(values),
    )
