"""Dots per inch: how large a picture is to be printed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from PIL import Image

_X, _Y, _UNIT = 0x011A, 0x011B, 0x0128
_CENTIMETERS = 3
_LARGEST = 65_535


def resolution(image: Image.Image, turned: bool) -> tuple[float, float] | None:
    """Give (horizontal, vertical) dots per inch of the upright picture, where its file says so.

    Parameters
    ----------
    turned : bool
        Whether the EXIF orientation swaps width and height.
    """
    found = _checked(image.info.get("dpi") or _from_exif(image))
    return found[::-1] if found and turned else found


def resolution_of_tags(tags: Mapping[int, Any]) -> tuple[float, float] | None:
    """Give (horizontal, vertical) dots per inch that a TIFF's directory states."""
    factor = 2.54 if tags.get(_UNIT) == _CENTIMETERS else 1.0
    try:
        return _checked((float(tags[_X]) * factor, float(tags[_Y]) * factor))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _checked(found: Any) -> tuple[float, float] | None:
    try:
        x, y = (float(value) for value in found)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    # A density of 1 is how files state the proportions of their pixels.
    if not all(math.isfinite(value) and 1 < value <= _LARGEST for value in (x, y)):
        return None
    return x, y


def _from_exif(image: Image.Image) -> tuple[float, float] | None:
    try:
        exif = image.getexif()
        factor = 2.54 if exif.get(_UNIT) == _CENTIMETERS else 1.0
        return float(exif[_X]) * factor, float(exif[_Y]) * factor
    except Exception:  # damaged or missing
        return None
