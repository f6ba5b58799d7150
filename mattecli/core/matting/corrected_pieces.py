"""Pieces of the subject that a correction takes along: enclosed ones, marked ones, and orphans."""

from __future__ import annotations

import cv2
import numpy as np

# What is enclosed by a correction and has less than this share of its area is part of it:
# reflections, buttons, the letters on a label.
_HOLE = 0.04
# Marks that are at least this share as deep in a piece as its middle mean all of it.
_DEEP = 0.3
# What is thinner than this holds nothing together.
_STRIP = np.ones((5, 5), np.uint8)


def fill_enclosed(pull: np.ndarray, against: np.ndarray) -> np.ndarray:
    """Let a correction take in small parts that it encloses, unless marks speak against it."""
    taken = pull > 0.9
    area = int(np.count_nonzero(taken))
    count, pieces, sizes, _ = cv2.connectedComponentsWithStats(
        (~taken).view(np.uint8), connectivity=4
    )
    border = np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])
    small = sizes[:, cv2.CC_STAT_AREA] <= _HOLE * area
    small[0] = False
    small[border] = False
    small[pieces[against]] = False
    return np.where(small[pieces], np.float32(1), pull) if count > 1 else pull


def drop_marked_pieces(pull: np.ndarray, first: np.ndarray, marks: list[np.ndarray]) -> np.ndarray:
    """Drop separate pieces of the subject whole, where they are marked as background in the middle.

    The largest one is, if it is marked, only wrong there, unless another one is marked as subject.
    """
    body = (first > 0.5).view(np.uint8)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(body, connectivity=8)
    if count < 3:
        return pull
    dropped, kept = np.zeros((2, count), bool)
    depth = cv2.distanceTransform(body, cv2.DIST_L2, 5)
    at_mark, deepest = np.zeros((2, count), np.float32)
    for place, deep in ((marks[0], at_mark), (body > 0, deepest)):
        np.maximum.at(deep, np.asarray(pieces[place]), depth[place])
    dropped[at_mark > _DEEP * deepest] = True
    kept[pieces[marks[1]]] = True
    dropped[0] = kept[0] = False
    if not (kept & ~dropped).any():
        dropped[1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())] = False
    piece = (dropped & ~kept)[pieces].view(np.uint8)
    # With their soft borders, but without those of others.
    rim = (cv2.dilate(piece, _STRIP) > 0) & ~((body > 0) & (piece == 0))
    return np.where(rim, np.float32(1), pull)


def drop_orphans(pull: np.ndarray, first: np.ndarray, marks: list[np.ndarray]) -> np.ndarray:
    """Drop, with a part of the subject, what hung on to the subject only by that part.

    Such a piece touches what is dropped, is smaller than that, and is not marked as subject.
    """
    dropped = (pull > 0.5) & (first > 0.5)
    kept = ((first > 0.5) & ~dropped & ~marks[0]).view(np.uint8)
    # Strips a few pixels wide, such as the rim that was left beside an edge, hold nothing.
    cores = cv2.erode(kept, _STRIP)
    count, pieces, sizes, _ = cv2.connectedComponentsWithStats(
        cores.astype(np.uint8), connectivity=8
    )
    if not dropped.any() or count < 3:
        return pull
    # Cores grow back, and a little more to touch what lies across an edge.
    grown = cv2.dilate(pieces.astype(np.float32), cv2.dilate(_STRIP, _STRIP)).astype(np.int32)
    ring = cv2.dilate(dropped.view(np.uint8), _STRIP) > 0
    touching = np.zeros(count, bool)
    touching[grown[ring]] = True
    sizes = sizes[:, cv2.CC_STAT_AREA]
    orphan = touching & (sizes < np.count_nonzero(dropped)) & (sizes < sizes[1:].max())
    orphan[0] = False
    orphan[grown[marks[1]]] = False
    return np.where(orphan[grown] & (kept > 0), np.float32(1), pull)
