"""TIFF files of more than 8 bits whose channels are stored one after the other.

Pillow reads such planes as if they had 8 bits, and OpenCV mixes them up; but each plane alone is a
grey picture that Pillow reads well, once the file has a directory that says so.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from PIL import TiffImagePlugin

from mattecli.core.errors import MatteError

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_ORIENTATION = 274
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_COUNTS = 273, 277, 278, 279
_PLANAR, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT = 284, 317, 322, 323
_TILE_OFFSETS, _TILE_COUNTS, _EXTRA, _FORMAT = 324, 325, 338, 339
_KEPT = (_WIDTH, _HEIGHT, _COMPRESSION, _ROWS_PER_STRIP, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT)
_SEPARATE, _GREY, RGB, CMYK = 2, 1, 2, 5
_STRAIGHT, PREMULTIPLIED = 2, 1
# Bits of a page's kind: a smaller copy of another page, and a mask of one.
_KIND, NO_PAGE = 254, 1 | 4

Tags = TiffImagePlugin.ImageFileDirectory_v2


def read_tags(file: Any) -> Tags | None:
    """Read the first directory of a TIFF; None of any other file."""
    file.seek(0)
    header = file.read(8)
    if header[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return None
    if b"+" in header[:4]:
        header += file.read(8)
    tags = Tags(header)
    file.seek(tags.next)
    tags.load(file)
    return tags


def size_of(tags: Tags) -> tuple[int, int]:
    """Give (width, height) after orientation."""
    width, height = int(tags[_WIDTH]), int(tags[_HEIGHT])
    return (height, width) if 5 <= int(tags.get(_ORIENTATION, 1)) <= 8 else (width, height)


def count_pages(file: Any, tags: Tags) -> int:
    """Count the pages from the one of `tags` on, as far as their directories are whole."""
    count, seen = 1, set()
    while tags.next and tags.next not in seen:
        seen.add(tags.next)
        file.seek(tags.next)
        try:
            tags.load(file)
        except Exception:  # whatever comes behind does no harm to the first page
            break
        count += not int(tags.get(_KIND, 0)) & NO_PAGE
    return count


def channel_count(file: Any) -> int:
    """Give the samples of a pixel of a TIFF file; 1 if it does not say."""
    tags = read_tags(file)
    return int(tags.get(_SAMPLES, 1)) if tags is not None else 1


def photometric(tags: Tags) -> int:
    """Give what the numbers mean: `RGB`, `CMYK` or another of TIFF's kinds."""
    return int(tags.get(_PHOTOMETRIC, _GREY))


def has_deep_planes(tags: Tags) -> bool:
    """Tell whether channels of more than 8 bits are stored one after the other."""
    return (
        tags.get(_PLANAR, 1) == _SEPARATE
        and tags.get(_SAMPLES, 1) > 1
        and max(tags.get(_BITS, (1,))) > 8
    )


def alpha_kind(tags: Tags) -> int:
    """Say whether the channel after the colors is alpha: 0 if not, 1 premultiplied, 2 straight."""
    kind = int((tags.get(_EXTRA) or (0,))[0])
    return kind if kind in (PREMULTIPLIED, _STRAIGHT) else 0


def read_planes(data: bytes, tags: Tags) -> list[np.ndarray]:
    """Decode every channel.

    Returns
    -------
    list of ndarray of shape (H, W)
        Of the type that the file holds: uint16, int32 or float32.

    Raises
    ------
    MatteError
        If the channels differ in type or are of a type that cannot be read.
    """
    bits, kinds = set(tags[_BITS]), set(tags.get(_FORMAT, (1,)))
    if len(bits) > 1 or len(kinds) > 1:
        raise MatteError("a TIFF whose channels are of different types cannot be read")
    (bits_per_sample,), (kind,) = bits, kinds
    if (bits_per_sample, kind) not in ((16, 1), (32, 1), (32, 3)):
        raise MatteError(
            f"a TIFF with separate channels of {bits_per_sample} bits (sample format {kind}) "
            "cannot be read"
        )
    tiled = _TILE_OFFSETS in tags
    offsets, counts = (_TILE_OFFSETS, _TILE_COUNTS) if tiled else (_STRIP_OFFSETS, _STRIP_COUNTS)
    channels = int(tags[_SAMPLES])
    each = len(_all(tags, offsets)) // channels
    planes = []
    file = io.BytesIO(data)
    for channel in range(channels):
        own = slice(channel * each, (channel + 1) * each)
        grey = {tag: _all(tags, tag) for tag in _KEPT if tag in tags}
        grey |= {_BITS: (bits_per_sample,), _FORMAT: (kind,), _SAMPLES: (1,)}
        grey |= {_PHOTOMETRIC: (_GREY,), _PLANAR: (1,)}
        grey |= {tag: _all(tags, tag)[own] for tag in (offsets, counts)}
        _point_to(file, grey, len(data), "<" if tags.prefix == b"II" else ">")
        with TiffImagePlugin.TiffImageFile(file, "") as image:
            image.load()
            array = np.array(image)
        planes.append(array.view(np.uint32) if (bits_per_sample, kind) == (32, 1) else array)
    return planes


def _all(tags: Tags, tag: int) -> tuple[int, ...]:
    values = tags[tag]
    return tuple(values) if isinstance(values, tuple) else (values,)


def _point_to(file: io.BytesIO, tags: dict[int, tuple[int, ...]], end: int, order: str) -> None:
    """Write a directory behind the data, which end at `end`, and make it the file's first one."""
    end += end % 2
    entries, beyond = [], b""
    beyond_start = end + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            place = beyond_start + len(beyond)
            beyond, packed = beyond + packed, struct.pack(f"{order}I", place)
        entries.append(struct.pack(f"{order}HHI", tag, _LONG, len(values)) + packed)
    directory = struct.pack(f"{order}H", len(tags)) + b"".join(entries) + bytes(4) + beyond
    file.seek(0)
    file.write(b"II*\0" if order == "<" else b"MM\0*")
    file.write(struct.pack(f"{order}I", end))
    file.seek(end)
    file.write(directory)
    file.truncate()
    file.seek(0)


_LONG = 4
