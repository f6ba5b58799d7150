"""How likely each pixel around a mark is part of the mistake that is marked."""

from __future__ import annotations

import cv2
import numpy as np

from mattecli.core.matting.color_likeness import color_likeness, color_numbers

# Log odds that a pixel is part of the marked mistake: a constant, and what is added for a matte
# that is off, from 0 to 1; for the logarithm of the distance to the mark, in widths of the mistake
# there; for a color as around the mark, and not as where the matte is right or as far away; for
# the share of segmentations that count the pixel in. Where the matte is sure there has to be a
# reason to correct it; where it is not, it is enough to be near. Logistic regression of 549
# simulated points in photos that the network was trained with.
_CONSTANT, _OFF, _AWAY, _LIKE, _VOTES = 9.9, -12.35, -0.82, 1.12, 4.15
# Colors of the mark are those up to this far from it, in widths and pixels at least; other colors
# are those where the matte is off by less than this, and those farther away than so many widths.
_NEAR, _LEAST_NEAR, _RIGHT, _FAR, _LEAST_FAR = 0.5, 3.0, 0.2, 3.0, 6.0
# Pixels of a mistake are off by more than this.
_WRONG = 0.5
# Chances are averaged over so many pixels, or single ones would stick out.
_SMOOTH = (5, 5)


def mistake_chances(
    lab: np.ndarray, off: np.ndarray, mark: np.ndarray, votes: np.ndarray
) -> np.ndarray:
    """Tell how likely each pixel is wrong as a mark says.

    Parameters
    ----------
    lab : float32 ndarray of shape (H, W, 3)
        The photo in Lab, see `smooth_lab`.
    off : float32 ndarray of shape (H, W), in [0, 1]
        How far the matte is from what the mark says.
    mark : bool ndarray of shape (H, W)
        The point or stroke; not empty.
    votes : ndarray of shape (H, W), in [0, 1]
        Share of the segmentations that count a pixel in.

    Returns
    -------
    float ndarray of shape (H, W), in [0, 1]
    """
    wrong = np.pad(off > _WRONG, 1).view(np.uint8)
    depth = cv2.distanceTransform(wrong, cv2.DIST_L2, 5)[1:-1, 1:-1]
    width = max(1.5, float(depth[mark].max()))
    away = cv2.distanceTransform((~mark).view(np.uint8), cv2.DIST_L2, 5)
    near = away <= max(_LEAST_NEAR, _NEAR * width)
    others = (off < _RIGHT) | (away > _FAR * width + _LEAST_FAR)
    like = color_likeness(color_numbers(lab), near, others)
    odds = _CONSTANT + _OFF * off + _AWAY * np.log1p(away / width) + _LIKE * like + _VOTES * votes
    return cv2.blur(1 / (1 + np.exp(-odds)), _SMOOTH)
