"""Temporal smoothing of a clip's mattes: no flicker where it stands, no ghosts where it moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from mattecli.core.inference.motion import SmallFrame, match, warp

#: Frames before and after each one that its matte is averaged with.
REACH = 2

Payload = TypeVar("Payload")


@dataclass(frozen=True)
class FrameMatte(Generic[Payload]):
    """The matte of a frame.

    Attributes
    ----------
    payload
        What goes with it; it is handed on.
    image : uint8 ndarray of shape (h, w, 3)
        What the network saw of the frame.
    matte : float32 ndarray of shape (h, w), in [0, 1]
    """

    payload: Payload
    image: np.ndarray
    matte: np.ndarray


def smooth(
    frames: Iterable[FrameMatte[Payload]],
    reach: int = REACH,
    before: Iterable[FrameMatte[Payload]] = (),
) -> Iterator[FrameMatte[Payload]]:
    """Average each matte with those of the frames around it, as far as they show the same.

    Every pixel is looked for in the other frames by `match`, and counts by the weight of its
    match, which falls with the difference of color: so a matte is averaged along the motion, and
    not at all where something else is seen or the scene is another. What is averaged are the
    network's own mattes, never averages, so nothing is dragged along.

    Frames come out in their order, `reach` later than they went in. Those of `before`, the last
    `reach` of an earlier run, come out no more.
    """
    window = [_Compared(frame, SmallFrame(frame.image)) for frame in before]
    current = len(window)
    for frame in frames:
        window.append(_Compared(frame, SmallFrame(frame.image)))
        if len(window) - current > reach:
            yield _averaged(window[current], window)
            if current == reach:
                window.pop(0)
            else:
                current += 1
    for i in range(current, len(window)):
        yield _averaged(window[i], window[max(0, i - reach) :])


@dataclass(frozen=True)
class _Compared(Generic[Payload]):
    frame: FrameMatte[Payload]
    small: SmallFrame


def _averaged(current: _Compared[Payload], window: list[_Compared[Payload]]) -> FrameMatte[Payload]:
    """Average a frame's matte with those of the window that show its scene."""
    shape = current.frame.matte.shape
    total, weights = current.frame.matte.copy(), np.ones(shape, np.float32)
    for other in window:
        if other is current:
            continue
        found = match(current.small, other.small)
        if not found.is_same_scene:
            continue
        weight, motion = found.resized((shape[0], shape[1]))
        total += weight * warp(other.frame.matte, motion)
        weights += weight
    return replace(current.frame, matte=total / weights)
