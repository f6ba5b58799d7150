"""Foreground color estimation: the color a subject would have without its old background."""

from __future__ import annotations

import cv2
import numpy as np

from mattecli.core.imaging.pixels import to_bits, to_unit
from mattecli.core.matting.blocks import blocks, grown
from mattecli.core.matting.compositing import composite
from mattecli.core.matting.relaxation import dilate, relax

METHODS = ("multilevel", "blur-fusion")

_COARSEST_SWEEPS, _SWEEPS = 30, 6
# Longest side, in pixels, of the coarsest level.
_COARSEST_SIZE = 32
# Above this size only the pixels around the transition are solved for: all that the levels below
# left to do.
_DENSE_SIZE = 128
_MARGIN = 1
# The full size, and every level of more pixels than this, is not solved but unmixed.
_MOST_SOLVED = 8_000_000
# Alpha nearer to 0 or 1 than an 8-bit step can say is taken as 0 or 1.
_NEARLY = 1 / 512
# Rows and columns unmixed at a time, for the same reason; both even.
_BLOCK = 64, 256


def estimate_foreground(
    image: np.ndarray, alpha: np.ndarray, method: str = "multilevel"
) -> np.ndarray:
    """Estimate the foreground F in ``image = αF + (1−α)B``.

    F is `image` itself where alpha is 1. Where alpha is 0 it goes on smoothly from the nearest
    foreground, so that a cutout with straight alpha shows no rim after resampling.

    Parameters
    ----------
    image : H×W×3, uint8, uint16, or float32 in the range [0, 1]
        The photograph.
    alpha : float32 H×W, range [0, 1]
        Its matte.
    method : {"multilevel", "blur-fusion"}
        ``multilevel`` minimizes the energy of Germer et al., "Fast Multi-Level Foreground
        Estimation", 2020 (arXiv 2006.14970), up to half the size, and at full size changes the
        colors found there as little as makes them add up to the image. ``blur-fusion`` is the
        quick approximation of Forte and Pitié, "Approximate Fast Foreground Color Estimation",
        ICIP 2021.

    Returns
    -------
    H×W×3, type and range of `image`

    Raises
    ------
    ValueError
        If the shapes do not belong together or the method is unknown.
    """
    if image.ndim != 3 or image.shape[2] != 3 or alpha.shape != image.shape[:2]:
        raise ValueError(f"image {image.shape} and alpha {alpha.shape} do not belong together")
    if image.dtype.kind == "f":
        image = np.ascontiguousarray(image, dtype=np.float32)
    alpha = np.ascontiguousarray(alpha, dtype=np.float32)
    if method == "multilevel":
        return _multilevel(image, alpha)
    if method == "blur-fusion":
        return _stored(_blur_fusion(_unit(image), alpha), image.dtype)
    raise ValueError(f"unknown method '{method}': use {' or '.join(METHODS)}")


def extend_foreground(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Replace the color of fully transparent pixels by that of the nearest visible ones, blurred.

    What a file holds there is often black, which would darken the rim when it is resampled.

    Parameters
    ----------
    color : uint8 or uint16 H×W×3
        Straight (not premultiplied) color.
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
        premultiplied, weight = levels[-1]
        levels.append((_halve(premultiplied), _halve(weight)))
    premultiplied, weight = levels.pop()
    extended = premultiplied / np.maximum(weight, 1e-6)[..., None]
    for premultiplied, weight in reversed(levels):
        mean = premultiplied / np.maximum(weight, 1e-6)[..., None]
        enlarged = _double(extended)[: weight.shape[0], : weight.shape[1]]
        np.copyto(mean, enlarged, where=weight[..., None] <= 1e-6)
        extended = mean
    return np.where(visible[..., None], color, np.rint(extended).astype(color.dtype))


def _multilevel(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """From coarse to fine: enlarge the colors of the level below, then make them fit this one."""
    whole, dtype = image, image.dtype
    levels = [(image, alpha)]
    while max(levels[-1][1].shape) > _COARSEST_SIZE:
        image, alpha = levels[-1]
        levels.append((_halve(image), _halve(alpha)))

    image, alpha = levels.pop()
    image, alpha = _unit(image), _clamped_extremes(alpha)
    ones = np.ones((*alpha.shape, 1), np.float32)
    foreground, background = (_mean_color(image, weight) * ones for weight in (alpha, 1 - alpha))
    relax(foreground, background, image, alpha, np.ones(alpha.shape, np.uint8), _COARSEST_SWEEPS)
    if not levels:
        return cv2.copyTo(whole, (alpha == 1).view(np.uint8), _stored(foreground, dtype))
    while levels:
        image, alpha = levels.pop()
        if not levels or alpha.size > _MOST_SOLVED:
            coarse = (foreground, background)
            if not levels:
                # The last background is of no use.
                return _unmix(image, alpha, *coarse, 1)[0]
            foreground, background = _unmix(image, alpha, *coarse, 2)
            continue
        # Rounding leaves means of many ones just below 1.
        alpha = _clamped_extremes(alpha)
        foreground, background = (
            np.ascontiguousarray(_double(colors)[: alpha.shape[0], : alpha.shape[1]])
            for colors in (foreground, background)
        )
        unknown = np.ones(alpha.shape, np.uint8)
        if max(alpha.shape) > _DENSE_SIZE:
            unknown = dilate(((alpha > 0) & (alpha < 1)).view(np.uint8), _MARGIN)
        relax(foreground, background, _unit(image), alpha, unknown, _SWEEPS)
    return foreground


def _unmix(
    image: np.ndarray,
    alpha: np.ndarray,
    foreground: np.ndarray,
    background: np.ndarray,
    wanted: int,
) -> list[np.ndarray]:
    """Enlarge the colors F' and B' of the level below, and make them add up to this level's image.

    Of all F and B with ``αF + (1−α)B = I`` these are nearest to F' and B' ::

        r = (I − αF' − (1−α)B') / (α² + (1−α)²),   F = F' + αr,   B = B' + (1−α)r

    Neighbors have no say, so a block at a time is done. With `wanted` 1 there is no B.
    """
    results = [np.empty_like(image) for _ in range(wanted)]
    for block in blocks(alpha.shape, *_BLOCK):
        a = _clamped_extremes(alpha[block])
        if wanted == 1 and a.min() == 1:
            results[0][block] = image[block]
            continue
        height, width = a.shape
        # Blocks start at even pixels, so halves start at whole ones.
        rows, columns = (slice(part.start // 2, (part.stop + 1) // 2) for part in block)
        outer, inner = grown((rows, columns), 1, foreground.shape)
        top, left = (2 * part.start for part in inner)
        fore, back = (
            _double(_unit(colors[outer]))[top : top + height, left : left + width]
            for colors in (foreground, background)
        )
        if a.max() > 0:
            # In three layers: NumPy is slow where one layer meets three.
            a = cv2.merge((a, a, a))
            rest = _unit(image[block]) - composite(a, fore, back)
            rest /= a * a + (1 - a) * (1 - a)
            fore, back = fore + a * rest, back + (1 - a) * rest
        for result, colors in zip(results, (fore, back), strict=False):
            result[block] = _stored(np.clip(colors, 0, 1), image.dtype)
    return results


def _unit(colors: np.ndarray) -> np.ndarray:
    return colors if colors.dtype.kind == "f" else to_unit(colors)


def _stored(colors: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return colors if colors.dtype == dtype else to_bits(colors, 8 * dtype.itemsize)


def _clamped_extremes(alpha: np.ndarray) -> np.ndarray:
    alpha = alpha.copy()
    alpha[alpha < _NEARLY] = 0
    alpha[alpha > 1 - _NEARLY] = 1
    return alpha


def _mean_color(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Mean color as a picture of one pixel; the plain mean where there is no weight."""
    weight = weight + np.float32(1e-6)
    return (np.einsum("hwc,hw->c", image, weight) / weight.sum()).reshape(1, 1, 3)


def _halve(array: np.ndarray) -> np.ndarray:
    """Means of 2×2 pixels; an odd last row or column is taken twice."""
    height, width = array.shape[:2]
    if height % 2 or width % 2:
        array = cv2.copyMakeBorder(array, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    size = ((width + 1) // 2, (height + 1) // 2)
    halved = cv2.resize(array, size, interpolation=cv2.INTER_AREA)
    return halved.reshape(size[1], size[0], *array.shape[2:])


def _double(array: np.ndarray) -> np.ndarray:
    height, width = array.shape[:2]
    return cv2.resize(array, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)


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
