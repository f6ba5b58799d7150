"""Over-relaxation of the energy whose minimum are foreground and background colors."""

from __future__ import annotations

import cv2
import numpy as np

from mattecli.core.matting.compositing import composite

# Smoothness where alpha is flat (Germer 2020). Sweeps of each level: the coarsest one starts from
# nothing and is cheap. Over-relaxation reaches in these few sweeps what would take dozens.
_SMOOTHNESS = np.float32(1e-5)
_OVER_RELAXATION = np.float32(1.7)
# Pixels updated at a time: a few arrays of this length stay in the cache.
_CHUNK = 16384


def dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    """Let a mask of uint8 grow by `radius` pixels to all sides."""
    return cv2.dilate(mask, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))


def relax(
    foreground: np.ndarray,
    background: np.ndarray,
    image: np.ndarray,
    alpha: np.ndarray,
    unknown: np.ndarray,
    sweeps: int,
) -> None:
    """Red-black over-relaxation of the energy at the `unknown` pixels, in place.

    The energy of a pixel i with neighbors j is ``|αF + (1−α)B − I|²`` plus the sum over j of
    ``w_ij (|F_i − F_j|² + |B_i − B_j|²)`` with ``w_ij = ε + |α_i − α_j|``. For fixed neighbors,
    with their weighted means F' and B' and W = Σ w_ij, its minimum is ::

        r = (I − αF' − (1−α)B') / (α² + (1−α)² + W),   F = F' + αr,   B = B' + (1−α)r

    Neighbors always have the other color of a chessboard, so one half is updated at once.
    """
    # Only these pixels and their neighbors are looked at. They are numbered so that those updated
    # together follow one another: they are a slice, and only their neighbors are gathered.
    pixels = np.flatnonzero(unknown)
    rows, columns = np.divmod(pixels, alpha.shape[1])
    is_black = ((rows + columns) & 1).astype(bool)
    halves = pixels[is_black], pixels[~is_black]
    rim = np.flatnonzero(dilate(unknown, 1) != unknown)
    active = np.concatenate([*halves, rim])
    number = np.empty(alpha.size, np.int32)
    number[active] = np.arange(len(active))

    colors = np.empty((9, len(active)), np.float32)
    for i, picture in enumerate((foreground, background, image)):
        colors[3 * i : 3 * i + 3] = picture.reshape(-1, 3).take(active, axis=0).T
    colors, given = colors[:6], colors[6:]
    systems = _systems(halves, number, alpha.reshape(-1)[active], alpha.shape)
    for _ in range(sweeps):
        for part, neighbors, weights, a, gain in systems:
            mean = _weighted_mean(colors, neighbors, weights)
            rest = (given[:, part] - composite(a, mean[:3], mean[3:])) * gain
            mean[:3] += a * rest
            mean[3:] += (1 - a) * rest
            old = colors[:, part]
            mean -= old
            mean *= _OVER_RELAXATION
            mean += old
            np.clip(mean, 0, 1, out=old)

    for picture, solved in ((foreground, colors[:3]), (background, colors[3:])):
        picture.reshape(-1, 3)[active] = solved.T


def _systems(
    halves: tuple[np.ndarray, ...], number: np.ndarray, alpha: np.ndarray, shape: tuple[int, ...]
) -> list[tuple[slice, list[np.ndarray], list[np.ndarray], np.ndarray, np.ndarray]]:
    """Prepare `relax`, in parts that are updated at once.

    Parameters
    ----------
    halves : pair of int ndarray of shape (n,)
        Flat indices of the pixels to solve, by their color on a chessboard.
    number : int32 ndarray of shape (H * W,)
        Numbers of the active pixels; those of `halves` count from 0 in their order.
    alpha : float32 ndarray
        Of the active pixels, by number.
    shape : (H, W)

    Returns
    -------
    list of (slice of numbers, numbers of the four neighbors, their relative weights, alpha, gain)
    """
    height, width = shape
    systems = []
    start = 0
    for i in (i for half in halves for i in np.array_split(half, len(half) // _CHUNK + 1)):
        part = slice(start, start := start + len(i))
        y, x = np.divmod(i, width)
        neighbors = [
            number[j].astype(np.intp)
            for j in (
                np.where(x > 0, i - 1, i),
                np.where(x < width - 1, i + 1, i),
                np.where(y > 0, i - width, i),
                np.where(y < height - 1, i + width, i),
            )
        ]
        a = alpha[part]
        weights = [np.abs(a - alpha[j]) + _SMOOTHNESS for j in neighbors]
        total = weights[0] + weights[1] + weights[2] + weights[3]
        gain = 1 / (a * a + (1 - a) * (1 - a) + total)
        systems.append((part, neighbors, [w / total for w in weights], a, gain))
    return systems


def _weighted_mean(
    planes: np.ndarray, neighbors: list[np.ndarray], weights: list[np.ndarray]
) -> np.ndarray:
    # Every index is valid; in this mode none is checked.
    values = (planes.take(j, axis=1, mode="clip") for j in neighbors)
    return sum(np.multiply(value, w, out=value) for value, w in zip(values, weights, strict=True))
