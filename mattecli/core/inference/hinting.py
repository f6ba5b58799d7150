"""How hints reach the network, and what of its answer counts."""

from __future__ import annotations

import cv2
import numpy as np

from mattecli.core.matting.blocks import Block, grown
from mattecli.core.matting.hints import Hints
from mattecli.core.matting.meant_regions import Regions
from mattecli.core.matting.placing import resize

# Around boxes the network sees so much more, as a share of their longer side: what something is
# can be told by what is around it.
_BOX_MARGIN = 0.1
# Radius of points for the network, and the room it is left around boxes, as shares of the long
# side; it was trained on such.
_POINT_RADIUS, _BOX_BORDER = 0.015, 0.02
# What the network changes by more than this may be an answer to marks.
_CHANGED = 0.1
# Changes are joined across gaps of a pixel, and fade in and out over these.
_GAP, _FADE = np.ones((3, 3), np.uint8), (5, 5)
# Within this distance of a rough matte's border, as a share of the long side, the network decides.
_GUIDE_BAND = 0.03
# A rough matte is unsure between these.
_UNSURE = 0.05, 0.95
# Within this distance of the borders of regions that marks mean the network decides, too.
_CORE = 0.02
# It follows where it is off by less than this there on average.
_FOLLOWED = 0.3


def box_frame(hints: Hints) -> Block:
    """Give the part of a photo that the network is shown: all boxes, and what is around them."""
    frame = hints.frame
    longer = max(part.stop - part.start for part in frame)
    return grown(frame, round(_BOX_MARGIN * longer), hints.shape)[0]


def known_map(hints: Hints, shape: tuple[int, int]) -> np.ndarray | None:
    """Draw what is known beside points and strokes, as guidance of `shape`; None if nothing is.

    Returns
    -------
    float32 ndarray of shape (2, h, w), or None
        See :mod:`mattecli.core.network.guidance`.
    """
    if not hints.boxes and hints.guide is None:
        return None
    known = np.zeros((2, *shape), np.float32)
    if hints.guide is not None:
        known[0] = 2 * resize(hints.guide, *shape) - 1
    known[1][hints.outside(shape, _BOX_BORDER)] = -1
    return known


def marked_map(hints: Hints, alpha: np.ndarray, meant: Regions) -> np.ndarray:
    """Draw points and strokes beside an earlier matte of shape (h, w), as guidance.

    The regions that they mean are corrected in the matte, and their cores are marked.
    """
    subject, background = hints.marks(alpha.shape, _POINT_RADIUS)
    subject, background = (
        (mark | core) & ~other
        for mark, core, other in zip(
            (subject, background), map(_core, meant), (background, subject), strict=True
        )
    )
    marks = subject.astype(np.float32) - background
    marks[hints.outside(alpha.shape, _BOX_BORDER)] = -1
    return np.stack([2 * meant.over(alpha) - 1, marks])


def _core(region: np.ndarray) -> np.ndarray:
    """Leave out the borders of a region, which the network shall find."""
    padded = np.pad(region, 1, mode="edge").view(np.uint8)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return depth > _CORE * max(region.shape)


def reduced_map(known: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring guidance to another shape in which no mark gets lost."""
    if known.shape[1:] == shape:
        return known
    size = shape[::-1]
    alpha = cv2.resize(known[0], size, interpolation=cv2.INTER_AREA)
    marks = [
        cv2.resize((sign * known[1] > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        for sign in (1, -1)
    ]
    return np.stack([alpha, np.sign(marks[0] - marks[1])])


def merged(
    before: np.ndarray, after: np.ndarray, hints: Hints, meant: Regions | None = None
) -> np.ndarray:
    """Take over what the network changed for the marks' sake, and nothing else.

    That is what rose in one piece with a mark of the subject, and what fell in one piece with a
    mark of background.

    Parameters
    ----------
    before, after : float32 ndarray of shape (h, w), in [0, 1]
        Mattes without and with marks.
    """
    change = after - before
    taken = np.zeros(before.shape, np.uint8)
    for sign, marks in zip((1, -1), hints.marks(before.shape), strict=True):
        changed = cv2.morphologyEx(
            (sign * change > _CHANGED).astype(np.uint8), cv2.MORPH_CLOSE, _GAP
        )
        count, pieces = cv2.connectedComponents(changed)
        hit = np.zeros(count, bool)
        hit[pieces[marks]] = True
        hit[0] = False
        taken |= hit[pieces]
    weight = cv2.blur(cv2.dilate(taken, np.ones(_FADE, np.uint8)).astype(np.float32), _FADE)
    result = before + weight * change
    for truth, region in zip((1, 0), meant or (), strict=False):
        if not region.any():
            continue
        # Where the network does not follow it knows nothing of the borders either.
        core = _core(region)
        followed = core.any() and np.abs(after - truth)[core].mean() < _FOLLOWED
        share = cv2.blur((core if followed else region).astype(np.float32), _FADE)
        result += share * (truth - result)
    return result


def within_guide(alpha: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """Hold a matte to a rough one of any size, except near that one's borders."""
    guide = resize(guide, *alpha.shape)
    edge = cv2.morphologyEx((guide > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, _GAP)
    sure = (edge == 0) & ((guide <= _UNSURE[0]) | (guide >= _UNSURE[1]))
    reach = max(1, round(_GUIDE_BAND * max(alpha.shape)))
    distance = cv2.distanceTransform(sure.astype(np.uint8), cv2.DIST_L2, 5)
    # Where there is no border at all it is the largest number there is.
    weight = np.clip(2 - 2 * np.minimum(distance, reach) / reach, 0, 1)
    return guide + weight * (alpha - guide)
