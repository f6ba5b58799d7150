"""What a user says of one photo: boxes, points, strokes, a trimap, a rough matte."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.matting.blocks import Block, pair, scaled
from mattecli.core.matting.marks import fit_marks

#: Radius of what a point marks, as a share of the photo's long side.
POINT_RADIUS = 0.003


@dataclass(frozen=True, eq=False)
class Hints:
    """Hints of one photo, in its own pixels.

    Attributes
    ----------
    shape : (height, width)
        Of the photo.
    boxes : tuple of pair of slices
        The subject lies in one of them; outside of all is background.
    points, not_points : tuple of (x, y)
        Places on the subject, and on the background.
    keep, drop : bool ndarray of shape (H, W), optional
        Strokes or masks of what is subject, and of what is not.
    trimap : uint8 ndarray of shape (H, W), optional
        `SUBJECT`, `BACKGROUND` or `UNKNOWN`.
    guide : float32 ndarray of shape (H, W), in [0, 1], optional
        A rough matte, to be sharpened.
    subject : {"all", "largest", "center"}
        Which of several separate subjects is meant.

    Raises
    ------
    MatteError
        If hints contradict one another.
    """

    shape: tuple[int, int]
    boxes: tuple[Block, ...] = ()
    points: tuple[tuple[float, float], ...] = ()
    not_points: tuple[tuple[float, float], ...] = ()
    keep: np.ndarray | None = None
    drop: np.ndarray | None = None
    trimap: np.ndarray | None = None
    guide: np.ndarray | None = None
    subject: str = "all"

    def __post_init__(self) -> None:
        """Refuse a point on the subject that no box holds."""
        for x, y in self.points:
            if self.boxes and not any(
                rows.start <= y < rows.stop and columns.start <= x < columns.stop
                for rows, columns in self.boxes
            ):
                raise MatteError(
                    f"the point {x:g},{y:g} lies outside of the boxes, where all is background"
                )

    @property
    def has_marks(self) -> bool:
        """Whether there are points or strokes, which correct a matte here and there."""
        return bool(
            self.points
            or self.not_points
            or (self.keep is not None and self.keep.any())
            or (self.drop is not None and self.drop.any())
        )

    @property
    def frame(self) -> Block:
        """The smallest block that holds all boxes; the whole photo without any."""
        if not self.boxes:
            return slice(0, self.shape[0]), slice(0, self.shape[1])
        return pair(
            slice(min(box[axis].start for box in self.boxes), max(b[axis].stop for b in self.boxes))
            for axis in (0, 1)
        )

    def marks(
        self, shape: tuple[int, int] | None = None, radius: float = POINT_RADIUS
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw points and strokes.

        Parameters
        ----------
        shape : (height, width), optional
            By default the photo's. In a smaller one even thin strokes are kept.
        radius : float
            Of points, as a share of the long side.

        Returns
        -------
        subject, background : bool ndarray of that shape
            Where both are marked, neither is.
        """
        shape = shape or self.shape
        drawn = []
        for mask, points in ((self.keep, self.points), (self.drop, self.not_points)):
            marked = np.zeros(shape, bool) if mask is None else fit_marks(mask, shape)
            marked = marked.astype(np.uint8)
            for x, y in points:
                place = (
                    min(shape[1] - 1, int(x * shape[1] / self.shape[1])),
                    min(shape[0] - 1, int(y * shape[0] / self.shape[0])),
                )
                cv2.circle(marked, place, max(1, round(radius * max(shape))), 1, cv2.FILLED)
            drawn.append(marked.view(bool))
        both = drawn[0] & drawn[1]
        if both.any():
            drawn = [mask & ~both for mask in drawn]
        return drawn[0], drawn[1]

    def each_mark(self, shape: tuple[int, int]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Draw every stroke and every point for itself, in the order in which they were given.

        Returns
        -------
        subject, background : list of bool ndarray of `shape`
            Strokes that do not touch, the longest first, and then points. Where both kinds are
            marked, neither is.
        """
        either = self.marks(shape)
        drawn: tuple[list[np.ndarray], list[np.ndarray]] = [], []
        kinds = (self.keep, self.points), (self.drop, self.not_points)
        for (mask, points), marked, found in zip(kinds, either, drawn, strict=True):
            if mask is not None:
                strokes = (fit_marks(mask, shape) & marked).view(np.uint8)
                _, pieces, stats, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
                longest = np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable") + 1
                found += [pieces == number for number in longest]
            for point in points:
                # One alone is drawn as with all others.
                alone = Hints(self.shape, points=(point,))
                found.append(alone.marks(shape)[0] & marked)
        return drawn

    def outside(self, shape: tuple[int, int] | None = None, margin: float = 0.0) -> np.ndarray:
        """Give what lies outside of all boxes, as a bool ndarray; nothing without boxes.

        Parameters
        ----------
        margin : float
            Room around the boxes, as a share of the long side.
        """
        shape = shape or self.shape
        outside = np.full(shape, bool(self.boxes))
        scale = [there / here for there, here in zip(shape, self.shape, strict=True)]
        room = margin * max(shape)
        for box in self.boxes:
            outside[
                tuple(
                    slice(max(0, round(part.start * by - room)), round(part.stop * by + room))
                    for part, by in zip(box, scale, strict=True)
                )
            ] = False
        return outside

    def resized(self, shape: tuple[int, int]) -> Hints:
        """Give the same hints for a smaller copy of the photo."""
        by = [there / here for there, here in zip(shape, self.shape, strict=True)]
        boxes = tuple(scaled(box, shape, self.shape) for box in self.boxes)
        points, not_points = (
            tuple((x * by[1], y * by[0]) for x, y in places)
            for places in (self.points, self.not_points)
        )
        keep, drop = (
            None if mask is None else fit_marks(mask, shape) for mask in (self.keep, self.drop)
        )
        size = shape[::-1]
        trimap = self.trimap
        if trimap is not None:
            trimap = cv2.resize(trimap, size, interpolation=cv2.INTER_NEAREST)
        guide = self.guide
        if guide is not None:
            guide = cv2.resize(guide, size, interpolation=cv2.INTER_AREA)
        return Hints(shape, boxes, points, not_points, keep, drop, trimap, guide, self.subject)

    def cropped(self, block: Block) -> Hints:
        """Give the same hints for a part of the photo; those that lie elsewhere are left out."""
        rows, columns = block
        shape = rows.stop - rows.start, columns.stop - columns.start
        boxes = tuple(
            pair(
                slice(max(0, part.start - side.start), min(side.stop, part.stop) - side.start)
                for part, side in zip(box, block, strict=True)
            )
            for box in self.boxes
        )
        points, not_points = (
            tuple(
                (x - columns.start, y - rows.start)
                for x, y in places
                if rows.start <= y < rows.stop and columns.start <= x < columns.stop
            )
            for places in (self.points, self.not_points)
        )
        keep, drop, trimap, guide = (
            None if picture is None else picture[block]
            for picture in (self.keep, self.drop, self.trimap, self.guide)
        )
        return Hints(shape, boxes, points, not_points, keep, drop, trimap, guide, self.subject)
