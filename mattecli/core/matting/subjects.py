"""Which of several separate subjects is meant."""

from __future__ import annotations

import cv2
import numpy as np

# What is more than half subject is the body of one.
_BODY = 0.5
# Thinner bridges do not join two subjects.
_BRIDGE = np.ones((3, 3), np.uint8)


def chosen_subject(alpha: np.ndarray, choice: str = "all") -> np.ndarray:
    """Keep one of the subjects of a matte: what is nearer to another one becomes background.

    Subjects that touch one another are one.

    Parameters
    ----------
    alpha : float32 ndarray of shape (H, W), in [0, 1]
    choice : {"all", "largest", "center"}
        Keep all, the one with the largest area, or the one nearest to the middle of the photo.

    Returns
    -------
    float32 ndarray of shape (H, W), in [0, 1]
    """
    if choice == "all":
        return alpha
    body = cv2.morphologyEx((alpha > _BODY).astype(np.uint8), cv2.MORPH_OPEN, _BRIDGE)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(body, connectivity=8)
    if count < 3:
        return alpha
    if choice == "largest":
        chosen = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    else:
        chosen = _nearest_to_middle(pieces)
    mine, others = (pieces == chosen), (body > 0) & (pieces != chosen)
    to_mine, to_others = (
        cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 5) for mask in (mine, others)
    )
    return np.where(to_mine <= to_others, alpha, np.float32(0))


def _nearest_to_middle(pieces: np.ndarray) -> int:
    rows, columns = np.nonzero(pieces)
    height, width = pieces.shape
    distance = np.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2)
    return int(pieces[rows[distance.argmin()], columns[distance.argmin()]])
