"""Clips with exact alpha: cutouts that move, turn and blur over moving backgrounds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mattecli.core.imaging.pixels import to_bits, to_unit
from mattecli.core.imaging.reading import read_color, read_picture

#: What moves, clip by clip: the subject slowly, turning; the subject fast; the hand that holds the
#: camera; two subjects, past one another.
MOTIONS = ("turns", "fast", "shake", "crossing")
#: Frames in which a motion is complete.
LENGTH = 60
# Moments of a frame that are averaged, as a shutter that is open for half of its time does.
_MOMENTS, _SHUTTER = 4, 0.5
# Standard deviation of the sensor's noise, of 255.
_NOISE = 2.0
# The background is so much larger than the frame.
_ROOM = 1.35


class Scene(NamedTuple):
    """A clip to be drawn; `seed` settles everything else about it."""

    name: str
    motion: str
    subjects: list[Path]
    background: Path
    seed: int


class Drawn(NamedTuple):
    """One frame, uint8 H×W×3, and its alpha, float32 H×W."""

    color: np.ndarray
    alpha: np.ndarray


def draw(scene: Scene, count: int, size: tuple[int, int]) -> Iterator[Drawn]:
    """Draw the frames of a scene at (height, width)."""
    height, width = size
    rng = np.random.default_rng(scene.seed)
    tall = round(0.8 * height)
    layers = [_premultiplied(path, tall, round(0.7 * width)) for path in scene.subjects]
    ground = _covering(to_unit(read_color(scene.background)), _ROOM, size)
    phases = rng.uniform(0, 2 * math.pi, 8)
    for number in range(count):
        total = np.zeros((height, width, 4), np.float32)
        for moment in range(_MOMENTS):
            time = (number + _SHUTTER * moment / _MOMENTS) / LENGTH
            total += _moment(scene.motion, layers, ground, size, time, phases)
        total /= _MOMENTS
        # Where the shutter blurs, colors and alpha are averaged alike, and stay exact.
        color = total[..., :3] + rng.normal(0, _NOISE / 255, (height, width, 3)).astype(np.float32)
        yield Drawn(to_bits(np.clip(color, 0, 1), 8), np.clip(total[..., 3], 0, 1))


def _moment(
    motion: str,
    layers: list[np.ndarray],
    ground: np.ndarray,
    size: tuple[int, int],
    time: float,
    phases: np.ndarray,
) -> np.ndarray:
    """Composite one moment: RGB and the subjects' alpha."""
    height, width = size
    shake = np.zeros(2)
    if motion == "shake":
        waves = LENGTH / 25 * np.array([2.3, 5.1])
        shake = (
            0.012
            * width
            * np.array(
                [
                    sum(
                        math.sin(2 * math.pi * w * time + p)
                        for w, p in zip(waves, phases[i : i + 2], strict=True)
                    )
                    for i in (0, 2)
                ]
            )
        )
    room = np.array([(_ROOM - 1) * width, (_ROOM - 1) * height]) / 2
    pan = {"turns": 0.3, "fast": -0.5, "shake": 0.0, "crossing": 0.5}[motion] * (2 * time - 1)
    offset = np.array([room[0] * (1 + pan), room[1]]) - shake
    view = np.float32([[1, 0, -offset[0]], [0, 1, -offset[1]]])
    out = np.zeros((height, width, 4), np.float32)
    out[..., :3] = cv2.warpAffine(ground, view, (width, height), borderMode=cv2.BORDER_REFLECT)
    for index, layer in enumerate(layers):
        x, y, angle, scale = _place(motion, index, time, phases)
        matrix = cv2.getRotationMatrix2D((layer.shape[1] / 2, layer.shape[0] / 2), angle, scale)
        middle = np.array([x * width, y * height]) + shake
        matrix[:, 2] += middle - np.array([layer.shape[1], layer.shape[0]]) / 2
        warped = cv2.warpAffine(layer, matrix, (width, height), flags=cv2.INTER_LINEAR)
        rest = 1 - warped[..., 3:]
        out *= rest
        out += warped
    return out


def _place(
    motion: str, index: int, time: float, phases: np.ndarray
) -> tuple[float, float, float, float]:
    """Middle of a subject as shares of the frame, its angle in degrees and its scale."""
    wave = math.sin(2 * math.pi * time + phases[4 + index])
    if motion == "turns":
        return 0.42 + 0.16 * time, 0.55 + 0.02 * wave, 10 * wave, 0.95 + 0.08 * time
    if motion == "fast":
        # To the right, and back.
        return 0.5 - 0.3 * math.cos(2 * math.pi * time), 0.56, 4 * wave, 0.9
    if motion == "crossing":
        way = time if index == 0 else 1 - time
        return 0.22 + 0.56 * way, 0.58, 3 * wave, 0.75
    return 0.5, 0.56, 1.5 * wave, 0.95


def _premultiplied(path: Path, height: int, width: int) -> np.ndarray:
    picture = read_picture(path)
    assert picture.alpha is not None, f"{path} is no cutout"
    alpha = to_unit(picture.alpha)[..., None]
    layer = np.concatenate([to_unit(picture.color) * alpha, alpha], axis=2)
    ys, xs = np.nonzero(alpha[..., 0] > 0.02)
    layer = layer[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    scale = min(height / layer.shape[0], width / layer.shape[1])
    size = (max(1, round(layer.shape[1] * scale)), max(1, round(layer.shape[0] * scale)))
    return cv2.resize(layer, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _covering(color: np.ndarray, room: float, size: tuple[int, int]) -> np.ndarray:
    height, width = round(room * size[0]), round(room * size[1])
    scale = max(height / color.shape[0], width / color.shape[1])
    resized = cv2.resize(
        color,
        (math.ceil(color.shape[1] * scale), math.ceil(color.shape[0] * scale)),
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
    )
    return resized[:height, :width]
