"""The one reader of trimaps: what in them is background, unknown and subject."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.pixels import MAX_PIXELS, Picture, to_8_bit
from mattecli.core.imaging.reading import read_picture

#: Values of a trimap that has been read.
BACKGROUND, UNKNOWN, SUBJECT = 0, 128, 255

_LEVELS = np.array([BACKGROUND, UNKNOWN, SUBJECT])
# Noise of JPEG, and greys that were picked by eye, are this near to a level.
_TOLERANCE = 25
# Pictures of so few values hold no noise: there two values are never one level.
_FEW = 8
# Share of pixels between the levels that soft borders and noise may have, and the side of a square
# that they never fill.
_STRAY, _FLAT = 0.1, 9
# Channels of a grey picture differ by less, save for so many noisy pixels.
_GREY, _COLORED = 64, 0.001
_HINT = "a trimap has 0 for background, 128 for unknown and 255 for subject, or labels 0, 1 and 2"


def read_trimap(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read a trimap from a file; see `trimap_of`.

    Raises
    ------
    MatteError
        As `read_picture` does, or if the file cannot be understood as a trimap.
    """
    return trimap_of(read_picture(path, max_pixels, as_numbers=True), str(path))


def trimap_of(picture: Picture, name: str = "the trimap") -> np.ndarray:
    """Understand a picture as a trimap.

    These mean the same, in 8 or in 16 bits: 0, 128, 255; 0, 127, 255; labels 0, 1, 2. Not all of
    them need occur. Greys near them, such as the noise of JPEG leaves behind, count as the nearest
    one, soft borders as unknown. A trimap in an alpha channel is one too, and so are strokes in
    black and white on a transparent layer, where what is transparent is unknown.

    Parameters
    ----------
    picture : Picture
    name : str
        What errors call it.

    Returns
    -------
    uint8 ndarray of shape (H, W)
        `BACKGROUND`, `UNKNOWN` or `SUBJECT`.

    Raises
    ------
    MatteError
        If it is in color, if it is a mask of 0 and 1 that could mean two things, or if its values
        are others; they are named.
    """
    color, alpha = picture.color, picture.alpha
    if alpha is None or alpha.min() == np.iinfo(alpha.dtype).max:
        return _levels(_grey(color, np.ones(color.shape[:2], bool), name), name)
    if (color == color[:1, :1]).all():
        levels = _levels_or_none(alpha)
        # Of two values only, one color on a transparent layer is strokes.
        if levels is not None and (levels == UNKNOWN).any():
            return levels
    drawn = to_8_bit(alpha) >= UNKNOWN
    if not drawn.any():
        raise MatteError(f"{name} marks nothing, being transparent: {_HINT}")
    grey = to_8_bit(_grey(color, drawn, name))
    grey[~drawn] = UNKNOWN
    return _levels(grey, name)


def _grey(color: np.ndarray, counted: np.ndarray, name: str) -> np.ndarray:
    small = to_8_bit(color)
    spread = small.max(axis=2).astype(np.int16) - small.min(axis=2)
    colored = np.count_nonzero((spread > _GREY) & counted)
    if colored > _COLORED * np.count_nonzero(counted):
        rgb = small[(spread > _GREY) & counted][0]
        raise MatteError(f"{name} is in color (such as RGB {', '.join(map(str, rgb))}): {_HINT}")
    return cv2.cvtColor(color, cv2.COLOR_RGB2GRAY)


def _levels(values: np.ndarray, name: str) -> np.ndarray:
    """Turn grey values into levels, or say which values stood in the way."""
    if (levels := _levels_or_none(values)) is None:
        raise MatteError(f"{name} cannot be understood: its values are {_named(values)}; {_HINT}")
    return levels


def _levels_or_none(values: np.ndarray) -> np.ndarray | None:
    if values.dtype == np.uint16 and values.max() <= 255:
        # Values of 8 bits that were stored in 16.
        values = values.astype(np.uint8)
    values = to_8_bit(values)
    if values.max() <= 2:
        # All black is no subject anywhere; 0 with 1, or 1 alone, may be a mask as well as labels.
        return None if values.max() == 1 else _LEVELS[values].astype(np.uint8)
    found = np.unique(values).astype(int)
    distance = np.abs(found[:, None] - _LEVELS)
    nearest = distance.argmin(axis=1)
    if len(found) <= _FEW:
        exact = distance.min(axis=1) <= _TOLERANCE
        if not exact.all() or len(set(nearest)) < len(found):
            return None
    table = np.full(256, UNKNOWN, np.uint8)
    table[: _TOLERANCE + 1], table[255 - _TOLERANCE :] = BACKGROUND, SUBJECT
    levels = table[values]
    stray = (levels == UNKNOWN) & (np.abs(values.astype(np.int16) - UNKNOWN) > _TOLERANCE)
    count = np.count_nonzero(stray)
    if count > _STRAY * stray.size or 2 * count > np.count_nonzero(levels == UNKNOWN):
        return None
    flat = cv2.erode(stray.view(np.uint8), np.ones((_FLAT, _FLAT), np.uint8), borderValue=0)
    return None if flat.any() else levels


def _named(values: np.ndarray) -> str:
    found, counts = np.unique(values, return_counts=True)
    if len(found) <= _FEW:
        return ", ".join(map(str, found))
    most = np.sort(found[np.argsort(-counts)[:_FEW]])
    return f"{found[0]} to {found[-1]}, most often {', '.join(map(str, most))}"
