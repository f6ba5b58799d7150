"""Hints as the page sends them: strokes of the pen, points and boxes, in the photo's pixels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from mattecli.core.inference.hint_values import HintKeywords
from mattecli.core.serving.refusals import Refusal

# More than anybody draws.
_MOST_STROKES, _MOST_PLACES = 2000, 200_000
# Strokes are drawn with so many binary places of a pixel.
_SHIFT = 3


def hints_from(drawn: Any, size: tuple[int, int]) -> HintKeywords:
    """Understand what was drawn.

    Parameters
    ----------
    drawn : dict
        ``strokes``: list of ``{"kind": "keep" or "drop", "width": w, "path": [x, y, x, y, …]}``, of
        which later ones lie on earlier ones; ``points`` and ``not_points``: lists of ``[x, y]``;
        ``boxes``: list of ``[x, y, width, height]``.
    size : (width, height)
        Of the photo.

    Raises
    ------
    Refusal
        If it is nothing of the kind.
    """
    if not isinstance(drawn, dict):
        raise Refusal(400, "hints are an object with strokes, points, not_points and boxes")
    unknown = drawn.keys() - {"strokes", "points", "not_points", "boxes"}
    if unknown:
        raise Refusal(400, f"no hint '{min(unknown)}'")
    points, not_points, boxes = (
        [_numbers(place, count) for place in _list(drawn.get(name), name)]
        for name, count in (("points", 2), ("not_points", 2), ("boxes", 4))
    )
    hints = HintKeywords(points=points, not_points=not_points)
    if boxes:
        hints["box"] = [_inside(box, size) for box in boxes]
    strokes = _list(drawn.get("strokes"), "strokes")
    if strokes:
        hints["keep"], hints["drop"] = _drawn(strokes, size)
    return hints


def _drawn(strokes: list[Any], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Draw strokes into masks of what to keep and what to drop."""
    marks = np.zeros(size[::-1], np.uint8)
    total = 0
    for stroke in strokes:
        if not isinstance(stroke, dict) or stroke.get("kind") not in ("keep", "drop"):
            raise Refusal(400, "a stroke has a kind, keep or drop, a width and a path")
        path = _list(stroke.get("path"), "path")
        total += len(path)
        if total > 2 * _MOST_PLACES or len(path) % 2 or not path:
            raise Refusal(400, "the path of a stroke is x, y, x, y and so on")
        (width,) = _numbers([stroke.get("width")], 1)
        thickness = max(1, min(round(width), max(size)))
        # Far outside of the photo nothing is drawn, and numbers stay within what OpenCV counts.
        places = np.array(_numbers(path, len(path))).reshape(-1, 2)
        places = np.clip(places, -max(size), 2 * max(size))
        fixed = np.rint(places * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2)
        value = 1 if stroke["kind"] == "keep" else 2
        if len(fixed) == 1:
            fixed = np.repeat(fixed, 2, axis=0)
        cv2.polylines(marks, [fixed], False, value, thickness, cv2.LINE_8, _SHIFT)
    return marks == 1, marks == 2


def _inside(box: list[float], size: tuple[int, int]) -> tuple[float, ...]:
    """Give the part of a box that lies in the photo: the pen goes beyond its rim."""
    x, y, width, height = box
    left, top = max(0.0, x), max(0.0, y)
    right, bottom = min(size[0], x + width), min(size[1], y + height)
    if right - left < 1 or bottom - top < 1:
        raise Refusal(400, "a box lies outside of the photo, or is smaller than a pixel")
    return left, top, right - left, bottom - top


def _list(value: Any, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > (
        2 * _MOST_PLACES if name == "path" else _MOST_STROKES
    ):
        raise Refusal(400, f"'{name}' is no list, or too long a one")
    return value


def _numbers(values: Any, count: int) -> list[float]:
    if not isinstance(values, list) or len(values) != count:
        raise Refusal(400, f"a place has {count} numbers")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Refusal(400, "a place is given in numbers")
        # Not `math.isfinite`, for which whole numbers may be too long.
        if not abs(value) <= 1e9:
            raise Refusal(400, "a place is given in finite numbers")
    return [float(value) for value in values]
