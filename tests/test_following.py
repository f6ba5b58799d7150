"""Mattes of neighboring frames are found along the subject's motion, where they show the same."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from mattecli.core.clips.following import MatteFrame, Step, no_way, step_between
from mattecli.core.clips.motion import warp
from mattecli.core.clips.smoothing import FrameMatte, smooth

HEIGHT, WIDTH, SPEED = 160, 288, 5


def texture(seed: int, width: int, low: int, high: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (HEIGHT, width, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip((low + high) / 2 + (high - low) * blurred / blurred.std() / 4, 0, 255)


GROUND, SKIN = texture(0, 2 * WIDTH, 40, 160), texture(1, WIDTH, 90, 240)


def frame_of(number: int, post: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A disc that moves to the right, over a ground that moves to the left, behind a post."""
    middle = 70 + SPEED * number
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    alpha = np.clip((40 - np.hypot(y - 80, x - middle)) / 3 + 0.5, 0, 1).astype(np.float32)
    ground = GROUND[:, 60 + 4 * number :][:, :WIDTH]
    subject = np.roll(SKIN, SPEED * number, axis=1)
    image = ground + alpha[..., None] * (subject - ground)
    if post:
        image[:, 110:130] = texture(2, WIDTH, 0, 60)[:, 110:130]
        alpha[:, 110:130] = 0
    return np.rint(image).astype(np.uint8), alpha


def test_edges_go_where_the_subject_goes_and_not_with_what_is_behind():
    before, after = (MatteFrame(*frame_of(number)) for number in range(2))
    step = step_between(before, after)
    edge = cv2.resize(frame_of(0)[1], before.kept_size, interpolation=cv2.INTER_AREA)
    edge = (edge > 0.1) & (edge < 0.9)
    for motion, speed in ((step.there, SPEED), (step.back, -SPEED)):
        off = motion[edge] * [WIDTH, HEIGHT] - [speed, 0]
        assert np.quantile(np.abs(off), 0.9) < 0.7
    far = step.there[:10, :10] * [WIDTH, HEIGHT]
    assert np.abs(far - [-4, 0]).max() < 0.7


def test_a_way_of_two_steps_ends_where_both_lead():
    frames = [MatteFrame(*frame_of(number)) for number in range(3)]
    way = no_way(frames[0])
    for pair in pairwise(frames):
        way = way.then(step_between(*pair))
    alpha = warp(frame_of(2)[1], cv2.resize(way.motion, (WIDTH, HEIGHT)))
    assert np.abs(alpha - frame_of(0)[1]).mean() < 0.004
    assert np.median(way.gap) < 0.1


def test_what_does_not_come_back_or_looks_otherwise_counts_less():
    frame = MatteFrame(*frame_of(0))
    shape = (frame.kept_size[1], frame.kept_size[0], 2)
    still, moved = np.zeros(shape, np.float32), np.full(shape, 0.03, np.float32)
    same = no_way(frame).then(Step(still, still))
    assert not same.unlike(frame, frame, [still, still]).any()
    assert no_way(frame).then(Step(still, moved)).gap.min() > 100
    other = MatteFrame(255 - frame_of(0)[0], frame_of(0)[1])
    assert np.median(same.unlike(frame, other, [still, moved])) > 10
    # Whatever moves otherwise is blurred otherwise, unless it looks the same all the same.
    assert not same.unlike(frame, frame, [still, moved]).any()


def test_a_subject_that_goes_behind_something_leaves_no_ghost_there():
    frames = [FrameMatte(number, *frame_of(number, post=True)) for number in range(9)]
    for before, after in zip(frames, smooth(frames), strict=True):
        off = np.abs(after.matte - before.matte)
        assert off[:, 112:128].max() < 0.1, before.payload
        assert off.mean() < 0.01
