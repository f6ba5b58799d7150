"""Foreground colour estimation: the colour a subject would have without its old background."""

from __future__ import annotations

import cv2
import numpy as np

from mattecli.core.dataset.compositing import composite

METHODS = ("multilevel", "blur-fusion")

# Smoothness where alpha is flat (Germer 2020). Sweeps of each level: the coarsest one starts from
# nothing and is cheap, the finest one costs most and starts from a good guess. Over-relaxation
# reaches in these few sweeps what would take dozens.
_SMOOTHNESS = np.float32(1e-5)
_COARSEST_SWEEPS, _SWEEPS, _FINEST_SWEEPS = 30, 10, 6
_OVER_RELAXATION = np.float32(1.7)
# Longest side, in pixels, of the coarsest level.
_COARSEST_SIZE = 32
# Above this size only the pixels around the transition are solved for: all that the levels below
# left to do.
_DENSE_SIZE = 128
_MARGIN = 1
# Alpha nearer to 0 or 1 than an 8-bit step can say is taken as 0 or 1.
_NEARLY = 1 / 512
# Pixels updated at a time: a few arrays of this length stay in the cache.
_CHUNK = 16384


def estimate_foreground(
    image: np.ndarray, alpha: np.ndarray, method: str = "multilevel"
) -> np.ndarray:
    """Estimate the foreground F in ``image = αF + (1−α)B``.

    F is `image` itself where alpha is 1. Where alpha is 0 it goes on smoothly from the nearest
    foreground, so that a cutout with straight alpha shows no rim after resampling.

    Parameters
    ----------
    image : float32 H×W×3, range [0, 1]
        The photograph.
    alpha : float32 H×W, range [0, 1]
        Its matte.
    method : {"multilevel", "blur-fusion"}
        ``multilevel`` minimises the energy of Germer et al., "Fast Multi-Level Foreground
        Estimation", 2020 (arXiv 2006.14970). ``blur-fusion`` is the quick approximation of Forte
        and Pitié, "Approximate Fast Foreground Colour Estimation", ICIP 2021.

    Returns
    -------
    float32 H×W×3, range [0, 1]

    Raises
    ------
    ValueError
        If the shapes do not belong together or the method is unknown.
    """
    if image.ndim != 3 or image.shape[2] != 3 or alpha.shape != image.shape[:2]:
        raise ValueError(f"image {image.shape} and alpha {alpha.shape} do not belong together")
    image = np.ascontiguousarray(image, dtype=np.float32)
    alpha = np.ascontiguousarray(alpha, dtype=np.float32)
    if method == "multilevel":
        return _multilevel(image, alpha)
    if method == "blur-fusion":
        return _blur_fusion(image, alpha)
    raise ValueError(f"unknown method '{method}': use {' or '.join(METHODS)}")


def extend_foreground(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Replace the colour of fully transparent pixels by that of the nearest visible ones, blurred.

    What a file holds there is often black, which would darken the rim when it is resampled.

    Parameters
    ----------
    color : uint8 or uint16 H×W×3
        Straight (not premultiplied) colour.
    alpha : uint8 or uint16 H×W
        Its matte.

    Returns
    -------
    same type and shape as `color`
    """
    visible = alpha > 0
    if visible.all() or not visible.any():
        return color
    weight = alpha.astype(np.float32)
    levels = [(color.astype(np.float32) * weight[..., None], weight)]
    while max(levels[-1][1].shape) > 1:
        levels.append(tuple(_halve(array) for array in levels[-1]))
    extended = None
    for premultiplied, weight in reversed(levels):
        mean = premultiplied / np.maximum(weight, 1e-6)[..., None]
        if extended is not None:
            np.copyto(mean, _enlarge(extended, weight.shape), where=weight[..., None] <= 1e-6)
        extended = mean
    return np.where(visible[..., None], color, np.rint(extended).astype(color.dtype))


def _multilevel(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """From coarse to fine: enlarge the colours of the level below, then sweep over this level."""
    levels = [(image, _snapped(alpha))]
    while max(levels[-1][1].shape) > _COARSEST_SIZE:
        image, alpha = levels[-1]
        # Rounding leaves means of many ones just below 1.
        levels.append((_halve(image), _snapped(_halve(alpha))))

    image, alpha = levels[-1]
    foreground, background = _mean_color(image, alpha), _mean_color(image, 1 - alpha)
    schedule = [_COARSEST_SWEEPS, *[_SWEEPS] * (len(levels) - 2), _FINEST_SWEEPS]
    for (image, alpha), sweeps in zip(reversed(levels), schedule, strict=False):
        foreground = _enlarge(foreground, alpha.shape)
        background = _enlarge(background, alpha.shape)
        unknown = np.ones(alpha.shape, np.uint8)
        if max(alpha.shape) > _DENSE_SIZE:
            unknown = _dilate(((alpha > 0) & (alpha < 1)).view(np.uint8), _MARGIN)
        _relax(foreground, background, image, alpha, unknown, sweeps)
    return cv2.copyTo(image, (alpha == 1).view(np.uint8), foreground)


def _snapped(alpha: np.ndarray) -> np.ndarray:
    alpha = alpha.copy()
    alpha[alpha < _NEARLY] = 0
    alpha[alpha > 1 - _NEARLY] = 1
    return alpha


def _mean_color(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Mean colour as a picture of one pixel; the plain mean where there is no weight."""
    weight = weight + np.float32(1e-6)
    return (np.einsum("hwc,hw->c", image, weight) / weight.sum()).reshape(1, 1, 3)


def _halve(array: np.ndarray) -> np.ndarray:
    height, width = array.shape[:2]
    size = ((width + 1) // 2, (height + 1) // 2)
    halved = cv2.resize(array, size, interpolation=cv2.INTER_AREA)
    return halved.reshape(size[1], size[0], *array.shape[2:])


def _enlarge(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    enlarged = cv2.resize(array, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return enlarged.reshape(*shape, 3)


def _dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    return cv2.dilate(mask, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))


def _relax(
    foreground: np.ndarray,
    background: np.ndarray,
    image: np.ndarray,
    alpha: np.ndarray,
    unknown: np.ndarray,
    sweeps: int,
) -> None:
    """Red-black over-relaxation of the energy at the `unknown` pixels, in place.

    The energy of a pixel i with neighbours j is ``|αF + (1−α)B − I|²`` plus the sum over j of
    ``w_ij (|F_i − F_j|² + |B_i − B_j|²)`` with ``w_ij = ε + |α_i − α_j|``. For fixed neighbours,
    with their weighted means F' and B' and W = Σ w_ij, its minimum is ::

        r = (I − αF' − (1−α)B') / (α² + (1−α)² + W),   F = F' + αr,   B = B' + (1−α)r

    Neighbours always have the other colour of a chessboard, so one half is updated at once.
    """
    # Only these pixels and their neighbours are looked at. They are numbered so that those updated
    # together follow one another: they are a slice, and only their neighbours are gathered.
    height, width = alpha.shape
    pixels = np.flatnonzero(unknown)
    rows, columns = np.divmod(pixels, width)
    is_black = ((rows + columns) & 1).astype(bool)
    halves = pixels[is_black], pixels[~is_black]
    rim = np.flatnonzero(_dilate(unknown, 1) != unknown)
    active = np.concatenate([*halves, rim])
    number = np.empty(alpha.size, np.int32)
    number[active] = np.arange(len(active))

    def planes(picture: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(picture.reshape(-1, 3)[active].T)

    colors, given = np.vstack([planes(foreground), planes(background)]), planes(image)
    active_alpha = alpha.reshape(-1)[active]
    systems = []
    start = 0
    for i in (i for half in halves for i in np.array_split(half, len(half) // _CHUNK + 1)):
        part = slice(start, start := start + len(i))
        y, x = np.divmod(i, width)
        neighbours = [
            number[j].astype(np.intp)
            for j in (
                np.where(x > 0, i - 1, i),
                np.where(x < width - 1, i + 1, i),
                np.where(y > 0, i - width, i),
                np.where(y < height - 1, i + width, i),
            )
        ]
        a = active_alpha[part]
        weights = [np.abs(a - active_alpha[j]) + _SMOOTHNESS for j in neighbours]
        total = sum(weights)
        gain = 1 / (a * a + (1 - a) * (1 - a) + total)
        systems.append((part, neighbours, [w / total for w in weights], a, gain))

    for _ in range(sweeps):
        for part, neighbours, weights, a, gain in systems:
            mean = _weighted_mean(colors, neighbours, weights)
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


def _weighted_mean(
    planes: np.ndarray, neighbours: list[np.ndarray], weights: list[np.ndarray]
) -> np.ndarray:
    # Every index is valid; in this mode none is checked.
    values = (planes.take(j, axis=1, mode="clip") for j in neighbours)
    return sum(np.multiply(value, w, out=value) for value, w in zip(values, weights, strict=True))


def _blur_fusion(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Two passes of box blurs, 90 px for reach and 6 px for detail."""
    a = alpha[..., None]
    foreground = background = image
    for size in (90, 6):
        weight = cv2.blur(alpha, (size, size))[..., None]
        # The small constant falls back on the pass before where the box holds nothing.
        f_mean = cv2.blur(foreground * a, (size, size)) + 1e-5 * foreground
        f_mean /= weight + 1e-5
        b_mean = cv2.blur(background * (1 - a), (size, size)) + 1e-5 * background
        b_mean /= 1 - weight + 1e-5
        foreground = np.clip(f_mean + a * (image - composite(a, f_mean, b_mean)), 0, 1)
        background = b_mean
    return foreground
