"""WebP files larger than Pillow's limit for the whole process, held to the limit of the call."""

from __future__ import annotations

import io
import struct

# Where the kind of the first chunk ends, before any size.
_KIND_ENDS = 16
_SIGNATURE, _LOSSLESS = b"\x9d\x01\x2a", 0x2F


def canvas_size(start: bytes) -> tuple[int, int] | None:
    """Read (width, height) in the first 30 bytes of a WebP; None where they are not there.

    The decoder takes memory for all of it as soon as it is made.
    """
    kind = start[12:16]
    if len(start) < 30:
        return None
    if kind == b"VP8X":
        width, height = (int.from_bytes(start[at : at + 3], "little") + 1 for at in (24, 27))
        return width, height
    if kind == b"VP8L" and start[20] == _LOSSLESS:
        (bits,) = struct.unpack_from("<I", start, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and start[23:26] == _SIGNATURE:
        width, height = struct.unpack_from("<HH", start, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


class ShortStart(io.BytesIO):
    """A WebP in memory, of which the first reading gives the kind and no size.

    Pillow holds the size in the first bytes that it reads to its own limit, which is one for the
    whole process and not ours to change. It reads the rest in one piece.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as files do, but less than asked for at the start."""
        return super().read(_KIND_ENDS if self.tell() == 0 and (size or -1) > 0 else size)
