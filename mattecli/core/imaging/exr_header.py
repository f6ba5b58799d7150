"""Headers of OpenEXR files, read before the library is, as bad ones make it end the process."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import BinaryIO

from mattecli.core.errors import MatteError

# More is no header; previews are the largest part of some.
_LONGEST = 1 << 22
_LONGEST_NAME = 255
_VERSION, _TILED, _DEEP, _SEVERAL_PARTS = 2, 0x200, 0x800, 0x1000
# What every header has: the attribute's type, and its size where that is fixed.
_NEEDED = {
    "channels": ("chlist", None),
    "compression": ("compression", 1),
    "dataWindow": ("box2i", 16),
    "displayWindow": ("box2i", 16),
    "lineOrder": ("lineOrder", 1),
    "pixelAspectRatio": ("float", 4),
    "screenWindowCenter": ("v2f", 8),
    "screenWindowWidth": ("float", 4),
}
_TILES = {"tiles": ("tiledesc", 9)}
# By the number of the compression: the lines of a block, and how many bytes of pixels a byte may
# stand for. Runs have 128 bytes in two, deflated ones 258 in two bits (PXR24 of floats counts three
# of their four bytes), B44A has 32 in three; others bound nothing.
_BLOCKS: dict[int, tuple[int, float]] = {
    0: (1, 1),
    1: (1, 64),
    2: (1, 1032),
    3: (16, 1032),
    4: (32, math.inf),
    5: (16, 1376),
    6: (32, 32 / 3),
    7: (32, 32 / 3),
    8: (32, math.inf),
    9: (256, math.inf),
}
# Of the table of blocks, and of a block's own header.
_BYTES_OF_A_BLOCK = 8 + 8
_BYTES_OF_A_VALUE = {0: 4, 1: 2, 2: 4}


@dataclass(frozen=True)
class Window:
    """A part of the plane: its first pixel and its size."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class ExrHeader:
    """What the header of the first part says.

    Attributes
    ----------
    channels : dict of tuple of int
        By name, of how many pixels horizontally and vertically there is one value.
    held, frame : Window
        What the file holds, and what is to be shown.
    primaries : tuple of float, or None
        x and y of red, green, blue and white.
    least_bytes : int
        Fewest that a file of such a picture has.
    software : str
        The program that made it, if it says so.
    """

    channels: dict[str, tuple[int, int]]
    held: Window
    frame: Window
    primaries: tuple[float, ...] | None
    least_bytes: int = 0
    software: str = ""


def read_header(file: BinaryIO) -> ExrHeader:
    """Read the header of a file's first part.

    Raises
    ------
    MatteError
        If it is damaged, or that of a kind with other pixels.
    """
    file.seek(0)
    data = file.read(_LONGEST)
    try:
        (version,) = struct.unpack_from("<I", data, 4)
        if version & 0xFF != _VERSION or version & _DEEP:
            raise MatteError("an OpenEXR file of another version, or a deep one: flatten it first")
        attributes = _attributes(data)
        needed = _NEEDED | (_TILES if version & _TILED and not version & _SEVERAL_PARTS else {})
        for name, (kind, size) in needed.items():
            found, value = attributes[name]
            if found != kind or (size is not None and len(value) != size):
                raise ValueError(name)
        channels = _channels(attributes["channels"][1])
        held = _window(attributes["dataWindow"][1])
        compression = attributes["compression"][1][0]
        return ExrHeader(
            {name: (across, down) for name, (_, across, down) in channels.items()},
            held,
            _window(attributes["displayWindow"][1]),
            _primaries(*attributes.get("chromaticities", ("", b""))),
            _least_bytes(channels, held, compression, tiled=bool(version & _TILED)),
            attributes.get("software", ("", b""))[1].decode("utf-8", "replace"),
        )
    except (struct.error, ValueError, KeyError, IndexError):
        raise MatteError("the picture is damaged or cut off") from None


def _attributes(data: bytes) -> dict[str, tuple[str, bytes]]:
    found: dict[str, tuple[str, bytes]] = {}
    place = 8
    while data[place]:
        name, place = _text(data, place)
        kind, place = _text(data, place)
        (size,) = struct.unpack_from("<i", data, place)
        place += 4
        if size < 0 or place + size >= len(data) or name in found:
            raise ValueError(name)
        found[name] = kind, data[place : place + size]
        place += size
    return found


def _text(data: bytes, place: int) -> tuple[str, int]:
    end = data.index(0, place, place + _LONGEST_NAME + 1)
    return data[place:end].decode("latin-1"), end + 1


def _channels(data: bytes) -> dict[str, tuple[int, int, int]]:
    """Give each channel's kind of numbers, and of how many pixels across and down it has one."""
    found: dict[str, tuple[int, int, int]] = {}
    place = 0
    while data[place]:
        name, place = _text(data, place)
        kind, _, across, down = struct.unpack_from("<iIii", data, place)
        if kind not in (0, 1, 2) or across < 1 or down < 1 or name in found:
            raise ValueError(name)
        found[name] = kind, across, down
        place += 16
    return found


def _least_bytes(
    channels: dict[str, tuple[int, int, int]], held: Window, compression: int, *, tiled: bool
) -> int:
    lines, most = _BLOCKS.get(compression, (held.height, math.inf))
    pixels = sum(
        _BYTES_OF_A_VALUE[kind] * (held.width // across) * (held.height // down)
        for kind, across, down in channels.values()
    )
    # Tiles may be as large as the picture.
    blocks = 1 if tiled else -(-held.height // lines)
    return _BYTES_OF_A_BLOCK * blocks + int(pixels / most)


def _window(data: bytes) -> Window:
    left, top, right, bottom = struct.unpack("<4i", data)
    if right < left or bottom < top:
        raise ValueError("an empty window")
    return Window(left, top, right - left + 1, bottom - top + 1)


def _primaries(kind: str, data: bytes) -> tuple[float, ...] | None:
    return struct.unpack("<8f", data) if kind == "chromaticities" else None
