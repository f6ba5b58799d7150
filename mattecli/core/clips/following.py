"""Where a subject went from one frame of a clip to the next, and its edges with it."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from mattecli.core.clips.motion import SmallFrame, match, optical_flow, squared_length, warp

# Long side at which motion is looked for: less would do for what is inside of a subject, but not
# for its edges. Once found, motion is smooth, and half of that is enough.
_COMPARED, _KEPT = 512, 0.5
# Around every pixel motion is averaged over so large a window, as a share of the long side, and
# only what is so far inside of the subject counts in full.
_WINDOW, _INSIDE = 0.08, 0.01
# What the subject's soft part and the background count beside its inside.
_SOFT_SHARE, _GROUND_SHARE = 0.03, 0.001
# Differences at which a place is taken for what it was with a weight of 0.6: between where it was
# and where the way back ends, and between its motion then and now, as a moving shutter blurs edges
# (both in thousandths of the long side), and between colors.
_WAY_BACK, _SPEED, _COLOR = 2.0, 8.0, 0.1
# Difference of color below which edges are blurred alike, whatever their motion.
_SAME_COLOR = 0.05


class MatteFrame:
    """A frame and its matte, as they are followed from frame to frame.

    Parameters
    ----------
    image : uint8 ndarray of shape (h, w, 3)
    matte : float32 ndarray of shape (h, w), in [0, 1]
    """

    def __init__(self, image: np.ndarray, matte: np.ndarray) -> None:
        height, width = image.shape[:2]
        scale = min(1.0, _COMPARED / max(height, width))
        size = (max(16, round(width * scale)), max(16, round(height * scale)))
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        self._grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        self._small = SmallFrame(image)
        self.kept_size = max(8, round(_KEPT * size[0])), max(8, round(_KEPT * size[1]))
        self.color = cv2.resize(self._small.color, self.kept_size, interpolation=cv2.INTER_AREA)
        self._alpha = cv2.resize(matte, self.kept_size, interpolation=cv2.INTER_AREA)

    def flow_to(self, other: MatteFrame) -> np.ndarray:
        """Find where each pixel is in another frame of the same size, by optical flow.

        Returns
        -------
        float32 ndarray of shape (h', w', 2)
            (x, y) as shares of the frame's sides, at small size.
        """
        flow = optical_flow(self._grey, other._grey, finest_scale=1)
        flow = cv2.resize(flow, self.kept_size, interpolation=cv2.INTER_AREA)
        return flow / np.float32(self._grey.shape[::-1])

    def is_of_scene(self, other: MatteFrame, flow: np.ndarray) -> bool:
        """Whether both frames belong to one scene; `flow` is `flow_to` the other."""
        return match(self._small, other._small, flow).is_same_scene

    def motion_along(self, flow: np.ndarray) -> np.ndarray:
        """Turn optical flow from this frame, as `flow_to` gives it, into the motion of alpha.

        At a subject's edge optical flow is that of the subject or of what is behind, as it happens,
        but alpha moves with the subject: so the motion of its inside goes on over its edges.
        """
        longer = max(self.kept_size)
        near, across = (2 * round(share * longer / 2) + 1 for share in (_INSIDE, _WINDOW))
        weight = np.square(np.square(self._alpha))
        weight = cv2.erode(weight, np.ones((near, near), np.uint8)) + _SOFT_SHARE * weight
        weight += np.float32(_GROUND_SHARE)
        total = cv2.blur(flow * weight[..., None], (across, across))
        return total / cv2.blur(weight, (across, across))[..., None]


class Step(NamedTuple):
    """Motion between two frames that follow one another, as `MatteFrame.motion_along` gives it."""

    there: np.ndarray
    back: np.ndarray


def step_between(frame: MatteFrame, following: MatteFrame) -> Step | None:
    """Find the motion between a frame and the one that follows; None if it is of another scene."""
    flow = frame.flow_to(following)
    if not frame.is_of_scene(following, flow):
        return None
    return Step(frame.motion_along(flow), following.motion_along(following.flow_to(frame)))


class Way(NamedTuple):
    """Where a frame's pixels are some frames on.

    Attributes
    ----------
    motion : float32 ndarray of shape (h, w, 2)
        (x, y) as shares of the frame's sides.
    gap : float32 ndarray of shape (h, w)
        How far the way back from each step ends from where it began, squared, in standard
        deviations; large where something is occluded.
    """

    motion: np.ndarray
    gap: np.ndarray

    def then(self, step: Step) -> Way:
        """Go one step farther."""
        there = warp(step.there, self.motion)
        motion = self.motion + there
        return Way(motion, self.gap + _apart(there, -warp(step.back, motion), _WAY_BACK))

    def unlike(self, frame: MatteFrame, other: MatteFrame, speeds: list[np.ndarray]) -> np.ndarray:
        """Say how much what is found at its end differs, squared, in standard deviations.

        Parameters
        ----------
        frame, other : MatteFrame
            At the beginning and at the end.
        speeds : pair of float32 ndarray of shape (h, w, 2)
            What moves in both, and how far from frame to frame.
        """
        colors = squared_length(frame.color - warp(other.color, self.motion))
        speed = _apart(speeds[0], warp(speeds[1], self.motion), _SPEED)
        # What looks the same is blurred alike, however fast. A pixel looks as what is around it.
        around = cv2.dilate(colors, np.ones((3, 3), np.uint8))
        speed = np.minimum(speed, around / np.float32(_SAME_COLOR**2))
        return self.gap + speed + colors / np.float32(_COLOR**2)


def no_way(frame: MatteFrame) -> Way:
    """Stay where one is."""
    width, height = frame.kept_size
    return Way(np.zeros((height, width, 2), np.float32), np.zeros((height, width), np.float32))


def _apart(motion: np.ndarray, other: np.ndarray, deviation: float) -> np.ndarray:
    """Give the squared difference of motions, in deviations of thousandths of the long side."""
    height, width = motion.shape[:2]
    unit = max(width, height) * deviation / 1000
    sides = np.array((width / unit, height / unit), np.float32)
    return squared_length((motion - other) * sides)
