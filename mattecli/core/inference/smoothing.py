"""Evening out the mattes of a clip: no flicker where it stands still, no ghosts where it moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import cv2
import numpy as np

#: Frames before and after each one that have a say in its matte.
REACH = 2
# Difference of colour at which another frame's say has fallen to 0.6.
_ALIKE = 0.03
# Another frame whose say is smaller than this on average shows another scene.
_SAME_SCENE = 0.5
# Long side at which frames are compared.
_COMPARED = 384

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Matted(Generic[Thing]):
    """What the network saw of a frame, uint8 h×w×3, and its matte, float32 h×w, of anything."""

    of: Thing
    image: np.ndarray
    matte: np.ndarray


def smooth(frames: Iterable[Matted[Thing]], reach: int = REACH) -> Iterator[Matted[Thing]]:
    """Average each matte with those of the frames around it, as far as they show the same.

    Every pixel is looked for in the other frames where it was and where optical flow (Kroeger et
    al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016) says that it went. The better
    match counts, by a weight that falls with the difference of colour: so a matte is averaged
    along the motion, and not at all where something else is seen or the scene is another. What
    is averaged are the network's own mattes, never averages, so nothing is dragged along.

    Frames come out in their order, `reach` later than they went in.
    """
    window: list[_Frame[Thing]] = []
    current = 0
    for matted in frames:
        window.append(_Frame(matted))
        if len(window) - current > reach:
            yield _evened(window[current], window)
            if current == reach:
                window.pop(0)
            else:
                current += 1
    for i in range(current, len(window)):
        yield _evened(window[i], window[max(0, i - reach) :])


class _Frame(Generic[Thing]):
    """A frame, and how it is compared."""

    def __init__(self, matted: Matted[Thing]) -> None:
        self.matted = matted
        height, width = matted.matte.shape
        scale = min(1.0, _COMPARED / max(height, width))
        size = (max(16, round(width * scale)), max(16, round(height * scale)))
        small = cv2.resize(matted.image, size, interpolation=cv2.INTER_AREA)
        self.grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        self.color = cv2.blur(small.astype(np.float32) / 255, (3, 3))


def _evened(frame: _Frame[Thing], window: list[_Frame[Thing]]) -> Matted[Thing]:
    height, width = frame.matted.matte.shape
    total, weights = frame.matted.matte.copy(), np.ones((height, width), np.float32)
    for other in window:
        if other is frame:
            continue
        say, motion = _compare(frame, other)
        if say.mean() < _SAME_SCENE:
            continue
        say = cv2.resize(say, (width, height))
        matte = _fetch(other.matted.matte, cv2.resize(motion, (width, height)))
        total += say * matte
        weights += say
    return replace(frame.matted, matte=total / weights)


def _compare(frame: _Frame, other: _Frame) -> tuple[np.ndarray, np.ndarray]:
    """Find a frame's pixels in another one.

    Returns
    -------
    say : float32 ndarray of shape (h, w), in [0, 1]
        How well each was found.
    motion : float32 ndarray of shape (h, w, 2)
        Where it went, (x, y) in parts of the frame's sides.
    """
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    # An array in place of None would be taken as a first guess; the stubs do not know None.
    flow = finder.calc(frame.grey, other.grey, None)  # type: ignore[call-overload]
    motion = flow / np.float32(frame.grey.shape[::-1])
    still = _say(frame.color, other.color)
    moved = _say(frame.color, _fetch(other.color, motion))
    # Flow trembles where nothing moves: it has to be better to be followed.
    follow = moved > 1.05 * still
    return np.where(follow, moved, still), motion * follow[..., None]


def _say(color: np.ndarray, other: np.ndarray) -> np.ndarray:
    difference = np.square(color - other).sum(axis=2)
    # A pixel counts as what is around it does, or rims that moved by a pixel would slip through.
    difference = cv2.dilate(difference, np.ones((3, 3), np.uint8))
    return np.exp(difference / (-2 * _ALIKE**2))


def _fetch(array: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Give each pixel what lies in `array` where it went."""
    height, width = motion.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return cv2.remap(
        array,
        x + motion[..., 0] * np.float32(width),
        y + motion[..., 1] * np.float32(height),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
