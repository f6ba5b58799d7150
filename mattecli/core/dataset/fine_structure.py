"""Hair and openwork drawn onto subjects by code: fine structure whose alpha is exact.

Photographs of real hair have no true mattes; composites of drawn hair do, and what a network has to
learn from them, whether a thin light thing is strand or background, is the same.
"""

from __future__ import annotations

import cv2
import numpy as np

Rng = np.random.Generator

# Strands are drawn at this multiple of the size, so that they can be thinner than a pixel.
_FINER = 3
# Corners of a strand.
_CORNERS = 7


def grow_hair(foreground: np.ndarray, alpha: np.ndarray, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Let hair or fur grow out of a part of the subject's outline.

    Parameters
    ----------
    foreground : float32, SxSx3, in [0, 1]
    alpha : float32, SxS, in [0, 1]

    Returns
    -------
    foreground, alpha
        As given, where there is no outline to grow hair on.
    """
    size = alpha.shape[0]
    outlines, _ = cv2.findContours(
        (alpha > 0.5).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    outline = max(outlines, key=len, default=np.zeros((0, 1, 2)))[:, 0].astype(np.float32)
    # The frame is no outline: nothing grows out of a cut.
    inside = ((outline > 2) & (outline < size - 3)).all(axis=1)
    if inside.sum() < 40:
        return foreground, alpha
    length = size * np.exp(rng.uniform(np.log(0.012), np.log(0.2)))
    part = rng.uniform(0.15, 1.0)
    first = rng.integers(len(outline))
    arc = np.roll(np.arange(len(outline)), -first)[: max(20, round(part * len(outline)))]
    arc = arc[inside[arc]]
    if not len(arc):
        return foreground, alpha
    density = np.exp(rng.uniform(np.log(0.25), np.log(5)))
    count = int(min(2000, max(12, density * len(arc))))
    picked = rng.integers(0, len(arc), count)
    roots = outline[arc[picked]]

    # Fur stands in tufts: strands that are neighbors lean the same way.
    tufts = rng.normal(0, rng.uniform(0, 0.7), len(arc) // int(rng.integers(6, 30)) + 2)
    lean = np.interp(picked, np.linspace(0, len(arc), len(tufts)), tufts)
    strands = _strands(roots, _outward(alpha, roots), length, lean, rng)
    colors = _colors(foreground, alpha, roots, rng)
    width = int(rng.choice([1, 2, 2, 3, 4, 6]))
    opacity = np.float32(rng.uniform(0.6, 1.0))
    drawn = np.zeros((size * _FINER, size * _FINER), np.uint8)
    color = foreground.copy()
    # Subpixel positions are given to OpenCV in sixteenths.
    fine = np.round(strands * _FINER * 16).astype(np.int32)
    coarse = np.round(strands * 16).astype(np.int32)
    # Strands taper: all of it thin, the half at the root as thick as they come.
    cv2.polylines(drawn, list(fine), False, 255, max(1, width // 2), cv2.LINE_AA, 4)
    cv2.polylines(drawn, list(fine[:, : _CORNERS // 2 + 1]), False, 255, width, cv2.LINE_AA, 4)
    outside = np.ones_like(color)
    for strand, value in zip(coarse, colors.tolist(), strict=True):
        cv2.polylines(outside, [strand], False, value, 3, cv2.LINE_8, 4)
    strand_alpha = cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA)
    strand_alpha = strand_alpha.astype(np.float32) * (opacity / 255)
    union = alpha + (1 - alpha) * strand_alpha
    own = (alpha / np.maximum(union, 1e-6))[..., None]
    return own * color + (1 - own) * outside, union


def cut_openwork(alpha: np.ndarray, rng: Rng) -> np.ndarray:
    """Cut holes into a subject, as wicker, lace, fences and foliage have them.

    Parameters
    ----------
    alpha : float32, SxS, in [0, 1]

    Returns
    -------
    float32, SxS
        What was there times a pattern in [0, 1].
    """
    size = alpha.shape[0]
    pattern = _lattice(size, rng) if rng.random() < 0.5 else _blobs(size, rng)
    if rng.random() < 0.5:
        # Only a part of the subject is open.
        where = smooth_noise(size, size * rng.uniform(0.15, 0.4), rng)
        open_part = np.clip((where - rng.uniform(-0.5, 0.3)) * 8, 0, 1)
        pattern = 1 - open_part * (1 - pattern)
    return alpha * pattern.astype(np.float32)


def _outward(alpha: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Give unit vectors, Nx2 (x, y), that point from subject to background."""
    soft = cv2.GaussianBlur(alpha, (0, 0), max(2.0, alpha.shape[0] / 100))
    columns, rows = points.astype(int).T
    slopes = [cv2.Sobel(soft, cv2.CV_32F, *axes)[rows, columns] for axes in ((1, 0), (0, 1))]
    away = -np.stack(slopes, axis=1)
    return away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)


def _strands(
    roots: np.ndarray, outward: np.ndarray, length: float, lean: np.ndarray, rng: Rng
) -> np.ndarray:
    """Corners of curved lines, N x corners x 2."""
    count = len(roots)
    # Hair of one head goes one way: a common lean, and a little disorder each.
    lean = lean + rng.normal(0, 0.7) + rng.normal(0, rng.uniform(0.05, 0.5), count)
    turn = rng.normal(0, 0.25) + rng.normal(0, rng.uniform(0.03, 0.3), count)
    angle = np.arctan2(outward[:, 1], outward[:, 0]) + lean
    lengths = length * np.exp(rng.normal(0, 0.45, count))
    step = (lengths / (_CORNERS - 1))[:, None]
    angles = angle[:, None] + turn[:, None] * np.arange(_CORNERS - 1)
    moves = step[..., None] * np.stack([np.cos(angles), np.sin(angles)], axis=2)
    # Roots lie under the skin, or the ends of the strands would show there.
    start = roots - 2.5 * outward
    return np.concatenate([start[:, None], start[:, None] + moves.cumsum(axis=1)], axis=1)


def _colors(foreground: np.ndarray, alpha: np.ndarray, roots: np.ndarray, rng: Rng) -> np.ndarray:
    """Color of each strand, Nx3: the subject's own near the root, lighter or darker."""
    inner = cv2.erode(alpha, np.ones((5, 5), np.uint8))[..., None]
    own = (
        cv2.blur(foreground * inner, (9, 9)) / np.maximum(cv2.blur(inner, (9, 9)), 1e-3)[..., None]
    )
    columns, rows = roots.astype(int).T
    near = own[rows, columns]
    if rng.random() < 0.3:
        near = near * 0 + rng.uniform(0, 1, 3) ** 2
    shade = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.12, (len(roots), 1)))
    return np.clip(near * shade, 0, 1)


def smooth_noise(size: int, scale: float, rng: Rng, along: float | None = None) -> np.ndarray:
    """Smooth SxS noise of about unit deviation: blobs `scale` pixels wide, and `along` high."""
    cells = [max(3, round(size / pixels)) for pixels in (along or scale, scale)]
    small = rng.standard_normal(cells).astype(np.float32)
    return cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)


def _blobs(size: int, rng: Rng) -> np.ndarray:
    """Leaves or lace: noise, cut at a level."""
    scale = size * np.exp(rng.uniform(np.log(0.008), np.log(0.05)))
    sharpness = np.float32(scale / rng.uniform(1.0, 3.0))
    return np.clip(
        0.5 + (smooth_noise(size, scale, rng) + rng.uniform(-0.3, 1.0)) * sharpness, 0, 1
    )


def _lattice(size: int, rng: Rng) -> np.ndarray:
    """Bars that cross: nets, fences, wicker."""
    period = size * np.exp(rng.uniform(np.log(0.02), np.log(0.12)))
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    bend = smooth_noise(size, size * 0.3, rng) * period * np.float32(rng.uniform(0, 0.6))
    bars = np.zeros((size, size), np.float32)
    angle = rng.uniform(0, np.pi)
    for turn in (0, rng.uniform(0.8, 1.57))[: 1 + (rng.random() < 0.8)]:
        across = x * np.cos(angle + turn) + y * np.sin(angle + turn) + bend
        thick = period * rng.uniform(0.2, 0.55)
        distance = np.abs(across % period - period / 2)
        bars = np.maximum(bars, np.clip(thick / 2 - distance + 0.5, 0, 1))
    return bars
