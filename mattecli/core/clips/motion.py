"""Where the pixels of one frame were in another, by optical flow at small size."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

# Difference of color at which the weight of a match has fallen to 0.6.
_ALIKE = 0.03
# Frames whose matches weigh less than this on average show different scenes.
_SAME_SCENE = 0.5
# Long side at which frames are compared.
_COMPARED = 384


class Match(NamedTuple):
    """How a frame's pixels are found in another frame, at small size.

    Attributes
    ----------
    weight : float32 ndarray of shape (h, w), in [0, 1]
        How well each was found; low where it is occluded there.
    motion : float32 ndarray of shape (h, w, 2)
        Where it went, (x, y) as shares of the frame's sides.
    """

    weight: np.ndarray
    motion: np.ndarray

    @property
    def is_same_scene(self) -> bool:
        """Whether both frames belong to one scene."""
        return float(self.weight.mean()) >= _SAME_SCENE

    def resized(self, shape: tuple[int, int]) -> Match:
        """Give the same at another (height, width)."""
        size = shape[::-1]
        return Match(cv2.resize(self.weight, size), cv2.resize(self.motion, size))


class SmallFrame:
    """A frame as it is compared with others.

    Parameters
    ----------
    image : uint8 ndarray of shape (h, w, 3)
    """

    def __init__(self, image: np.ndarray) -> None:
        height, width = image.shape[:2]
        scale = min(1.0, _COMPARED / max(height, width))
        size = (max(16, round(width * scale)), max(16, round(height * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        self.grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        self.color = cv2.blur(small.astype(np.float32) / 255, (3, 3))


def match(frame: SmallFrame, other: SmallFrame, motion: np.ndarray | None = None) -> Match:
    """Find the pixels of a frame in another one of its size.

    Each is looked for where it was and where optical flow says that it went; the better match
    counts.

    Parameters
    ----------
    frame, other : SmallFrame
    motion : float32 ndarray of shape (h, w, 2), optional
        Optical flow that is known already, at any size, (x, y) as shares of the frame's sides.
    """
    if motion is None:
        motion = optical_flow(frame.grey, other.grey) / np.float32(frame.grey.shape[::-1])
    else:
        motion = cv2.resize(motion, frame.grey.shape[::-1])
    still = _weight(frame.color, other.color)
    moved = _weight(frame.color, warp(other.color, motion))
    # Flow trembles where nothing moves: it has to be better to be followed.
    follow = moved > 1.05 * still
    return Match(np.where(follow, moved, still), motion * follow[..., None])


def optical_flow(
    grey: np.ndarray, other: np.ndarray, finest_scale: int | None = None
) -> np.ndarray:
    """Say how many pixels (x, y) each of `grey` went, float32 h×w×2.

    Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016.

    Parameters
    ----------
    grey, other : uint8 ndarray of shape (h, w)
    finest_scale : int, optional
        How often the finest grid that is searched is halved; by default as the fastest preset has
        it, which is too coarse for edges.
    """
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    if finest_scale is not None:
        finder.setFinestScale(finest_scale)
    # An array in place of None would be taken as a first guess; the stubs do not know None.
    return finder.calc(grey, other, None)  # type: ignore[call-overload]


def warp(array: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Give each pixel of `motion`'s frame what lies in `array` where it went."""
    height, width = motion.shape[:2]
    # Channel by channel: NumPy multiplies by a vector of two six times as slowly.
    places = np.empty_like(motion)
    np.multiply(motion[..., 0], np.float32(width), out=places[..., 0])
    np.multiply(motion[..., 1], np.float32(height), out=places[..., 1])
    places += _places(height, width)
    return cv2.remap(array, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]


@lru_cache(maxsize=4)
def _places(height: int, width: int) -> np.ndarray:
    """Give (x, y) of each pixel, float32 height×width×2."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([x, y], axis=2)


def squared_length(vectors: np.ndarray) -> np.ndarray:
    """Give the squared length of each pixel's vector, float32 h×w×n to h×w."""
    # A tenth of the time that NumPy takes for sums of two or three.
    return cv2.transform(np.square(vectors), np.ones((1, vectors.shape[2]), np.float32))


def _weight(color: np.ndarray, other: np.ndarray) -> np.ndarray:
    difference = squared_length(color - other)
    # A pixel counts as what is around it does, or rims that moved by a pixel would slip through.
    difference = cv2.dilate(difference, np.ones((3, 3), np.uint8))
    return np.exp(difference / (-2 * _ALIKE**2))
