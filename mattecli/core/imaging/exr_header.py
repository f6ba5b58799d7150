"""Headers of OpenEXR files, read before the library is, as bad ones make it end the process."""

from __future__ import annotations

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
    """

    channels: dict[str, tuple[int, int]]
    held: Window
    frame: Window
    primaries: tuple[float, ...] | None


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
        return ExrHeader(
            _channels(attributes["channels"][1]),
            _window(attributes["dataWindow"][1]),
            _window(attributes["displayWindow"][1]),
            _primaries(*attributes.get("chromaticities", ("", b""))),
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


def _channels(data: bytes) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    place = 0
    while data[place]:
        name, place = _text(data, place)
        kind, _, across, down = struct.unpack_from("<iIii", data, place)
        if kind not in (0, 1, 2) or across < 1 or down < 1 or name in found:
            raise ValueError(name)
        found[name] = across, down
        place += 16
    return found


def _window(data: bytes) -> Window:
    left, top, right, bottom = struct.unpack("<4i", data)
    if right < left or bottom < top:
        raise ValueError("an empty window")
    return Window(left, top, right - left + 1, bottom - top + 1)


def _primaries(kind: str, data: bytes) -> tuple[float, ...] | None:
    return struct.unpack("<8f", data) if kind == "chromaticities" else None
