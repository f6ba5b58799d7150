"""Adding a profile, EXIF and a resolution to a TIFF that OpenCV has written, which knows none."""

from __future__ import annotations

import contextlib
import struct

from PIL import Image, TiffImagePlugin

_X, _Y, _UNIT, _INCH, _PROFILE = 282, 283, 296, 2, 34675
_SUBDIRECTORIES = (0x8769, 0x8825)
_ENTRY = 12


def with_tags(
    tiff: bytes, icc: bytes | None, exif: bytes | None, dpi: tuple[float, float] | None
) -> bytes:
    """Give a little-endian TIFF of one picture these tags besides its own."""
    added = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    if exif:
        _add_exif(added, exif)
    if icc:
        added.tagtype[_PROFILE], added[_PROFILE] = 7, icc
    if dpi:
        added[_X], added[_Y], added[_UNIT] = *dpi, _INCH
    if not len(added):
        return tiff
    (start,) = struct.unpack_from("<I", tiff, 4)
    own = _entries(tiff[start:])
    tiff += bytes(len(tiff) % 2)
    # The added values lie behind the picture, and behind them a directory that names all.
    block = added.tobytes(len(tiff))
    block += bytes(len(block) % 2)
    entries = sorted((own | _entries(block)).items())
    directory = struct.pack("<H", len(entries)) + b"".join(entry for _, entry in entries) + bytes(4)
    header = tiff[:4] + struct.pack("<I", len(tiff) + len(block))
    return b"".join([header, tiff[8:], block, directory])


def _add_exif(tags: TiffImagePlugin.ImageFileDirectory_v2, exif: bytes) -> None:
    found = Image.Exif()
    with contextlib.suppress(Exception):  # a damaged block is not worth keeping
        found.load(exif)
        for tag in found:
            tags[tag] = found.get_ifd(tag) if tag in _SUBDIRECTORIES else found[tag]


def _entries(directory: bytes) -> dict[int, bytes]:
    """Give the entries of a directory as they are, by tag."""
    (count,) = struct.unpack_from("<H", directory)
    entries = (directory[2 + _ENTRY * i : 2 + _ENTRY * (i + 1)] for i in range(count))
    return {struct.unpack_from("<H", entry)[0]: entry for entry in entries}
