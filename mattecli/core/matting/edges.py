"""Edges by taste: what of a matte is kept, and how wide and how soft its edge is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# More than this of alpha makes a pixel one of a piece; what is fainter goes with the nearest piece.
_IN_PIECE = 0.1
# A hole is less opaque than this throughout, so that its soft border is filled with it.
_SOLID = 0.95
# Radius of the discs that larger ones are made of: time then grows with the radius alone.
_STEP = 3


@dataclass(frozen=True)
class Edges:
    """What is done to a matte, in the order of the attributes; lengths are pixels of the photo.

    Attributes
    ----------
    drop_islands : float or None
        Pieces with less than this share of the largest one's area are dropped.
    fill_holes : bool
        Whether what the subject encloses becomes opaque.
    threshold : float or None
        Alpha of at least this becomes 1, the rest 0.
    shrink, grow : float
        How far the edge moves in, and then out; fractions count.
    feather : float
        How far the edge fades to either side.
    """

    drop_islands: float | None = None
    fill_holes: bool = False
    threshold: float | None = None
    shrink: float = 0.0
    grow: float = 0.0
    feather: float = 0.0


def corrected(alpha: np.ndarray, edges: Edges) -> np.ndarray:
    """Drop islands and fill holes: which pixels are the subject's, and so whose colors count.

    Parameters
    ----------
    alpha : float32 ndarray of shape (H, W), in [0, 1]

    Returns
    -------
    float32 ndarray of shape (H, W), in [0, 1]
        `alpha` itself where there is nothing to do.
    """
    if edges.drop_islands is not None:
        alpha = drop_islands(alpha, edges.drop_islands)
    return fill_holes(alpha) if edges.fill_holes else alpha


def shaped(alpha: np.ndarray, edges: Edges) -> np.ndarray:
    """Move, harden and soften the edge of a matte; its colors stay those of the subject.

    Parameters
    ----------
    alpha : float32 ndarray of shape (H, W), in [0, 1]

    Returns
    -------
    float32 ndarray of shape (H, W), in [0, 1]
        `alpha` itself where there is nothing to do.
    """
    if edges.threshold is not None:
        alpha = (alpha >= edges.threshold).astype(np.float32)
    if edges.shrink:
        alpha = 1 - _grown(1 - alpha, edges.shrink)
    if edges.grow:
        alpha = _grown(alpha, edges.grow)
    if edges.feather:
        # Where the photo's border cuts the subject off there is no edge.
        alpha = cv2.GaussianBlur(
            alpha, (0, 0), edges.feather / 2, borderType=cv2.BORDER_REPLICATE
        ).clip(0, 1)
    return alpha


def drop_islands(alpha: np.ndarray, share: float) -> np.ndarray:
    """Drop the pieces whose area is below a share of the largest one's; haze goes with its piece.

    Parameters
    ----------
    alpha : float32 ndarray of shape (H, W), in [0, 1]
    share : float

    Returns
    -------
    float32 ndarray of shape (H, W), in [0, 1]
    """
    outside = (alpha <= _IN_PIECE).view(np.uint8)
    if outside.all():
        return alpha
    # Zeros of `outside` that touch make a piece, and every pixel gets the number of the nearest.
    _, piece = cv2.distanceTransformWithLabels(
        outside, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_CCOMP
    )
    area = np.bincount(piece.ravel(), weights=alpha.ravel())
    return np.where((area >= share * area.max())[piece], alpha, np.float32(0))


def fill_holes(alpha: np.ndarray) -> np.ndarray:
    """Make opaque what the subject encloses; what reaches the photo's border is no hole.

    Parameters
    ----------
    alpha : float32 ndarray of shape (H, W), in [0, 1]

    Returns
    -------
    float32 ndarray of shape (H, W), in [0, 1]
    """
    _, part = cv2.connectedComponents((alpha < _SOLID).view(np.uint8), connectivity=4)
    border = np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]])
    is_hole = np.ones(int(part.max()) + 1, bool)
    is_hole[border] = False
    is_hole[0] = False  # the subject
    hole = is_hole[part]
    # What is solid but for a trace belongs to its border.
    border_too = (cv2.dilate(hole.view(np.uint8), np.ones((5, 5), np.uint8)) > 0) & (part == 0)
    return np.where(hole | border_too, np.float32(1), alpha)


def _grown(alpha: np.ndarray, radius: float) -> np.ndarray:
    """Take the largest alpha in a disc around each pixel; between two radii, mix both."""
    whole = int(radius)
    for done in range(0, whole, _STEP):
        alpha = cv2.dilate(alpha, _disc(min(_STEP, whole - done)))
    rest = radius - whole
    return alpha if not rest else (1 - rest) * alpha + rest * cv2.dilate(alpha, _disc(1))


def _disc(radius: int) -> np.ndarray:
    side = 2 * radius + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
