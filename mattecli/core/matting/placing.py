"""Fitting one picture into the frame of another."""

from __future__ import annotations

import math

import cv2
import numpy as np

from mattecli.core.errors import MatteError

FITS = ("cover", "contain", "stretch")

_POSITIONS = {
    "center": (0.5, 0.5),
    "top": (0.5, 0.0),
    "bottom": (0.5, 1.0),
    "left": (0.0, 0.5),
    "right": (1.0, 0.5),
    "top-left": (0.0, 0.0),
    "top-right": (1.0, 0.0),
    "bottom-left": (0.0, 1.0),
    "bottom-right": (1.0, 1.0),
}


def parse_position(text: str) -> tuple[float, float]:
    """Turn ``center``, ``bottom-left``… or ``X,Y`` into shares of the free room (x, y).

    ``0,0`` is the upper left corner of the frame and ``1,1`` the lower right one.

    Raises
    ------
    MatteError
        If the text is neither.
    """
    if text in _POSITIONS:
        return _POSITIONS[text]
    try:
        x, y = (float(part) for part in text.split(","))
        if not (math.isfinite(x) and math.isfinite(y)):
            raise ValueError
    except ValueError:
        raise MatteError(
            f"'{text}' is no position: use X,Y such as 0.5,1, or {', '.join(_POSITIONS)}"
        ) from None
    return x, y


def check_fit(fit: str) -> None:
    """Raise `MatteError` if there is no such way to fit."""
    if fit not in FITS:
        raise MatteError(f"'{fit}' is no way to fit: use {', '.join(FITS)}")


def fitted_size(
    size: tuple[int, int], frame: tuple[int, int], fit: str, scale: float = 1.0
) -> tuple[int, int]:
    """Give the (height, width) that a picture of `size` takes in a frame of (height, width).

    ``cover`` fills the frame and keeps proportions, ``contain`` stays inside it and keeps them,
    ``stretch`` takes on those of the frame; `scale` multiplies the outcome.
    """
    height, width = size
    ratios = (frame[0] / height, frame[1] / width)
    if fit == "cover":
        ratios = (max(ratios),) * 2
    elif fit == "contain":
        ratios = (min(ratios),) * 2
    else:
        check_fit(fit)
    return (
        max(1, round(height * ratios[0] * scale)),
        max(1, round(width * ratios[1] * scale)),
    )


def fill_frame(
    picture: np.ndarray, frame: tuple[int, int], fit: str = "cover", color: np.ndarray | None = None
) -> np.ndarray:
    """Make an H×W×3 `picture` of any type into one of the frame's (height, width), centered.

    What ``cover`` leaves over is cut off, what ``contain`` leaves open shows `color` (black).
    """
    resized = resize(picture, *fitted_size(picture.shape[:2], frame, fit))
    canvas = np.empty((*frame, 3), picture.dtype)
    canvas[:] = 0 if color is None else color
    target, source = overlap(resized.shape[:2], frame, (0.5, 0.5))
    canvas[target] = resized[source]
    return canvas


def overlap(
    size: tuple[int, int], frame: tuple[int, int], position: tuple[float, float]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Lay a picture of `size` (height, width) at `position` (x, y) into `frame` (height, width).

    Returns
    -------
    target, source : pair of slices each
        Where in the frame the visible part lies, and which part of the picture that is.
    """
    target: list[slice] = []
    source: list[slice] = []
    for length, room, share in zip(size, frame, position[::-1], strict=True):
        start = round((room - length) * share)
        first, last = max(start, 0), min(start + length, room)
        last = max(first, last)
        target.append(slice(first, last))
        source.append(slice(first - start, last - start))
    return (target[0], target[1]), (source[0], source[1])


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize by area means where it shrinks, by cubic interpolation where it grows.

    Float images are clipped to [0, 1], since cubic interpolation overshoots.
    """
    if image.shape[:2] == (height, width):
        return image
    shrinks = height * width < image.shape[0] * image.shape[1]
    resized = cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    return np.clip(resized, 0, 1, out=resized) if resized.dtype.kind == "f" else resized
