"""Geodesic distances on a photo: how far it is to marked pixels without crossing what differs."""

from __future__ import annotations

import numpy as np

# Most rounds of sweeps, and the change below which they have converged. A round is exact along
# every row and column, so only paths with many turns need more than a few.
_ROUNDS, _CONVERGED = 60, 1e-3


def geodesic_distance(
    seeds: np.ndarray, across: np.ndarray, down: np.ndarray, limit: float = 1.0
) -> np.ndarray:
    """Length of the shortest path from every pixel to the nearest seed, up to a limit.

    Raster-scan sweeps in both directions of both axes, repeated until nothing changes (Toivanen,
    "New geodesic distance transforms for gray-scale images", Pattern Recognition Letters 1996;
    Criminisi et al., "GeoS: Geodesic Image Segmentation", ECCV 2008), on the graph of
    4-connected pixels. Along a line the minimum over all sources at once is a cumulative minimum
    of the distance less the cumulative cost, so a sweep is a few array operations.

    Parameters
    ----------
    seeds : bool ndarray of shape (H, W)
    across, down : float32 ndarray of shape (H, W)
        Cost, not negative, of a step between a pixel and the one to its left, or the one above
        it. The first column of `across` and the first row of `down` do not count.
    limit : float
        Longer distances are given as this one.

    Returns
    -------
    float32 ndarray of shape (H, W), in [0, limit]
        `limit` everywhere if there are no seeds.
    """
    distance = np.where(seeds, np.float32(0), np.float32(limit))
    if not seeds.any():
        return distance
    # In double precision: a distance is a small difference of long sums.
    sums = [
        (np.cumsum(cost, axis=axis, dtype=np.float64), axis)
        for cost, axis in ((across, 1), (down, 0))
    ]
    for _ in range(_ROUNDS):
        before = distance
        for cost, axis in sums:
            forward = np.minimum.accumulate(distance - cost, axis=axis) + cost
            backward = np.flip(distance + cost, axis)
            backward = np.flip(np.minimum.accumulate(backward, axis=axis), axis) - cost
            distance = np.clip(np.minimum(forward, backward), 0, limit).astype(np.float32)
        if float((before - distance).max()) < _CONVERGED:
            break
    return distance
