"""Carrying a matte to the photo's full size, guided by the photo."""

from __future__ import annotations

import math

import cv2
import numpy as np

from mattecli.core.imaging.pixels import to_8_bit, to_unit
from mattecli.core.matting.blocks import Block, busy_blocks, grown, pair, scaled
from mattecli.core.matting.closed_form import solve_closed_form
from mattecli.core.matting.color_windows import ColorWindows
from mattecli.core.matting.marks import fit_marks, spread_marks
from mattecli.core.matting.placing import resize

# Radius of windows at half the network's size, and the contrast (squared) below which one is flat.
# SAD and Grad on photos and composites chose them.
_RADIUS, _FLAT_CONTRAST = 4, 1e-5
# Where the matte is this close to 0 or 1 in the whole window it is sure.
_CERTAIN_MARGIN = 0.01
# Size at which uncertain pixels are solved.
_SOLVED_PIXELS = 1_000_000
# Rows of the full-size photo that are worked on at once, and the side of blocks that are left out
# where all is sure.
_STRIP, _BLOCK = 32, 32
# Around what marks changed at that size, the full-size matte is made anew.
_AROUND_CHANGE = np.ones((9, 9), np.uint8)


def refine(
    color: np.ndarray,
    matte: np.ndarray,
    level: str = "fast",
    network_input: np.ndarray | None = None,
) -> np.ndarray:
    """Bring a matte to the size of its photo.

    ``none`` enlarges it by cubic interpolation. ``fast`` takes alpha for a linear function of
    color within every window, finds these functions at half the network's size and applies them to
    the full-size photo, so that edges and hair come back at the photo's own sharpness: the fast
    guided filter of He and Sun (arXiv 1505.00996).
    ``best`` then solves the uncertain pixels anew by closed-form matting at up to a megapixel
    (`refine_found` leaves that out where the network has taken a detail pass, which finds more). In
    all of them only pixels about which the network is uncertain are touched.

    Parameters
    ----------
    color : ndarray of shape (H, W, 3), uint8 or uint16
        The photo.
    matte : float32 ndarray of shape (h, w), in [0, 1]
        The network's matte of it, at the size at which the network saw it.
    level : {"none", "fast", "best"}
    network_input : uint8 ndarray of shape (h, w, 3), optional
        The photo as the network saw it, which spares making it small once more.

    Returns
    -------
    float32 ndarray of shape (H, W), in [0, 1]
    """
    if level == "none":
        return resize(matte, *color.shape[:2])
    if level == "best":
        return _to_full_size(color, _solve_uncertain(color, matte, network_input))
    return _guided_upsample(color, matte, network_input)


def refine_with_marks(
    color: np.ndarray,
    first: np.ndarray,
    subject: np.ndarray,
    background: np.ndarray,
    plain: np.ndarray | None = None,
) -> np.ndarray:
    """Correct a matte by what is marked: a trimap, strokes, or points.

    What is marked obeys exactly. Where marks contradict the matte, the correction spreads to what
    is connected and looks alike (`spread_marks`). Then closed-form matting decides from the photo
    where corrections end, and alpha between marks of both kinds that are near each other: all that
    the band of an ordinary trimap leaves open. Everything else stays as it was.

    Parameters
    ----------
    color : ndarray of shape (H, W, 3), uint8 or uint16
        The photo.
    first : float32 ndarray of shape (H, W), in [0, 1]
        A matte of it.
    subject, background : bool ndarray of shape (H, W)
        What is known to be subject, and what is not; the rest is unknown.
    plain : float32 ndarray of shape (h, w), in [0, 1], optional
        The matte as the network gave it. The narrow band of a trimap is solved from this one where
        it is given, as `refine` has decided already what the solution is to decide.

    Returns
    -------
    float32 ndarray of shape (H, W), in [0, 1]
        1 in `subject` and 0 in `background`.
    """
    small = _to_solve(color)
    size = small.shape[:2]
    start = resize(first, *size)
    inside, outside = (fit_marks(mask, size) for mask in (subject, background))
    inside, outside = inside & ~outside, outside & ~inside
    plain = None if plain is None else resize(plain, *size)
    spread = spread_marks(to_8_bit(small), start, inside, outside, plain)
    # Solved beside what is open is only a trace, but far from all marks nothing at all may change.
    solved = np.where(spread.open, _solve(small, spread.matte.copy(), spread.open), spread.matte)
    alpha = solved if size == first.shape else _brought_back(color, first, start, solved)
    alpha[subject], alpha[background] = 1, 0
    return alpha


def _brought_back(
    color: np.ndarray, first: np.ndarray, start: np.ndarray, solved: np.ndarray
) -> np.ndarray:
    """Bring to full size what was changed from `start` to `solved`; elsewhere `first` stays."""
    changed = (np.abs(solved - start) > 0.5 / 255).astype(np.uint8)
    alpha = first.copy()
    if not changed.any():
        return alpha
    changed = cv2.dilate(changed, _AROUND_CHANGE)
    # Most corrections are small, and most photos large.
    small = _box_of(changed > 0, 4 * _RADIUS)
    large = scaled(small, first.shape, start.shape)
    part = alpha[large]
    share = cv2.resize(
        changed[small].astype(np.float32), part.shape[::-1], interpolation=cv2.INTER_LINEAR
    )
    part += share * (_guided_upsample(color[large], solved[small]) - part)
    return alpha


def _box_of(mask: np.ndarray, margin: int) -> Block:
    """Find the rows and columns that a mask, not all False, has, and so many around."""
    rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
    return pair(
        slice(max(0, int(found[0]) - margin), min(length, int(found[-1]) + 1 + margin))
        for found, length in zip((rows, columns), mask.shape, strict=True)
    )


def _to_solve(color: np.ndarray) -> np.ndarray:
    """Reduce a photo to the size at which uncertain pixels are solved, unless it is smaller."""
    scale = min(1.0, math.sqrt(_SOLVED_PIXELS / (color.shape[0] * color.shape[1])))
    return resize(color, *(max(1, round(side * scale)) for side in color.shape[:2]))


def _solve_uncertain(
    color: np.ndarray, matte: np.ndarray, network_input: np.ndarray | None
) -> np.ndarray:
    """Solve what is uncertain in a matte, at the size of the photo or at a megapixel."""
    color = _to_solve(color)
    first = _guided_upsample(color, matte, network_input)
    # The network is uncertain just beside what it shows as uncertain, too.
    uncertain = cv2.dilate(_is_uncertain(matte).astype(np.uint8), np.ones((5, 5), np.uint8))
    uncertain = cv2.resize(uncertain, first.shape[::-1], interpolation=cv2.INTER_NEAREST).astype(
        bool
    )
    return _solve(color, first, uncertain)


def _solve(color: np.ndarray, first: np.ndarray, uncertain: np.ndarray) -> np.ndarray:
    if not uncertain.any():
        return first
    # Where all is sure nothing changes, so only the box around the rest is solved.
    box = _box_of(uncertain, 2)
    first[box] = solve_closed_form(to_unit(color[box]), first[box], uncertain[box])
    return first


def _to_full_size(color: np.ndarray, solved: np.ndarray) -> np.ndarray:
    return solved if solved.shape == color.shape[:2] else _guided_upsample(color, solved)


def _guided_upsample(
    color: np.ndarray, matte: np.ndarray, network_input: np.ndarray | None = None
) -> np.ndarray:
    """Bring a matte to the photo's size by a fast guided filter."""
    height, width = color.shape[:2]
    alpha = resize(matte, height, width)
    half = tuple((side + 1) // 2 for side in matte.shape)
    # Alpha is slope · color + offset; the last layer says how far the matte is uncertain.
    layers = np.zeros((5, *half), np.float32)
    layers[4] = resize(_uncertainty(matte), *half)
    guide = to_unit(resize(color if network_input is None else network_input, *half))
    reduced = resize(matte, *half)
    # Interpolation at a pixel that is uncertain reaches to its neighbors.
    needed = cv2.dilate((layers[4] > 0).view(np.uint8), np.ones((3, 3), np.uint8))
    for block in busy_blocks(needed, _BLOCK):
        # A fit depends on colors that are two radii away.
        outer, inner = grown(block, 2 * _RADIUS, half)
        slope, offset = ColorWindows(guide[outer], _RADIUS, _FLAT_CONTRAST).fit(reduced[outer])
        layers[:3, block[0], block[1]] = slope[inner].transpose(2, 0, 1)
        layers[3][block] = offset[inner]

    for start in range(0, height, _STRIP):
        rows = np.arange(start, min(start + _STRIP, height))
        position = np.clip((rows + 0.5) * half[0] / height - 0.5, 0, half[0] - 1)
        above = position.astype(int)
        first, last = above[0], min(above[-1] + 1, half[0] - 1)
        if not layers[4, first : last + 1].any():
            continue
        share = (position - above).astype(np.float32)[:, None]
        above -= first
        below = np.minimum(above + 1, last - first)
        wide = [cv2.resize(layer[first : last + 1], (width, last - first + 1)) for layer in layers]
        busy = (wide[4] > 0).any(axis=0, keepdims=True).view(np.uint8)
        for _, columns in busy_blocks(busy, _BLOCK):
            red, green, blue, offset, weight = (
                part[above] + share * (part[below] - part[above])
                for part in (layer[:, columns] for layer in wide)
            )
            block = slice(start, start + len(rows)), columns
            r, g, b = cv2.split(to_unit(color[block]))
            guided = np.clip(red * r + green * g + blue * b + offset, 0, 1)
            alpha[block] += weight * (guided - alpha[block])
    return alpha


def _uncertainty(matte: np.ndarray) -> np.ndarray:
    return cv2.blur(_is_uncertain(matte).astype(np.float32), (3, 3))


def _is_uncertain(matte: np.ndarray) -> np.ndarray:
    return (matte > _CERTAIN_MARGIN) & (matte < 1 - _CERTAIN_MARGIN)
