"""The one image writer: arrays to files, whole or not at all."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.imaging.metadata import (
    MAKER,
    bmp_with_maker,
    with_maker,
    with_opaque_alpha,
)
from mattecli.core.imaging.tiff_tags import with_tags
from mattecli.core.storage import write_whole

SUFFIXES = (".png", ".webp", ".tiff", ".tif", ".jpg", ".jpeg", ".bmp", ".avif", ".exr")
#: Files with layers, which are made elsewhere.
LAYERED = (".ora", ".psd")
WITH_ALPHA = (".png", ".webp", ".tiff", ".tif", ".avif", ".exr", *LAYERED)
#: Those that can hold a color profile.
WITH_PROFILE = (".png", ".webp", ".tiff", ".tif", ".jpg", ".jpeg", ".avif")
SIXTEEN_BIT = (".png", ".tiff", ".tif", ".exr")


def encode(
    array: np.ndarray,
    suffix: str,
    *,
    compression: int | None = 3,
    quality: int | None = None,
    icc: bytes | None = None,
    exif: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    is_result: bool = False,
) -> bytes:
    """Encode an image in the format that `suffix` names.

    Parameters
    ----------
    array : ndarray of shape (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16
        Grey, RGB or RGBA (not premultiplied).
    suffix : str
        One of `SUFFIXES`, with its dot.
    compression : int or None
        PNG level from 0 (fast, large) to 9 (slow, small); up to 3 no repetitions are looked for,
        as photos hold none. None is quicker than level 1 and gives somewhat larger files, for
        pictures by the thousand.
    quality : int, optional
        1 to 100 for JPEG (95 if not given), AVIF (90) and WebP (lossless if not given).
    icc, exif : bytes, optional
        Metadata to embed, and a profile where there is color, in files of `WITH_PROFILE`.
    dpi : tuple of float, optional
        Dots per inch, horizontal and vertical, which WebP cannot hold.
    is_result : bool
        Whether the file notes that this program made it, where it has no transparency that would
        tell it from a photo; see `reading.is_result`.

    Raises
    ------
    MatteError
        If the format is unknown or cannot hold such an array.
    """
    suffix = suffix.lower()
    check_format(suffix, 8 * array.dtype.itemsize, transparent=array.shape[2:] == (4,))
    if array.ndim == 2:
        icc = None
    if suffix == ".exr":
        from mattecli.core.imaging.exr import encode_exr

        return encode_exr(array, MAKER if is_result else None)
    if is_result and array.shape[2:] != (4,):
        exif = with_maker(exif)
    quick_png = suffix == ".png" and (compression is None or 1 <= compression <= 3)
    if quick_png or (array.dtype == np.uint16 and array.ndim == 3):
        return _encode_with_opencv(array, suffix, compression, icc, exif, dpi)

    if array.shape[2:] == (4,) and array[..., 3].min() == 255:
        exif = with_opaque_alpha(exif, suffix)
    data = _encode_with_pillow(array, suffix, compression, quality, icc, exif, dpi)
    return bmp_with_maker(data) if is_result else data


def check_format(suffix: str, bits: int, *, transparent: bool, layered: bool = False) -> None:
    """Raise `MatteError` if files of this suffix cannot hold so many bits or transparency.

    Parameters
    ----------
    layered : bool
        Whether files with layers can be made, too.
    """
    known = SUFFIXES + LAYERED if layered else SUFFIXES
    if suffix not in known:
        raise MatteError(f"cannot write '{suffix}' files: use one of {', '.join(known)}")
    if transparent and suffix not in WITH_ALPHA:
        raise MatteError(
            f"'{suffix}' files cannot hold transparency: use one of {', '.join(WITH_ALPHA)}"
        )
    if bits == 16 and suffix not in SIXTEEN_BIT:
        raise MatteError(
            f"'{suffix}' files cannot hold 16 bits: use one of {', '.join(SIXTEEN_BIT)}"
        )


def write_image(path: Path, array: np.ndarray, **options) -> None:
    """Encode `array` as the suffix of `path` says and write it whole or not at all.

    `options` are those of `encode`; missing folders are made.
    """
    path = Path(path)
    write_whole(path, encode(array, path.suffix, **options))


def write_result(path: Path, data: bytes) -> None:
    """Write the file whole, or to standard output if `path` is ``-``."""
    if str(path) == "-":
        write_standard_output(data)
    else:
        write_whole(path, data)


def write_standard_output(data: bytes) -> None:
    """Write to standard output.

    Raises
    ------
    OutputUnusable
        If it is closed, or cannot be written to.
    """
    if sys.stdout is None or sys.stdout.closed:
        raise OutputUnusable("standard output is closed: name a file for the result")
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise OutputUnusable(f"cannot write to standard output: {error.strerror}") from None


def _pillow_options(suffix: str, compression: int | None, quality: int | None) -> dict:
    """Give what Pillow has to be told about a kind of file."""
    if suffix == ".png":
        return {"compress_level": compression}
    if suffix == ".webp":
        lossless = quality is None
        # `exact` keeps the color under transparent pixels, which a cutout needs at its rim.
        options = {"lossless": lossless, "exact": True, "quality": 50 if lossless else quality}
        return options | {"method": 2 if lossless else 4}
    if suffix in (".tiff", ".tif"):
        return {"compression": "tiff_deflate"}
    if suffix in (".jpg", ".jpeg"):
        return {"quality": quality or 95, "subsampling": 0}
    if suffix == ".avif":
        return {"quality": quality or 90, "subsampling": "4:4:4"}
    return {}


def _encode_with_pillow(
    array: np.ndarray,
    suffix: str,
    compression: int | None,
    quality: int | None,
    icc: bytes | None,
    exif: bytes | None,
    dpi: tuple[float, float] | None,
) -> bytes:
    described = (("icc_profile", icc), ("exif", exif), ("dpi", dpi))
    options = _pillow_options(suffix, compression, quality)
    options |= {key: value for key, value in described if value}
    buffer = io.BytesIO()
    try:
        Image.fromarray(np.ascontiguousarray(array)).save(
            buffer, Image.registered_extensions()[suffix], **options
        )
    except (ValueError, OSError) as error:
        height, width = array.shape[:2]
        raise MatteError(f"cannot encode {width}x{height} as '{suffix}': {error}") from None
    return buffer.getvalue()


def _encode_with_opencv(
    array: np.ndarray,
    suffix: str,
    compression: int | None,
    icc: bytes | None,
    exif: bytes | None,
    dpi: tuple[float, float] | None,
) -> bytes:
    import cv2

    if array.ndim == 3:
        swap = cv2.COLOR_RGBA2BGRA if array.shape[2] == 4 else cv2.COLOR_RGB2BGR
        array = cv2.cvtColor(array, swap)
    options = []
    if suffix == ".png" and compression is not None:
        options = [cv2.IMWRITE_PNG_COMPRESSION, compression]
        if 1 <= compression <= 3:
            # One filter for all rows and runs only: files are as large as if every filter had been
            # tried on every row and repetitions looked for, in half the time.
            options += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH]
            options += [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    _, encoded = cv2.imencode(suffix, array, options)
    data = encoded.tobytes()
    if suffix != ".png":
        return with_tags(data, icc, exif, dpi)
    chunks = []
    if icc:
        chunks.append((b"iCCP", b"icc\0\0" + zlib.compress(icc)))
    if exif:
        chunks.append((b"eXIf", exif.removeprefix(b"Exif\0\0")))
    if dpi:
        per_meter = [round(value / 0.0254) for value in dpi]
        chunks.append((b"pHYs", struct.pack(">IIB", *per_meter, 1)))
    return _insert_png_chunks(data, chunks)


def _insert_png_chunks(png: bytes, chunks: list[tuple[bytes, bytes]]) -> bytes:
    """Put chunks behind the header of a PNG, where profile and EXIF belong."""
    header_end = 8 + 12 + 13
    inserted = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return png[:header_end] + inserted + png[header_end:]
