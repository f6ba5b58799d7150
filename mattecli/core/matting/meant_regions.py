"""Which region a point or a stroke means: seeded segmentation of a photo in patches."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import NamedTuple

import cv2
import numpy as np

from mattecli.core.matting.hints import Hints
from mattecli.core.matting.likely_mistakes import mistake_chances
from mattecli.core.matting.patches import CutPhoto, Patches

# Long side of the photo on which regions are sought, and widths of the patches that it is cut into:
# each of these cuts has a vote. Photos narrower than two patches have no regions.
_SIDE, _WIDTHS = 320, (10, 12, 15)
# A mark contradicts the matte where alpha is off by more than this. Mistakes that are less wide
# than this share of the long side are left to what is done around marks pixel by pixel.
_WRONG, _NARROW = 0.5, 0.019
# A patch can be part of a mistake if the matte is off there by more than this on average.
_OFF = 0.4
# Chances that a walk ends at each step: walks of different lengths see regions of different sizes.
_ENDS = (0.5, 0.15, 0.05, 0.015, 0.005)
# What counts against a candidate, and where it is too much for a vote: the affinity that it cuts,
# for each pixel of the shortest border it could have; parts wider than where it was marked; a matte
# that is surer than at the mark; other colors, in Lab. Simulated users of points chose these
# (`bench_hints.py`), as the rest of what is here.
_CUT, _WIDER, _SURER, _UNLIKE, _WORST = 3.7, 4.7, 6.0, 0.07, 2.8
# What is part of a mistake with a higher chance than this belongs to its region.
_LIKELY = 0.57
# Of what would be too large only what so many cuts count in is left.
_MAJORITY = 0.5
# Of two regions that are as good the larger one is meant.
_LARGER = 0.12
# No region is more than this share of all subjects, or of the photo.
_OF_SUBJECT, _OF_PHOTO = 0.5, 0.4
# A photo has answers to so many marks at most, or it would take long.
_MOST_MARKS = 10
# Regions that are kept, as whoever corrects a photo gives all earlier marks again.
_KEPT = 32
# Just around a mark.
_AROUND = np.ones((3, 3), np.uint8)
# A region's soft rim is this wide at most, as a share of the long side.
_RIM = 0.02


class Regions(NamedTuple):
    """What marks mean.

    Attributes
    ----------
    subject, background : bool ndarray of shape (H, W)
        Regions that belong to the subject, and that do not, where a matte says otherwise; mostly
        empty.
    """

    subject: np.ndarray
    background: np.ndarray

    def over(self, alpha: np.ndarray) -> np.ndarray:
        """Correct a matte of the same shape, float32, which is not changed."""
        return np.where(self.background, np.float32(0), np.where(self.subject, 1, alpha))


class _Mark(NamedTuple):
    """A point or a stroke: its pixels, and what it says."""

    pixels: np.ndarray
    is_subject: bool


def meant_regions(color: np.ndarray, alpha: np.ndarray, hints: Hints) -> Regions:
    """Find the regions of a matte that are wrong by what is marked in them.

    The photo is cut into small patches of even color. From a mark that contradicts the matte a
    random walk starts, which crosses from patch to patch the more easily the more alike they are in
    color and in the matte, and ends at any step with a small chance. Patches in the order in which
    the walk visits them, relative to what it would without a start, are nested regions; those that
    cut the least are candidates: local partitioning of graphs (Andersen, Chung and Lang, "Local
    Graph Partitioning using PageRank Vectors", FOCS 2006; random walks from seeds as in Grady,
    "Random Walks for Image Segmentation", PAMI 2006). Where the matte ends a region ends at no
    cost; it never holds a mark of the other kind. Of the candidates the one has a cut's vote that
    is best set off, that has its middle where the mark is, as people mark the middle of what they
    mean, and where the matte is no surer of the opposite than at the mark; if none is good enough
    the cut has no vote. From the votes, the matte, the colors and the distance to the mark follows
    the chance of each pixel to be part of the mistake (`mistake_chances`); the region is what is
    likely, in one piece with the mark.

    Parameters
    ----------
    color : uint8 ndarray of shape (H, W, 3)
    alpha : float32 ndarray of shape (H, W), in [0, 1]
    hints : Hints
        Points and strokes; later ones are about what earlier ones left wrong.

    Returns
    -------
    Regions
    """
    shape = alpha.shape
    scale = min(1.0, _SIDE / max(shape))
    size = max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))
    alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    marks = hints.marks(alpha.shape)
    found = np.zeros((2, *alpha.shape), np.uint8)
    photo: CutPhoto | None = None
    waiting = [list(drawn) for drawn in hints.each_mark(alpha.shape)]
    for _ in range(_MOST_MARKS if min(size) > 2 * max(_WIDTHS) else 0):
        if (mark := _next_mark(alpha, waiting)) is None:
            break
        if photo is None:
            photo = CutPhoto(cv2.resize(color, size, interpolation=cv2.INTER_AREA), _WIDTHS)
        region = _region(photo, alpha, mark, marks[mark.is_subject])
        if region.any():
            region = _with_rim(region, alpha, is_subject=mark.is_subject)
            found[1 - mark.is_subject][region] = 1
            found[int(mark.is_subject)][region] = 0
            alpha = np.where(region, np.float32(mark.is_subject), alpha)
    subject, background = hints.marks(shape)
    large = [cv2.resize(one, shape[::-1], interpolation=cv2.INTER_NEAREST) > 0 for one in found]
    return Regions(large[0] & ~background, large[1] & ~subject)


def _next_mark(alpha: np.ndarray, waiting: list[list[np.ndarray]]) -> _Mark | None:
    """Take the next mark that contradicts a matte: of both kinds that in the wider mistake."""
    widths = []
    for is_subject, marks in zip((True, False), waiting, strict=True):
        off = (np.abs(alpha - is_subject) > _WRONG).view(np.uint8)
        depth = cv2.distanceTransform(np.pad(off, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        while marks and depth[marks[0]].max(initial=0.0) <= _NARROW * max(alpha.shape):
            marks.pop(0)
        widths.append(depth[marks[0]].max() if marks else 0.0)
    if not any(widths):
        return None
    is_subject = bool(widths[0] >= widths[1])
    return _Mark(waiting[1 - is_subject].pop(0), is_subject)


_kept: OrderedDict[bytes, np.ndarray] = OrderedDict()
_lock = threading.Lock()


def _region(photo: CutPhoto, alpha: np.ndarray, mark: _Mark, others: np.ndarray) -> np.ndarray:
    """Find the region that a mark means, bool H×W, or give what was found of the same before."""
    # Where the matte is right already marks of the other kind say nothing new.
    others = others & (np.abs(alpha - mark.is_subject) > _OFF)
    asked = hashlib.blake2b(repr((alpha.shape, mark.is_subject)).encode())
    for array in (photo.color, alpha, mark.pixels, others):
        asked.update(array.tobytes())
    key = asked.digest()
    with _lock:
        region = _kept.get(key)
    if region is None:
        region = _found_region(photo, alpha, mark, others)
    with _lock:
        _kept[key] = region
        _kept.move_to_end(key)
        if len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return region


def _found_region(
    photo: CutPhoto, alpha: np.ndarray, mark: _Mark, others: np.ndarray
) -> np.ndarray:
    """Find the region that a mark means; empty if nothing around it is likely to be wrong."""
    off = np.abs(alpha - mark.is_subject)
    votes = np.mean([_vote(cut, alpha, mark, others) for cut in photo.cuts], axis=0)
    barred = np.any([cut.holding(others)[cut.labels] for cut in photo.cuts], axis=0)
    chances = mistake_chances(photo.lab, off, mark.pixels, votes)
    region = (chances > _LIKELY) & (off > _OFF) & ~barred
    if np.count_nonzero(region) > _limit(alpha, is_subject=mark.is_subject):
        region &= votes > _MAJORITY
    if not (region & mark.pixels).any():
        return np.zeros_like(region)
    _, pieces = cv2.connectedComponents((region | mark.pixels).view(np.uint8))
    return pieces == pieces[mark.pixels][0]


def _limit(alpha: np.ndarray, *, is_subject: bool) -> float:
    """Give the most pixels that a region may have."""
    return _OF_PHOTO * alpha.size if is_subject else _OF_SUBJECT * float(alpha.sum())


def _vote(patches: Patches, alpha: np.ndarray, mark: _Mark, others: np.ndarray) -> np.ndarray:
    """Find the best candidate for the region that a mark means, uint8 H×W."""
    against = patches.holding(others)
    mean = patches.mean(alpha)
    off = np.abs(mean - mark.is_subject)
    seeds = patches.holding(mark.pixels) & ~against
    chosen = np.zeros(len(patches.area), np.uint8)
    if not seeds.any():
        return chosen[patches.labels]
    affinities = patches.affinities(mean)
    open_ = _connected(affinities, seeds, ((off > _OFF) | seeds) & ~against)
    # Across the end of the mistake nothing is cut, but at a mark of the other kind it is.
    held = affinities[np.ix_(open_, against)].sum(axis=1)
    inside = affinities[np.ix_(open_, open_)]
    limit = _limit(alpha, is_subject=mark.is_subject)
    # The mark itself says how sure the matte is of the opposite there.
    around = cv2.dilate(mark.pixels.view(np.uint8), _AROUND) > 0
    sure = float(np.abs(alpha - mark.is_subject)[around].mean())
    marked = patches.color[seeds].mean(axis=0)
    unlike = np.linalg.norm(patches.color - marked, axis=1)
    best, least = None, _WORST
    for members, cut in _nested(inside, held, seeds[open_], patches.area[open_]):
        region = np.flatnonzero(open_)[members]
        area = patches.area[region]
        total = float(area.sum())
        if total > limit:
            continue
        against_it = _CUT * cut / (2 * np.sqrt(np.pi * total)) - _LARGER * np.log(total)
        against_it += _SURER * max(0.0, float(off[region] @ area) / total - sure)
        against_it += _UNLIKE * float(unlike[region] @ area) / total
        if against_it >= least:
            continue
        against_it += _WIDER * _wider(patches.labels, region, mark.pixels)
        if against_it < least:
            best, least = region, against_it
    if best is not None:
        chosen[best] = 1
    return chosen[patches.labels]


def _connected(affinities: np.ndarray, seeds: np.ndarray, open_: np.ndarray) -> np.ndarray:
    """Give the open patches that are connected to seeds."""
    touching = affinities > 0
    reached = seeds
    while True:
        more = reached | (touching[reached].any(axis=0) & open_)
        if np.array_equal(more, reached):
            return reached
        reached = more


def _nested(
    affinities: np.ndarray, held: np.ndarray, seeds: np.ndarray, area: np.ndarray
) -> list[tuple[np.ndarray, float]]:
    """Give regions around seeds that cut less than those a little smaller and larger.

    Parameters
    ----------
    affinities : float64 ndarray of shape (N, N)
    held : float64 ndarray of shape (N,)
        Affinity of each patch to what no region may hold.
    seeds : bool ndarray of shape (N,)
    area : float64 ndarray of shape (N,)

    Returns
    -------
    list
        Of each region the numbers of its patches, and the affinity that it cuts.
    """
    degree = affinities.sum(axis=1) + held + 1e-9
    found: dict[bytes, tuple[np.ndarray, float]] = {}
    for end in _ENDS:
        visits = np.linalg.solve(np.diag(degree) - (1 - end) * affinities, seeds.astype(float))
        visits[seeds] += visits.max()
        order = np.argsort(-visits, kind="stable")
        ordered = affinities[np.ix_(order, order)]
        cut = np.cumsum(degree[order] - 2 * np.tril(ordered, -1).sum(axis=1))
        ratio = cut / np.sqrt(np.cumsum(area[order]))
        for last in range(max(0, np.count_nonzero(seeds) - 1), len(order)):
            near = slice(max(0, int(0.8 * last) - 1), int(1.25 * last) + 2)
            if ratio[last] <= ratio[near].min():
                members = np.sort(order[: last + 1])
                found[members.tobytes()] = members, float(cut[last])
    return list(found.values())


def _wider(labels: np.ndarray, region: np.ndarray, mark: np.ndarray) -> float:
    """Tell by what share of the width at a mark a region is wider elsewhere."""
    member = np.zeros(int(labels.max()) + 1, np.uint8)
    member[region] = 1
    # At half the size, which is enough.
    inside = np.pad(member[labels[::2, ::2]], 1)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    at_mark = depth[tuple(place // 2 for place in np.nonzero(mark))].max()
    return float(depth.max() / max(1.0, at_mark) - 1)


def _with_rim(region: np.ndarray, alpha: np.ndarray, *, is_subject: bool) -> np.ndarray:
    """Add to a region of background the soft rim that it had as subject."""
    if is_subject:
        return region
    others = (alpha > _WRONG) & ~region
    to_it, to_others = (
        cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 5) for mask in (region, others)
    )
    return region | ((to_it < to_others) & (to_it <= _RIM * max(alpha.shape)) & ~others)
