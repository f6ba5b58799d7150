"""Whether the output of a network is a valid matte."""

from __future__ import annotations

import numpy as np

from mattecli.core.errors import MatteError

# A network may give its matte smaller than its picture, by this factor at most, or larger.
_MAX_DOWNSCALE = 4


def check_matte(matte: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Give a matte back if it can be one.

    Parameters
    ----------
    matte : float ndarray of shape (h, w)
    shape : tuple of int
        Height and width of the picture that the network saw.
    name : str
        What errors call the network.

    Raises
    ------
    MatteError
        If it holds NaN or infinite values, or has not the picture's shape.
    """
    height, width = shape[:2]
    rows, columns = matte.shape
    scale = max(height, width) / max(1, max(rows, columns))
    # A pixel more or less is a matter of rounding.
    fits = abs(rows * scale - height) <= scale + 1 and abs(columns * scale - width) <= scale + 1
    if not fits or scale > _MAX_DOWNSCALE:
        raise MatteError(
            f"{name} gave {columns}x{rows} pixels for a picture of {width}x{height}: that is no "
            "matte of it"
        )
    if not np.isfinite(matte).all():
        raise MatteError(f"{name} gave values that are no numbers (NaN or infinite)")
    return matte
