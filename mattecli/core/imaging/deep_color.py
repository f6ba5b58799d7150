"""Colour of more than 8 bits, which Pillow would cut down to 8 or cannot open."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

from mattecli.core.errors import MatteError
from mattecli.core.imaging.metadata import orientation, upright
from mattecli.core.imaging.pixels import to_16_bit


def is_deep_color(image: Image.Image, data: bytes) -> bool:
    """Tell whether this is a colour file of more than 8 bits, which Pillow would cut down to 8."""
    if image.format == "PNG":
        bits, color_type = data[24], data[25]
        return bits == 16 and color_type in (2, 4, 6)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(258, (1,))
        # OpenCV mixes up planes that are stored one after the other (tag 284).
        interleaved = image.tag_v2.get(284, 1) == 1
        return image.mode in ("RGB", "RGBA", "RGBX") and max(bits) > 8 and interleaved
    return False


def decode_deep_color(
    image: Image.Image, data: bytes
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Decode what `is_deep_color`, upright; None if OpenCV cannot.

    Returns
    -------
    color : uint16 ndarray of shape (H, W, 3)
    alpha : uint16 ndarray of shape (H, W), or None
    """
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.ndim != 3 or array.shape[2] not in (3, 4):
        return None
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else None
    # OpenCV turns TIFF files upright, but leaves PNG files as they are.
    array = upright(array, orientation(image) if tags is None else 1)
    color, alpha = _color_and_alpha(array)
    if alpha is not None and tags is not None and tags.get(338, (0,))[0] == 1:
        color = _straight(color, alpha)
    return color, alpha


def float_color_size(data: bytes) -> tuple[int, int] | None:
    """Give (width, height) of a TIFF of several float channels, which Pillow cannot open.

    Whatever else it is gives None.
    """
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return None
    file = io.BytesIO(data)
    tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
    file.seek(tags.next)
    tags.load(file)
    if len(tags.get(258, ())) < 3 or tags.get(339, (1,))[0] != 3:
        return None
    return tags[256], tags[257]


def decode_float_color(data: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode what has a `float_color_size`.

    Returns
    -------
    color : uint16 ndarray of shape (H, W, 3)
    alpha : uint16 ndarray of shape (H, W), or None

    Raises
    ------
    MatteError
        If OpenCV cannot.
    """
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.ndim != 3 or array.shape[2] not in (3, 4):
        raise MatteError("a TIFF with such float channels cannot be read")
    return _color_and_alpha(array)


def _color_and_alpha(array: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """OpenCV's BGR or BGRA of any type to uint16 RGB and alpha."""
    array = to_16_bit(array)
    alpha = np.ascontiguousarray(array[..., 3]) if array.shape[2] == 4 else None
    return np.ascontiguousarray(array[..., 2::-1]), alpha


def _straight(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Divide premultiplied 16-bit colour by its alpha."""
    factor = 65535 / np.maximum(alpha, 1).astype(np.float32)
    return np.clip(np.rint(color * factor[..., None]), 0, 65535).astype(np.uint16)
