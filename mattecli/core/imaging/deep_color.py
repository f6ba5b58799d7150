"""Color of more than 8 bits, which Pillow would cut down to 8 or cannot open."""

from __future__ import annotations

import zlib

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

from mattecli.core.errors import MatteError
from mattecli.core.imaging import planes
from mattecli.core.imaging.metadata import orientation, print_to_srgb, upright
from mattecli.core.imaging.pixels import to_16_bit


def is_deep_color(image: Image.Image, start: bytes) -> bool:
    """Tell whether this is a color file of more than 8 bits, which Pillow would cut down to 8.

    `start` are its first bytes.
    """
    if image.format == "PNG":
        bits, color_type = start[24], start[25]
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
    if image.format == "PNG":
        data = sound_png(data)
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


def has_float_color(tags: planes.Tags) -> bool:
    """Tell whether a TIFF has several float channels, which Pillow cannot open."""
    return len(tags.get(258, ())) >= 3 and tags.get(339, (1,))[0] == 3


def decode_float_color(data: bytes, tags: planes.Tags) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode what `has_float_color`, channel beside channel.

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
    color, alpha = _color_and_alpha(array)
    if alpha is not None and planes.alpha_kind(tags) == planes.PREMULTIPLIED:
        color = _straight(color, alpha)
    return color, alpha


def holds_alpha(tags: planes.Tags) -> bool:
    """Tell whether `decode_planes` or `decode_float_color` will give alpha."""
    if planes.has_deep_planes(tags):
        return planes.photometric(tags) != planes.CMYK and planes.alpha_kind(tags) != 0
    return len(tags.get(258, ())) == 4


def decode_planes(data: bytes, tags: planes.Tags) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode a TIFF that `planes.has_deep_planes`; its orientation is applied.

    Returns
    -------
    color : uint8 or uint16 ndarray of shape (H, W, 3)
        8 bits if it was CMYK.
    alpha : uint16 ndarray of shape (H, W), or None

    Raises
    ------
    MatteError
        If channels or colors are of a kind that cannot be read.
    """
    meaning = planes.photometric(tags)
    count = {planes.RGB: 3, planes.CMYK: 4, 0: 1, 1: 1}.get(meaning)
    found = planes.read_planes(data, tags)
    if count is None or len(found) < count:
        raise MatteError(f"a TIFF with {len(found)} separate channels of kind {meaning}")
    channels = to_16_bit(np.stack(found, axis=-1))
    turned = int(tags.get(274, 1))
    channels = upright(channels, turned if 1 <= turned <= 8 else 1)
    color = np.ascontiguousarray(channels[..., :count])
    if meaning == planes.CMYK:
        ink = Image.fromarray((color >> 8).astype(np.uint8), "CMYK")
        return np.array(print_to_srgb(ink, tags.get(34675))), None
    color = np.repeat(color, 3, axis=2) if count == 1 else color
    color = 65535 - color if meaning == 0 else color
    kind = planes.alpha_kind(tags) if channels.shape[2] > count else 0
    if not kind:
        return color, None
    alpha = np.ascontiguousarray(channels[..., count])
    return (_straight(color, alpha) if kind == planes.PREMULTIPLIED else color), alpha


def sound_png(png: bytes) -> bytes:
    """Give a PNG without what is not needed for its pixels, once those are seen to be whole.

    libpng would print on standard error what it thinks of the rest.

    Raises
    ------
    MatteError
        If the pixels are damaged or cut off.
    """
    kept, pixels = [png[:8]], zlib.decompressobj()
    view, place = memoryview(png), 8
    while not pixels.eof:
        length = int.from_bytes(view[place : place + 4], "big")
        kind = bytes(view[place + 4 : place + 8])
        end = place + 12 + length
        if end > len(png) or kind == b"IEND":
            raise MatteError("the picture is cut off")
        if kind in _PNG_CHUNKS:
            stored = int.from_bytes(view[end - 4 : end], "big")
            if zlib.crc32(view[place + 4 : end - 4]) != stored:
                raise MatteError(f"a checksum is wrong ({kind.decode()})")
            kept.append(png[place:end])
        if kind == b"IDAT":
            _inflate(pixels, view[place + 8 : end - 4])
        place = end
    return b"".join([*kept, _PNG_END])


_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_PIECE = 1 << 20


def _inflate(pixels, data: memoryview) -> None:
    """Decompress piece by piece, only to see that it can be done."""
    rest: bytes | memoryview = data
    while len(rest) and not pixels.eof:
        pixels.decompress(rest, _PIECE)
        rest = pixels.unconsumed_tail


def _color_and_alpha(array: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """OpenCV's BGR or BGRA of any type to uint16 RGB and alpha."""
    array = to_16_bit(array)
    alpha = np.ascontiguousarray(array[..., 3]) if array.shape[2] == 4 else None
    return np.ascontiguousarray(array[..., 2::-1]), alpha


def _straight(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Divide premultiplied 16-bit color by its alpha."""
    factor = 65535 / np.maximum(alpha, 1).astype(np.float32)
    return np.clip(np.rint(color * factor[..., None]), 0, 65535).astype(np.uint16)
