"""Reading the layers of a composite, and changing their size, place and colors."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mattecli.core.dataset.material import Foreground, Roots, resolve
from mattecli.core.dataset.recipe import Recipe
from mattecli.core.errors import MatteError
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.pixels import Picture, to_bits, to_unit
from mattecli.core.imaging.reading import read_picture, to_srgb
from mattecli.core.imaging.writing import encode
from mattecli.core.matting.foreground import estimate_foreground, extend_foreground


@dataclass
class Layer:
    """Straight color (H×W×3) and alpha (H×W), both uint8 or both uint16."""

    color: np.ndarray
    alpha: np.ndarray


class LayerReader:
    """Reads foregrounds and backgrounds for a recipe, and remembers the last few."""

    def __init__(self, recipe: Recipe, roots: Roots) -> None:
        self._recipe = recipe
        self._roots = roots
        self.foreground = functools.lru_cache(maxsize=4)(self._read_foreground)
        self.background = functools.lru_cache(maxsize=1)(self._read_background)

    def _read_background(self, reference: str) -> np.ndarray:
        """Read a background as H×W×3 of the recipe's bits."""
        return self._read(resolve(reference, self._roots)).color

    def _read_foreground(self, item: Foreground) -> Layer:
        """Read a foreground; scenes get it cut down to its bounding box."""
        path = resolve(item.color, self._roots)
        picture = self._read(path)
        color, alpha = picture.color, picture.alpha
        if item.alpha is not None:
            alpha = self._to_bits(read_mask(resolve(item.alpha, self._roots)).alpha)
        elif alpha is None:
            raise MatteError(f"{path} has no alpha channel: name the folder of mattes as well")
        if color.shape[:2] != alpha.shape:
            raise MatteError(
                f"{path} has {color.shape[1]}×{color.shape[0]} pixels, "
                f"its matte {alpha.shape[1]}×{alpha.shape[0]}"
            )
        if not alpha.any():
            raise MatteError(f"{path} is transparent everywhere")
        if item.photo:
            estimate = estimate_foreground(to_unit(color), to_unit(alpha))
            color = to_bits(estimate, self._recipe.bits)
        if self._recipe.placement == "scene":
            x, y, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
            inside = slice(y, y + height), slice(x, x + width)
            color, alpha = color[inside], alpha[inside]
        if self._recipe.placement == "scene" or item.alpha is None:
            color = extend_foreground(color, alpha)
        return Layer(np.ascontiguousarray(color), np.ascontiguousarray(alpha))

    def _read(self, path: Path) -> Picture:
        picture = read_picture(path)
        if self._recipe.color_profiles == "srgb":
            picture = to_srgb(picture)
        alpha = None if picture.alpha is None else self._to_bits(picture.alpha)
        return Picture(self._to_bits(picture.color), alpha)

    def _to_bits(self, array: np.ndarray) -> np.ndarray:
        bits = self._recipe.bits
        return array if bits == _bits(array) else to_bits(to_unit(array), bits)


def _bits(array: np.ndarray) -> int:
    return 8 * array.dtype.itemsize


def resample(array: np.ndarray, size: tuple[int, int], resampling: str) -> np.ndarray:
    """Resize to (width, height) with a Pillow filter, which also averages where it shrinks.

    Parameters
    ----------
    array : uint8 or uint16, H×W or H×W×3
    resampling : {"bilinear", "bicubic", "lanczos"}
    """
    if size == (array.shape[1], array.shape[0]):
        return array
    how = Image.Resampling[resampling.upper()]
    if array.dtype == np.uint8:
        return np.asarray(Image.fromarray(array).resize(size, how))
    planes = [array] if array.ndim == 2 else [array[..., channel] for channel in range(3)]
    resized = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size, how)) for plane in planes
    ]
    stacked = resized[0] if array.ndim == 2 else np.stack(resized, axis=-1)
    top = np.iinfo(array.dtype).max
    return np.rint(np.clip(stacked, 0, top)).astype(array.dtype)


def place(layer: Layer, how: dict, frame: tuple[int, int], resampling: str) -> Layer:
    """Bring a subject into the frame.

    Parameters
    ----------
    how : dict
        ``box`` (x, y, width, height) of the subject in the frame, which it may stick out of,
        ``flip`` (left for right) and ``tilt`` (degrees counter-clockwise about its middle).
    frame : (width, height)
    """
    x, y, width, height = how["box"]
    color = resample(layer.color, (width, height), resampling)
    alpha = resample(layer.alpha, (width, height), resampling)
    if how["flip"]:
        color, alpha = color[:, ::-1].copy(), alpha[:, ::-1].copy()
    move = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), how["tilt"], 1.0)
    move[:, 2] += (x, y)
    # The color goes on beyond the subject, the alpha does not.
    return Layer(
        cv2.warpAffine(color, move, frame, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        cv2.warpAffine(alpha, move, frame, flags=cv2.INTER_LINEAR),
    )


def adjust(color: np.ndarray, how: dict) -> np.ndarray:
    """Change a layer's colors as a camera would: lens, light, sensor, file.

    Parameters
    ----------
    color : uint8 or uint16 H×W×3
    how : dict
        Any of ``blur`` (standard deviation in pixels), ``gamma``, ``gain`` (one factor a channel),
        ``saturation``, ``noise`` (standard deviation of the full range, with ``noise_seed``) and
        ``jpeg`` (quality).
    """
    # OpenCV takes a deviation of 0, to which small ones are rounded, for one that is not known.
    if how.get("blur"):
        color = cv2.GaussianBlur(color, (0, 0), how["blur"])
    if how.keys() & {"gamma", "gain", "saturation", "noise"}:
        values = _tone(color, how.get("gamma", 1.0), how.get("gain", (1.0, 1.0, 1.0)))
        if "saturation" in how:
            grey = np.full((3, 3), (1 - how["saturation"]) / 3)
            values = cv2.transform(values, grey + how["saturation"] * np.eye(3))
        if "noise" in how:
            rng = np.random.default_rng(how["noise_seed"])
            values += rng.standard_normal(values.shape, np.float32) * np.float32(how["noise"])
        color = to_bits(values, _bits(color))
    if "jpeg" in how:
        color = read_picture(encode(color, ".jpg", quality=how["jpeg"])).color
    return color


def _tone(color: np.ndarray, gamma: float, gain: Sequence[float]) -> np.ndarray:
    """Give ``gain · color^gamma`` in float32, looked up in a table of all values."""
    top = np.iinfo(color.dtype).max
    curve = (np.arange(top + 1, dtype=np.float32) / top) ** np.float32(gamma)
    planes = [(curve * np.float32(gain[channel]))[color[..., channel]] for channel in range(3)]
    return cv2.merge(planes)


def enlarged_size(
    size: tuple[int, int], frame: tuple[int, int], fit: str, rounding: str
) -> tuple[int, int]:
    """Give the (width, height) to which a background of `size` is brought to fill `frame`."""
    ratio = max(frame[0] / size[0], frame[1] / size[1])
    if fit == "enlarge" and ratio <= 1:
        return size
    whole = math.ceil if rounding == "ceil" else round
    # Rounding must not leave the frame's edge open.
    width, height = (max(whole(side * ratio), room) for side, room in zip(size, frame, strict=True))
    return width, height
