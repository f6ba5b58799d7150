"""Temporal smoothing of a clip's mattes: no flicker where it stands, no ghosts where it moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import cv2
import numpy as np

from mattecli.core.clips.following import MatteFrame, Step, no_way, step_between
from mattecli.core.clips.motion import warp

#: Frames before and after each one that its matte is averaged with.
REACH = 2
# Difference of alpha at which the weight of a match has fallen to 0.6.
_ALIKE = 0.4

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

    Every pixel is followed along the subject's motion, step by step to the other frames
    (`MatteFrame.motion_along`). What is there counts less if the way back ends elsewhere, as it
    does where something is occluded, if it moves faster or slower, and is blurred otherwise, or if
    its color or alpha is another; beyond a cut nothing counts. What is averaged are the network's
    own mattes, never averages, so nothing is dragged along.

    Frames come out in their order, `reach` later than they went in. Those of `before`, the last
    `reach` of an earlier run, come out no more.
    """
    window: _Window[Payload] = _Window()
    for frame in before:
        window.add(frame)
    current = len(window.frames)
    for frame in frames:
        window.add(frame)
        if len(window.frames) - current > reach:
            yield window.averaged(current, reach)
            if current == reach:
                window.drop_first()
            else:
                current += 1
    for place in range(current, len(window.frames)):
        yield window.averaged(place, reach)


class _Window(Generic[Payload]):
    """Frames that follow one another, and the steps between them."""

    def __init__(self) -> None:
        self.frames: list[FrameMatte[Payload]] = []
        self._compared: list[MatteFrame] = []
        self._steps: list[Step | None] = []

    def add(self, frame: FrameMatte[Payload]) -> None:
        """Take the next frame."""
        compared = MatteFrame(frame.image, frame.matte)
        if self._compared:
            self._steps.append(step_between(self._compared[-1], compared))
        self.frames.append(frame)
        self._compared.append(compared)

    def drop_first(self) -> None:
        """Let go of the first frame; there is one behind it."""
        del self.frames[0], self._compared[0], self._steps[0]

    def averaged(self, place: int, reach: int) -> FrameMatte[Payload]:
        """Average the matte of a frame with those around it."""
        frame, matte = self._compared[place], self.frames[place].matte
        size = matte.shape[1], matte.shape[0]
        total, weights = matte.copy(), np.ones_like(matte)
        for direction in (-1, 1):
            way = no_way(frame)
            for end in range(place + direction, place + direction * (reach + 1), direction):
                step = self._step(end - direction, direction)
                if step is None:
                    break
                way = way.then(step)
                speeds = [self._speed(place), self._speed(end)]
                unlike = cv2.resize(way.unlike(frame, self._compared[end], speeds), size)
                found = warp(self.frames[end].matte, cv2.resize(way.motion, size))
                unlike += np.square(found - matte) / np.float32(_ALIKE**2)
                weight = np.exp(unlike / -2)
                total += weight * found
                weights += weight
        return replace(self.frames[place], matte=total / weights)

    def _step(self, place: int, direction: int) -> Step | None:
        """Give the step from a frame to the next, or to the one before; None where none is."""
        if direction > 0:
            return self._steps[place] if place < len(self._steps) else None
        step = self._steps[place - 1] if place > 0 else None
        return step and Step(step.back, step.there)

    def _speed(self, place: int) -> np.ndarray:
        """Say how far what a frame shows moves from frame to frame; one step at least is there."""
        before, after = self._step(place, -1), self._step(place, 1)
        if before is None or after is None:
            return after.there if after else -before.there if before else np.float32(0)
        return (after.there - before.there) / 2
