"""Which pixels count."""

from __future__ import annotations

import cv2
import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.metrics.pixels import white

REGIONS = ("whole", "unknown", "detail")
DETAIL_RADIUS = 10


def region_mask(region: str, truth: np.ndarray, trimap: np.ndarray | None) -> np.ndarray | None:
    """Give the pixels of the ``unknown`` or ``detail`` region, or None for the ``whole`` image.

    `trimap` is needed for ``unknown`` only.

    Raises
    ------
    MatteError
        If there is no such region.
    """
    if region not in REGIONS:
        raise MatteError(f"no region '{region}': use one of {', '.join(REGIONS)}")
    if region == "unknown":
        assert trimap is not None
        return unknown_region(trimap)
    return detail_region(truth) if region == "detail" else None


def unknown_region(trimap: np.ndarray) -> np.ndarray:
    """Give the pixels that a trimap leaves open: exactly 128 (32896 in 16 bits).

    Parameters
    ----------
    trimap : ndarray, shape (H, W), uint8 or uint16

    Returns
    -------
    ndarray of bool, shape (H, W)
    """
    return trimap == 128 * int(white(trimap)) // 255


def detail_region(truth: np.ndarray) -> np.ndarray:
    """Find the pixels within 10 rows and columns of a soft pixel or of an edge of the true matte.

    It is the unknown region of a trimap made by eroding the truth's opaque and its clear pixels
    with a square of 21 pixels, for data that comes without trimaps.

    Parameters
    ----------
    truth : ndarray, shape (H, W), uint8 or uint16

    Returns
    -------
    ndarray of bool, shape (H, W)
    """
    square = np.ones((2 * DETAIL_RADIUS + 1,) * 2, np.uint8)
    opaque, clear = (
        cv2.erode((truth == value).view(np.uint8), square)  # the border erodes nothing
        for value in (int(white(truth)), 0)
    )
    return (opaque == 0) & (clear == 0)
