"""The one reader of strokes and masks that say what to keep or to drop."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.pixels import MAX_PIXELS, Picture, to_8_bit
from mattecli.core.imaging.reading import read_picture

# Values below this are noise on black, such as that of JPEG.
_NOISE = 48
# Anti-aliased borders count from half of what is strongest around them on: in a square of so many
# pixels, beyond the blocks of JPEG, so that dark strokes count beside bright ones.
_AROUND = np.ones((17, 17), np.uint8)
# Values up to this are labels, of which 0 is what is not marked.
_LABELS = 2
# Strokes that leave less than this share of a picture unmarked were drawn on white.
_LEAST_UNMARKED = 0.02


def read_strokes(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read strokes from a file; see `strokes_of`.

    Raises
    ------
    MatteError
        As `read_picture` and `strokes_of` do, or if nothing is marked.
    """
    strokes = strokes_of(read_picture(path, max_pixels), str(path))
    if not strokes.any():
        raise MatteError(f"{path} marks nothing: {_HINT}")
    return strokes


def strokes_of(picture: Picture, name: str = "the strokes") -> np.ndarray:
    """Find what is drawn on a transparent layer, or in any color on black.

    Masks of 0 and 1 are understood, too.

    Parameters
    ----------
    picture : Picture
    name : str
        What errors call it.

    Returns
    -------
    bool ndarray of shape (H, W)

    Raises
    ------
    MatteError
        If nearly all is marked, as by strokes on white.
    """
    alpha = picture.alpha
    if alpha is not None and alpha.min() < np.iinfo(alpha.dtype).max:
        strength = to_8_bit(alpha)
    elif picture.color.max() <= _LABELS:
        return picture.color.max(axis=2) > 0
    else:
        strength = to_8_bit(picture.color).max(axis=2)
    around = cv2.dilate(strength, _AROUND)
    marked = (strength >= _NOISE) & (strength >= around - around // 2)
    if np.count_nonzero(~marked) < _LEAST_UNMARKED * marked.size:
        raise MatteError(f"{name} marks nearly everything: {_HINT}")
    return marked


_HINT = "strokes are drawn in any color on black, or on a transparent layer"
