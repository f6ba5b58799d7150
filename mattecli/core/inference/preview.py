"""A contact sheet to judge a run at a glance: photo, alpha and cutout side by side."""

from __future__ import annotations

import numpy as np

from mattecli.core.imaging.pixels import to_unit
from mattecli.core.matting.compositing import composite
from mattecli.core.matting.foreground import estimate_foreground
from mattecli.core.matting.placing import fill_frame, resize

_HEIGHT, _WIDTH, _GAP, _SQUARE = 240, 320, 8, 12
MOST_ROWS = 60


def preview_row(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Make one row of the sheet.

    Parameters
    ----------
    color : ndarray of shape (H, W, 3), uint8 or uint16
    alpha : float32 ndarray of shape (H, W), in [0, 1]

    Returns
    -------
    uint8 ndarray, the same shape for every photo
    """
    ratio = min(_HEIGHT / alpha.shape[0], _WIDTH / alpha.shape[1])
    size = [max(1, round(side * ratio)) for side in alpha.shape]
    small, small_alpha = to_unit(resize(color, *size)), resize(alpha, *size)
    foreground = estimate_foreground(small, small_alpha)
    panels = [
        small,
        np.repeat(small_alpha[..., None], 3, axis=2),
        composite(small_alpha, foreground, _checkerboard(*size)),
    ]
    white = np.ones(3, np.float32)
    row = [fill_frame(panel, (_HEIGHT, _WIDTH), "contain", white) for panel in panels]
    gap = np.ones((_HEIGHT, _GAP, 3), np.float32)
    return (np.hstack([row[0], gap, row[1], gap, row[2]]) * 255 + 0.5).astype(np.uint8)


def contact_sheet(rows: list[np.ndarray]) -> np.ndarray:
    """Stack rows into one uint8 picture."""
    gap = np.full((_GAP, rows[0].shape[1], 3), 255, np.uint8)
    return np.vstack([part for row in rows for part in (row, gap)][:-1])


def _checkerboard(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width] // _SQUARE
    return np.where((x + y) % 2, 0.6, 0.85).astype(np.float32)[..., None].repeat(3, axis=2)
