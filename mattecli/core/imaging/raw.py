"""Raw files of cameras, developed by LibRaw."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.extras import needs_extra
from mattecli.core.imaging.kinds import RAW_SUFFIXES, is_raw_start
from mattecli.core.imaging.opening import check_pixels, name_of
from mattecli.core.imaging.pixels import Picture

# How LibRaw turns a picture whose sides are exchanged.
_SIDEWAYS = (5, 6)


def is_raw(source: Path | bytes, start: bytes) -> bool:
    """Tell a raw file by its start, or where that is a TIFF's as that of many, by its suffix.

    Parameters
    ----------
    start : bytes
        Of the file, at least `START` of them where it is that long.
    """
    if is_raw_start(start):
        return True
    return isinstance(source, Path) and source.suffix.lower() in RAW_SUFFIXES


def read_raw(data: bytes, source: Path | bytes, max_pixels: int) -> Picture:
    """Develop a raw file: white balance as the camera set it, sRGB in 16 bits, upright.

    Raises
    ------
    MatteError
        If it is damaged, no raw file that LibRaw knows, or too large, or rawpy is not installed.
    """
    with _opened(data, source) as raw:
        check_pixels(source, _size_of(raw), max_pixels)
        color = raw.postprocess(use_camera_wb=True, output_bps=16)
    return Picture(np.ascontiguousarray(color))


def raw_size(data: bytes, source: Path | bytes) -> tuple[int, int]:
    """Read (width, height) after orientation, without developing."""
    with _opened(data, source) as raw:
        return _size_of(raw)


def _size_of(raw: Any) -> tuple[int, int]:
    sizes = raw.sizes
    if sizes.flip in _SIDEWAYS:
        return sizes.height, sizes.width
    return sizes.width, sizes.height


@contextmanager
def _opened(data: bytes, source: Path | bytes) -> Iterator[Any]:
    with needs_extra(f"{name_of(source)} is a camera's raw file and", "raw"):
        import rawpy
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            yield raw
    except rawpy.LibRawError as error:
        reason = error.args[0] if error.args else error
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise MatteError(f"cannot develop {name_of(source)}: {reason}") from None
