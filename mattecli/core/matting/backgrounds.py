"""Backgrounds as the user names them: a color, a picture, or the photo's own, blurred."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from mattecli.core.errors import MatteError, not_found
from mattecli.core.imaging.clips.reading import is_clip
from mattecli.core.imaging.colors import is_color, parse_color
from mattecli.core.imaging.frame_folders import is_numbered
from mattecli.core.imaging.reading import read_picture, to_srgb
from mattecli.core.matting.flattening import flatten
from mattecli.core.objects.paths import located

# Of the photo's long side, where no radius is named.
_BLUR = 0.02
# A blur is made at a size at which its radius is about so many pixels.
_SMALL = 6


@dataclass(frozen=True)
class Blur:
    """The photo's own background, out of focus.

    Attributes
    ----------
    radius : float or None
        In the photo's pixels; None is a fiftieth of its long side.
    """

    radius: float | None = None


def parse_blur(text: str) -> Blur | None:
    """Understand ``blur`` and ``blur:R``; None is any other background.

    Raises
    ------
    MatteError
        If R is no radius.
    """
    word, _, radius = text.partition(":")
    if word != "blur":
        return None
    try:
        value = float(radius) if radius else None
        if value is not None and not 0 < value <= 10_000:
            raise ValueError
    except ValueError:
        raise MatteError(f"'{text}': a blur has a radius in pixels, such as blur:40") from None
    return Blur(value)


def blurred(scene: np.ndarray, blur: Blur) -> np.ndarray:
    """Blur a scene; its border is continued.

    Parameters
    ----------
    scene : ndarray of shape (H, W, 3), uint8 or uint16
        Without the subject, whose colors would show around it.

    Returns
    -------
    ndarray of the same shape and type
    """
    height, width = scene.shape[:2]
    radius = blur.radius or _BLUR * max(height, width)
    shrink = max(1.0, radius / _SMALL)
    size = max(1, math.ceil(width / shrink)), max(1, math.ceil(height / shrink))
    small = cv2.resize(scene, size, interpolation=cv2.INTER_AREA) if shrink > 1 else scene
    small = cv2.GaussianBlur(
        small.astype(np.float32), (0, 0), radius / shrink, borderType=cv2.BORDER_REPLICATE
    )
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.rint(large).clip(0, np.iinfo(scene.dtype).max).astype(scene.dtype)


def load_background(text: str) -> np.ndarray:
    """Turn a color into float32 RGB of shape (3,), or the path of a picture into its colors.

    These are uint8 or uint16, of shape (H, W, 3).

    As everywhere, what is transparent lies on white.
    """
    path = located(text)
    # What is neither is a misspelt file if it has a suffix, and a misspelt color if not.
    if is_color(text) or not (path.suffix or path.exists()):
        return parse_color(text)
    if is_clip(path) or is_numbered(path):
        raise MatteError(f"{path} moves, and goes behind clips only: photos need a picture")
    if not path.exists():
        raise not_found(path)
    return flatten(to_srgb(read_picture(path)), np.ones(3, np.float32))
