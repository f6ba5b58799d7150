"""What a few marks on a photo say about the pixels around them: corrections that spread."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mattecli.core.matting.color_likeness import color_likeness, color_numbers, smooth_lab
from mattecli.core.matting.corrected_pieces import drop_marked_pieces, drop_orphans, fill_enclosed
from mattecli.core.matting.geodesic import geodesic_distance

# Long side of the photo on which corrections spread.
_SIDE = 400
# A mark corrects the matte where both differ by more than this.
_WRONG = 0.1
# Marks are compared with those in a square of so many pixels around.
_AROUND = 11
# A path as long as the photo's long side costs this much where nothing differs, and this much on
# top where no color is that of the marks; 1 is as far as a correction reaches.
_SPACE, _UNLIKE = 0.7, 60.0
# Nor is a path longer than so many times the width of the mistake that was marked, of which there
# are so many pixels at least; it costs so much more where the matte is surer of the opposite than
# at the marks. Simulated users of points chose these (`bench_hints.py`).
_REACH, _NARROWEST, _SURER = 3.0, 1.5, 5.0
# What is marked is a point, whose size says nothing, up to this share of the photo's long side.
_POINT = 0.03
# A color that is in the marks with at least this probability is typical of them.
_TYPICAL = 0.5
# Difference of color (CIE76 in Lab) between neighbors that a correction does not cross.
_EDGE = 150.0
# Ways from marks of one kind to the other, as shares of the photo's long side. Up to the first a
# place lies in the unknown band of a trimap, which corrections do not enter as they do the open
# field from the second one on; up to the third the photo is solved anew.
_NARROW, _WIDE, _BAND = 0.1, 0.2, 0.3
# Around the end of a correction the photo is asked where exactly that is.
_AROUND_END = np.ones((9, 9), np.uint8)
# Marks on less than this share of the photo are points and strokes.
_STROKE = 0.02
# In 8 bits, which is quicker, a pixel is not lost where the picture gets so many times smaller.
_MOST_EIGHT_BITS = 250


@dataclass(frozen=True)
class Spread:
    """How far marks reach.

    Attributes
    ----------
    matte : float32 ndarray of shape (H, W), in [0, 1]
        The first matte with all corrections; not yet cut out along the photo's edges.
    open : bool ndarray of shape (H, W)
        Where the photo has to decide: where corrections end, and between marks of both kinds that
        are near each other. Nothing that is marked.
    """

    matte: np.ndarray
    open: np.ndarray


def fit_marks(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring marks to another size: of a trimap the borders are kept, of strokes every pixel.

    Parameters
    ----------
    mask : bool ndarray
    shape : (height, width)

    Returns
    -------
    bool ndarray of `shape`
    """
    if mask.shape == shape:
        return mask
    full = mask.view(np.uint8) * np.uint8(255)
    if mask.size > _MOST_EIGHT_BITS * shape[0] * shape[1]:
        full = full.astype(np.float32)
    covered = cv2.resize(full, shape[::-1], interpolation=cv2.INTER_AREA)
    is_stroke = np.count_nonzero(mask) < _STROKE * mask.size
    return covered > (0 if is_stroke else 127)


def spread_marks(
    color: np.ndarray,
    first: np.ndarray,
    subject: np.ndarray,
    background: np.ndarray,
    plain: np.ndarray | None = None,
) -> Spread:
    """Carry the corrections that marks make on to what is connected to them and looks alike.

    Only marks that contradict the first matte correct it. From those a correction spreads along
    paths on the photo, whose length is a geodesic distance as in Bai and Sapiro ("A Geodesic
    Framework for Fast Interactive Image and Video Segmentation and Matting", ICCV 2007) and
    Criminisi et al. ("GeoS", ECCV 2008): a path gets longer with every pixel, with every change of
    color that it crosses, and with every pixel whose color is not typical of the marks. Typical is
    what is frequent in the marks and rare in what is surely of the other kind, by histograms of
    color. The influence fades out between half of the reach and all of it, so a matte far away, or
    behind an edge, stays as it was. The narrower the mistake that is marked, the shorter the reach.
    Where both kinds reach, the nearer one prevails.

    In the narrow band between marks of both kinds, as a trimap leaves it open, all is soft and
    mixed, and color says little; there the matte is corrected by what it missed at the nearest
    marked pixel.

    Parameters
    ----------
    color : uint8 ndarray of shape (H, W, 3)
    first : float32 ndarray of shape (H, W), in [0, 1]
    subject, background : bool ndarray of shape (H, W)
        Marked pixels; no pixel is both.
    plain : float32 ndarray of shape (H, W), in [0, 1], optional
        The first matte before it was refined by the photo, which narrow bands begin with.

    Returns
    -------
    Spread
    """
    way = _way(subject, background)
    if max(np.count_nonzero(subject), np.count_nonzero(background)) < _STROKE * subject.size:
        # Points and strokes correct what is wrong and leave the rest between them as it was.
        way[:] = np.inf
    band = way < _BAND
    # How far a place belongs to a trimap's band (0), or to the open field between strokes (1).
    field = np.clip((way - _NARROW) / (_WIDE - _NARROW), 0, 1)
    start = first if plain is None else plain + field * (first - plain)
    near = _corrected_nearby(start, subject, background, 1 - field)
    pulls = [
        field * cv2.resize(pull, first.shape[::-1], interpolation=cv2.INTER_LINEAR)
        for pull in _pulls(color, first, subject, background)
    ]
    matte = np.clip(near + pulls[1] * (1 - near) - pulls[0] * near, 0, 1)
    fades = [(pull > 0.02) & (pull < 0.98) for pull in pulls]
    ends = (fades[0] | fades[1]) & (np.abs(matte - first) > 0.02)
    open_ = (cv2.dilate(ends.view(np.uint8), _AROUND_END) > 0) | band
    matte[subject], matte[background] = 1, 0
    return Spread(matte, open_ & ~(subject | background))


def _way(subject: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Length of the way from marks of one kind over each pixel to the other, in long sides."""
    if not (subject.any() and background.any()):
        return np.full(subject.shape, np.inf, np.float32)
    way = sum(
        cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 5)
        for mask in (subject, background)
    )
    return way / max(subject.shape)


def _corrected_nearby(
    first: np.ndarray, subject: np.ndarray, background: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Correct each pixel by what its nearest marked one was missed by, with a weight."""
    if not weight.any():
        return first
    known = subject | background
    _, labels = cv2.distanceTransformWithLabels(
        (~known).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    missed = np.zeros(labels.max() + 1, np.float32)
    missed[labels[known]] = (subject - first)[known]
    return np.clip(first + weight * missed[labels], 0, 1)


def _pulls(
    color: np.ndarray, first: np.ndarray, subject: np.ndarray, background: np.ndarray
) -> list[np.ndarray]:
    """Weights in [0, 1] of the corrections to 0 and to 1, on a photo made small."""
    scale = min(1.0, _SIDE / max(first.shape))
    size = tuple(max(1, round(side * scale)) for side in first.shape)
    lab = smooth_lab(_reduced(color, size))
    small = _reduced(first, size)
    # Thin strokes must not get lost; where both kinds meet in one pixel it is of neither.
    marks = [_reduced(mask.astype(np.float32), size) > 0 for mask in (background, subject)]
    marks = [mine & ~other for mine, other in (marks, marks[::-1])]
    colors = color_numbers(lab)
    pulls = []
    for truth, (mine, other) in enumerate((marks, marks[::-1])):
        off = np.abs(small - truth)
        wrong = _mostly(mine & (off > _WRONG), mine)
        if not wrong.any():
            pulls.append(np.zeros(size, np.float32))
            continue
        opposite = (other | (off > 0.95)) & ~mine
        likeness = color_likeness(colors, mine, opposite)
        pull = np.zeros(size, np.float32)
        for seeds, reach, heed in _by_reach(wrong, off > 0.5):
            costs = _costs(lab, likeness, reach, heed * _surer(off, seeds))
            pull = np.maximum(pull, _influence(seeds, other, costs))
        pulls.append(fill_enclosed(pull, other))
    pulls[0] = drop_orphans(drop_marked_pieces(pulls[0], small, marks), small, marks)
    return pulls


def _by_reach(wrong: np.ndarray, missed: np.ndarray) -> list[tuple[np.ndarray, float, float]]:
    """Group marks by how far they reach.

    Whoever marks a mistake marks its middle, and somewhere a mistake ends where the matte does: the
    nearest pixel that the matte has right tells how wide it is. A stroke or a blob is drawn within
    its mistake, which is as large as that at least, whatever the matte says; the more it says less,
    the less it is heeded.

    Parameters
    ----------
    wrong : bool ndarray of shape (H, W)
        Marks that contradict the matte.
    missed : bool ndarray of shape (H, W)
        Where the matte is more of the other kind than of theirs.

    Returns
    -------
    list
        Of every group its marks, the length in pixels of their longest path, and how much heed is
        paid to the matte on the way, from 0 to 1.
    """
    width = cv2.distanceTransform(missed.view(np.uint8), cv2.DIST_L2, 5)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(wrong.view(np.uint8), connectivity=8)
    seen = np.zeros(count, np.float32)
    np.maximum.at(seen, pieces[wrong], width[wrong])
    seen = np.maximum(seen, _NARROWEST)
    drawn = stats[:, (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT)].max(axis=1)
    drawn = np.where(drawn > _POINT * max(wrong.shape), drawn, 0)
    # Marks of about the same reach spread together.
    step = np.ceil(2 * np.log2(np.clip(np.maximum(seen, drawn), None, max(wrong.shape)))) / 2
    groups = []
    for one in np.unique(step[1:]):
        members = step == one
        members[0] = False
        heed = float((seen / np.maximum(seen, drawn))[members].max())
        groups.append((members[pieces], _REACH * 2.0**one, heed))
    return groups


def _surer(off: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Tell, from 0 to 1, where the matte is surer of the opposite than it is at the marks."""
    return np.clip((off - off[seeds].max() - 0.05) / 0.3, 0, 1)


def _mostly(wrong: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Leave out slivers of wrong pixels at the border of marks that are right, as trimaps have."""
    shares = [cv2.blur(mask.astype(np.float32), (_AROUND, _AROUND)) for mask in (wrong, marks)]
    return wrong & (shares[0] > 0.5 * shares[1])


def _reduced(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(array, size[::-1], interpolation=cv2.INTER_AREA)


def _costs(
    lab: np.ndarray, likeness: np.ndarray, reach: float, surer: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cost of the step from each pixel to its left and to its upper neighbor."""
    longer = max(likeness.shape)
    unlike = np.clip(1 - likeness / _TYPICAL, 0, 1)
    against = _UNLIKE / longer * unlike + _SURER / reach * surer
    costs = []
    for axis in (1, 0):
        cost = np.linalg.norm(np.diff(lab, axis=axis), axis=2) / _EDGE
        cost += (np.delete(against, 0, axis) + np.delete(against, -1, axis)) / 2
        cost += max(_SPACE / longer, 1 / reach)
        before = [(0, 0), (0, 0)]
        before[axis] = (1, 0)
        costs.append(np.pad(cost, before).astype(np.float32))
    return costs[0], costs[1]


def _influence(
    wrong: np.ndarray, against: np.ndarray, costs: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Weight, in [0, 1], of the correction that the pixels `wrong` make."""
    distance = geodesic_distance(wrong, *costs)
    weight = np.clip(2 * (1 - distance), 0, 1)
    if against.any():
        other = geodesic_distance(against, *costs)
        share = other / np.maximum(distance + other, np.float32(1e-6))
        weight *= np.clip(3 * share - 1, 0, 1)
    return weight
