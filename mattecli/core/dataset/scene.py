"""Drawing what a sample looks like: sizes, places and changes, as plain numbers."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from mattecli.core.dataset.layers import Layer, LayerReader, enlarged_size
from mattecli.core.dataset.plan import Sample
from mattecli.core.dataset.recipe import Draw, Range, Recipe, Scene

# Attempts at a place that shows enough of the subject.
_TRIES = 10


def draw(sample: Sample, recipe: Recipe, reader: LayerReader) -> dict:
    """Decide all that is random about a sample.

    Returns
    -------
    dict
        What `render` needs, fit for JSON: ``size`` (width, height) of the frame, ``background``
        with its ``file``, the ``size`` it is resized to, ``crop`` (x, y), ``flip`` and ``adjust``;
        ``layers``, back to front, each with the files of its foreground, ``adjust`` and, in a
        scene, ``place``; ``trimap`` with its two radii.
    """
    rng = np.random.default_rng(sample.seed)
    background = reader.background(sample.background)
    size = (background.shape[1], background.shape[0])
    subjects = [(item, reader.foreground(item)) for item in sample.foregrounds]
    if recipe.placement == "scene":
        frame, resized, crop = _draw_frame(recipe.scene, size, rng)
        places = [{"place": _draw_place(recipe.scene, layer, frame, rng)} for _, layer in subjects]
        flip = bool(rng.random() < recipe.scene.flip)
    else:
        alpha = subjects[0][1].alpha
        frame = (alpha.shape[1], alpha.shape[0])
        how = recipe.background
        resized = enlarged_size(size, frame, how.fit, how.size_rounding)
        crop = _draw_crop(how.crop, resized, frame, rng)
        places, flip = [{}], False
    return {
        "size": list(frame),
        "background": {
            "file": sample.background,
            "size": list(resized),
            "crop": list(crop),
            "flip": flip,
            "adjust": _draw_adjustment(recipe, rng, max(frame), is_background=True),
        },
        "layers": [
            {
                **dataclasses.asdict(item),
                "adjust": _draw_adjustment(recipe, rng, max(frame), is_background=False),
                **place,
            }
            for (item, _), place in zip(subjects, places, strict=True)
        ],
        "trimap": [round(_uniform(recipe.trimap.radius, rng)) for _ in range(2)],
    }


def _draw_frame(
    scene: Scene, size: tuple[int, int], rng: np.random.Generator
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Draw the frame (width, height), the size of the whole background and where the frame lies."""
    long_side = round(_uniform(scene.long_side, rng))
    part = _uniform(scene.background_part, rng)
    width, height = (max(32, round(long_side * side / max(size))) for side in size)
    resized = max(round(width / part), width), max(round(height / part), height)
    crop = int(rng.integers(resized[0] - width + 1)), int(rng.integers(resized[1] - height + 1))
    return (width, height), resized, crop


def _draw_place(
    scene: Scene, layer: Layer, frame: tuple[int, int], rng: np.random.Generator
) -> dict:
    """Draw size, position, flip and tilt of a subject.

    Where the subject is cut off by the border of its own picture it is laid against the border of
    the frame, since a straight cut in the middle of a scene never happens in a photograph.
    """
    flip = bool(rng.random() < scene.flip)
    cut = cut_sides(layer.alpha)
    if flip:
        cut[0] = cut[0][::-1]
    tilt = 0.0
    if scene.tilt is not None and rng.random() < scene.tilt.chance and not any(map(any, cut)):
        tilt = _uniform(scene.tilt.range, rng)

    subject = (layer.alpha.shape[1], layer.alpha.shape[0])
    fitting = min(room / side for room, side in zip(frame, subject, strict=True))
    factor = min(_uniform(scene.scale, rng) * fitting, scene.enlarge)
    for (near, far), room, side in zip(cut, frame, subject, strict=True):
        if near and far:
            factor = max(factor, room / side)
    box_size = [max(1, round(side * factor)) for side in subject]
    seen = layer.alpha[:, ::-1] if flip else layer.alpha
    visible = scene.visible if rng.random() < scene.cut else 1.0
    for attempt in range(_TRIES):
        # What sticks out of the frame may be all there is of a subject with far-flung limbs.
        share = visible if attempt < _TRIES - 1 else 1.0
        position = [
            _draw_start(length, room, sides, share, rng)
            for length, room, sides in zip(box_size, frame, cut, strict=True)
        ]
        box = [*position, *box_size]
        if _visible_mass(seen, box, frame) >= scene.visible:
            break
    return {"box": box, "flip": flip, "tilt": round(tilt, 2)}


def _visible_mass(alpha: np.ndarray, box: list[int], frame: tuple[int, int]) -> float:
    """Give the share of the alpha that lies inside the frame when it is laid into `box`."""
    x, y, width, height = box
    rows, columns = alpha.shape
    left, right = (np.clip((edge - x) / width, 0, 1) * columns for edge in (0, frame[0]))
    upper, lower = (np.clip((edge - y) / height, 0, 1) * rows for edge in (0, frame[1]))
    inside = alpha[round(upper) : round(lower), round(left) : round(right)]
    return float(inside.sum(dtype=np.float64) / alpha.sum(dtype=np.float64))


def _draw_start(
    length: int, room: int, cut: tuple[bool, bool], visible: float, rng: np.random.Generator
) -> int:
    """Draw where a subject of `length` starts on an axis of `room` pixels."""
    hidden = round((1 - visible) * min(length, room))
    lowest, highest = min(0, room - length) - hidden, max(0, room - length) + hidden
    near, far = cut
    if near:
        highest = 0
    if far:
        lowest = room - length
    return int(rng.integers(min(lowest, highest), highest + 1))


def cut_sides(alpha: np.ndarray, share: float = 0.1) -> list[tuple[bool, bool]]:
    """Tell for x and y whether the subject runs into the near and the far border of its picture.

    It does where it takes more than `share` of that border.
    """
    top = np.iinfo(alpha.dtype).max
    left, right, upper, lower = (
        bool((edge > top / 2).mean() > share)
        for edge in (alpha[:, 0], alpha[:, -1], alpha[0], alpha[-1])
    )
    return [(left, right), (upper, lower)]


def _draw_crop(
    how: str, resized: tuple[int, int], frame: tuple[int, int], rng: np.random.Generator
) -> tuple[int, int]:
    free = [whole - side for whole, side in zip(resized, frame, strict=True)]
    if how == "top-left":
        return 0, 0
    if how == "center":
        return free[0] // 2, free[1] // 2
    return int(rng.integers(free[0] + 1)), int(rng.integers(free[1] + 1))


def _draw_adjustment(
    recipe: Recipe, rng: np.random.Generator, long_side: int, is_background: bool
) -> dict:
    augment = recipe.augment
    drawn: dict[str, Any] = {}

    def value_of(setting: Draw | None) -> float | None:
        if setting is None or rng.random() >= setting.chance:
            return None
        return _uniform(setting.range, rng)

    if is_background and (blur := value_of(augment.background_blur)) is not None:
        drawn["blur"] = round(blur * long_side, 2)
    if (gamma := value_of(augment.gamma)) is not None:
        drawn["gamma"] = round(gamma, 3)
    if augment.gain is not None and rng.random() < augment.gain.chance:
        drawn["gain"] = [round(_uniform(augment.gain.range, rng), 3) for _ in range(3)]
    if (saturation := value_of(augment.saturation)) is not None:
        drawn["saturation"] = round(saturation, 3)
    if (noise := value_of(augment.noise)) is not None:
        drawn["noise"] = round(noise, 4)
        drawn["noise_seed"] = int(rng.integers(2**32))
    if (jpeg := value_of(augment.jpeg)) is not None:
        drawn["jpeg"] = round(jpeg)
    return drawn


def _uniform(limits: Range, rng: np.random.Generator) -> float:
    return float(rng.uniform(*limits))
