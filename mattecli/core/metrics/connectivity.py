"""Conn: how far pixels hang off the body that the prediction and the truth share."""

from __future__ import annotations

import cv2
import numpy as np

from mattecli.core.metrics.pixels import comparable, mask_of, white

STEPS = 10
THETA = 0.15


def connectivity_error(
    prediction: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None
) -> float:
    """Compute the connectivity error, Σ|φ(p) − φ(t)| / 1000 over the region.

    With l(x) the last of the thresholds 0.1, 0.2 … 1.0 before pixel x first falls out of the
    largest 4-connected component of (p ≥ θ) ∧ (t ≥ θ), and d = α − l, φ(α) = 1 − d·[d ≥ 0.15]
    (Rhemann et al., CVPR 2009; the public Composition-1k evaluation's variant). Where no pixel
    reaches a threshold, all that is left falls out there. Of components of one size the reference
    takes the first in column order, and so do we. Components are those of the whole image whatever
    the region. An empty region has error 0.

    Parameters and errors are those of `sad`.
    """
    p, t = comparable(prediction, truth)
    differs = p != t
    mask = mask_of(region, p)
    if mask is not None:
        differs &= mask.view(bool)
    # Equal values have equal φ, so only pixels that differ need their l and their φ.
    l_map = steps_survived(p, t)[differs] / np.float64(STEPS)
    phi_p, phi_t = (_phi(matte[differs] / white(matte), l_map) for matte in (p, t))
    return float(np.abs(phi_p - phi_t).sum()) / 1000


def steps_survived(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    """At how many thresholds in a row each pixel lies in the largest component: 10 · l(x).

    Parameters
    ----------
    p, t : ndarray, shape (H, W)
        Of one dtype, as `comparable` returns them.

    Returns
    -------
    ndarray, shape (H, W), uint8
        0 to 10.
    """
    reached = _steps_reached(cv2.min(p, t))
    population = np.bincount(reached.ravel(), minlength=STEPS + 1)[::-1].cumsum()[::-1]
    survived = np.zeros_like(reached)
    highest = int(reached.max())
    if highest == 0:
        return survived
    seed = _likely_seed(reached)
    for step in range(1, highest + 1):
        # A threshold that no pixel falls short of leaves the component as it was.
        if step == 1 or population[step] != population[step - 1]:
            # Flooding from one pixel is ten times as fast as labeling everything, and proves
            # itself: a component of more than half the pixels is the largest.
            body, area = _component_around(seed, reached, step)
            if 2 * area <= population[step]:
                body, seed = _largest_component(reached, step)
        # The body at a higher threshold lies inside that of the last one or wholly apart from it:
        # inside, its pixels live on; apart, all that was left falls out here.
        if survived[seed] != step - 1:
            break
        survived += body
    return survived


def _steps_reached(matte: np.ndarray) -> np.ndarray:
    """How many of the thresholds 0.1 … 1.0 each value reaches, compared in single precision."""
    thresholds = (np.arange(1, STEPS + 1) / STEPS).astype(np.float32)
    if matte.dtype.kind == "f":
        return np.searchsorted(thresholds, matte, side="right").astype(np.uint8)
    values = np.arange(int(white(matte)) + 1, dtype=np.float32) / np.float32(white(matte))
    return np.searchsorted(thresholds, values, side="right").astype(np.uint8)[matte]


def _likely_seed(reached: np.ndarray) -> tuple[int, int]:
    """Find the middle of the fullest 16x16 block: deep inside the body, if there is one."""
    rows, columns = reached.shape[0] // 16, reached.shape[1] // 16
    if rows == 0 or columns == 0:
        return divmod(int(reached.argmax()), reached.shape[1])
    whole_blocks = reached[: 16 * rows, : 16 * columns]
    blocks = cv2.resize(whole_blocks, (columns, rows), interpolation=cv2.INTER_AREA)
    row, column = divmod(int(blocks.argmax()), columns)
    return 16 * row + 8, 16 * column + 8


def _component_around(
    seed: tuple[int, int], reached: np.ndarray, step: int
) -> tuple[np.ndarray, int]:
    """Find the component of ``reached >= step`` around `seed`: a uint8 mask of 0, 1; its area."""
    height, width = reached.shape
    framed = np.zeros((height + 2, width + 2), np.uint8)
    here = int(reached[seed])
    if here < step:
        return framed[1:-1, 1:-1], 0
    area, *_ = cv2.floodFill(
        reached,
        framed,
        seed[::-1],
        0,
        loDiff=here - step,
        upDiff=STEPS - here,
        flags=4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (1 << 8),
    )
    return framed[1:-1, 1:-1], area


def _largest_component(reached: np.ndarray, step: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Find the largest component of ``reached >= step``: a uint8 mask of 0 and 1; a pixel of it."""
    level = (reached >= step).view(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(level, connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]
    tied = 1 + np.flatnonzero(areas == areas.max())
    # Column order: the leftmost component first, of those the one whose leftmost pixel is topmost.
    left = stats[tied, cv2.CC_STAT_LEFT].min()
    row = int(np.isin(labels[:, left], tied).argmax())
    seed = (row, int(left))
    return (labels == labels[seed]).view(np.uint8), seed


def _phi(alpha: np.ndarray, l_map: np.ndarray) -> np.ndarray:
    distance = alpha - l_map
    return 1 - distance * (distance >= THETA)
