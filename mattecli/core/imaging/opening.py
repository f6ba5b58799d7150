"""Opening picture files: only what is named in `kinds`, within limits, before a pixel is decoded.

Plugins of Pillow are called one by one and not through ``Image.open``, whose only limit is one for
the whole process and which would try all decoders there are.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from mattecli.core.errors import MatteError, address_of, not_found
from mattecli.core.extras import needs_extra
from mattecli.core.imaging import planes
from mattecli.core.imaging.kinds import KINDS, START, kind_of
from mattecli.core.imaging.pixels import MAX_PIXELS
from mattecli.core.imaging.webp import ShortStart, canvas_size
from mattecli.core.objects.paths import ObjectPath
from mattecli.core.objects.stores import read_object
from mattecli.core.plain_text import printable

# The widest pixels that are read: four channels of 32 bits, not compressed.
_BYTES_PER_PIXEL = 16
# Room for profiles, thumbnails and previews.
_BYTES_BESIDE = 64 * 1024 * 1024
# Pillow prints a line about a TIFF that has more.
_MOST_CHANNELS = 6

_PLUGINS = {
    "JPEG": ("PIL.JpegImagePlugin", "jpeg_factory"),  # gives MPO files too
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WebP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
    "JPEG XL": ("pillow_jxl.JpegXLImagePlugin", "JXLImageFile"),
    "PSD": ("PIL.PsdImagePlugin", "PsdImageFile"),
    "JPEG 2000": ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "TGA": ("PIL.TgaImagePlugin", "TgaImageFile"),
    "PPM": ("PIL.PpmImagePlugin", "PpmImageFile"),
}


# Kinds that Pillow cannot read by itself: what users call them, and what reads them.
_EXTRAS = {"HEIF": ("HEIC", "heic"), "JPEG XL": ("JPEG XL", "jxl")}
# Of a PSD: whether it holds what its layers look like together.
_VERSION_INFO = 1057
# Of an OpenRaster file: what its layers look like together.
_MERGED = "mergedimage.png"


class NamedBytes(bytes):
    """The bytes of a file that came by another way than standard input, and its name."""

    name: str

    def __new__(cls, data: bytes, name: str) -> NamedBytes:
        """Give `data` a name."""
        named = super().__new__(cls, data)
        named.name = name
        return named


def max_bytes(max_pixels: int) -> int:
    """Give the size of the largest file that a picture of so many pixels can need."""
    return _BYTES_PER_PIXEL * max_pixels + _BYTES_BESIDE


def name_of(source: Path | bytes) -> str:
    """Name a source in messages; bytes without a name have come through standard input."""
    if isinstance(source, NamedBytes):
        return source.name
    return "standard input" if isinstance(source, bytes) else str(source)


@contextlib.contextmanager
def opened(source: Path | bytes, max_pixels: int = MAX_PIXELS) -> Iterator[BinaryIO]:
    """Open a file for reading, from its start, unless it is larger than any such picture.

    Of an OpenRaster file this is the PNG in it of all layers together. Whatever a decoder throws at
    a damaged file in the block becomes one line that names the file.

    Raises
    ------
    MatteError
        If it is missing, empty, too large, or no regular file.
    """
    with _naming(source), _file(source, max_bytes(max_pixels)) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if not size:
            raise MatteError(f"{name_of(source)} is empty")
        if size > max_bytes(max_pixels):
            raise too_large(name_of(source), size, max_pixels)
        is_archive = kind_of(file.read(START)) == "OpenRaster"
        file.seek(0)
        yield _merged_picture(file, source, max_pixels) if is_archive else file


def open_image(file: BinaryIO, source: Path | bytes, max_pixels: int | None = None) -> Image.Image:
    """Open a picture with the one decoder that its content asks for, without decoding it.

    Parameters
    ----------
    max_pixels : int, optional
        What a decoder may take memory for at once; all are to be held to theirs by `check_pixels`.

    Raises
    ------
    MatteError
        If it is none of `KINDS`, or a decoder is missing.
    UnidentifiedImageError
        If it only starts like one.
    """
    file.seek(0)
    start = file.read(START)
    kind = kind_of(start)
    if kind is None:
        raise MatteError(
            f"{name_of(source)} is not a picture that can be read: it is none of {', '.join(KINDS)}"
        )
    if kind not in _PLUGINS:
        raise MatteError(f"{name_of(source)} is an {kind} file, which cannot be read here")
    if kind == "TIFF" and (channels := planes.channel_count(file)) > _MOST_CHANNELS:
        raise MatteError(f"{name_of(source)} is a TIFF of {channels} channels, which is unusual")
    if kind == "WebP" and max_pixels and (size := canvas_size(start)):
        check_pixels(source, size, max_pixels)
    file.seek(0)
    factory = _factory(kind, source)
    if kind == "WebP":
        file = ShortStart(file.read())
    try:
        image = factory(file, "")
    except SyntaxError as error:
        raise UnidentifiedImageError(str(error)) from None
    if kind == "PSD" and not _is_merged(image):
        raise MatteError(
            f"{name_of(source)} was saved without a merged picture: save it again with "
            "'Maximize compatibility', or as PNG"
        )
    return image


def _merged_picture(file: BinaryIO, source: Path | bytes, max_pixels: int) -> BinaryIO:
    """Take the PNG of all layers together out of an OpenRaster file."""
    try:
        with zipfile.ZipFile(file) as archive:
            size = archive.getinfo(_MERGED).file_size
            if size > max_bytes(max_pixels):
                raise too_large(name_of(source), size, max_pixels)
            return io.BytesIO(archive.read(_MERGED))
    except zipfile.BadZipFile:
        raise MatteError(f"{name_of(source)} is damaged or cut off") from None
    except KeyError:
        raise MatteError(
            f"{name_of(source)} was saved without a merged picture ({_MERGED}): save it as PNG"
        ) from None


def _is_merged(image: Any) -> bool:
    """Tell whether a PSD holds its layers as one picture; without it, that picture is white."""
    return not any(
        number == _VERSION_INFO and data[4:5] == b"\0" for number, _, data in image.resources
    )


def check_pixels(source: Path | bytes, size: tuple[int, int], max_pixels: int) -> None:
    """Raise `MatteError` if (width, height) is more than `max_pixels`."""
    if size[0] * size[1] > max_pixels:
        raise MatteError(
            f"{name_of(source)} has {size[0]}x{size[1]} pixels, more than the limit of "
            f"{max_pixels / 1e6:g} megapixels"
        )


def make_room(image: Image.Image) -> None:
    """Allocate what a TIFF is decoded into, once its size has been checked.

    Pillow would do it in `load`, where it applies the limit of the whole process.
    """
    size = getattr(image, "_tile_size", None)
    if size and getattr(image, "_im", True) is None:
        image.im = Image.core.new(image.mode, size)


def too_large(name: str, size: int, max_pixels: int) -> MatteError:
    """Give the error for a file of `size` bytes, more than `max_pixels` pixels can need."""
    return MatteError(
        f"{name} is {size / 1e6:,.0f} MB, more than a picture of {max_pixels / 1e6:g} megapixels "
        f"can need ({max_bytes(max_pixels) / 1e6:,.0f} MB)"
    )


def _file(source: Path | bytes, most: int) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if isinstance(source, ObjectPath):
        return io.BytesIO(read_object(source, most))
    try:
        # Asked before opening: a pipe that nobody writes to would wait forever.
        if not stat.S_ISREG(os.stat(source).st_mode):
            raise MatteError(f"cannot read {source}: it is no regular file")
        return Path(source).open("rb")
    except (OSError, ValueError) as error:
        if address_of(Path(source)):
            raise not_found(Path(source)) from None
        reason = getattr(error, "strerror", None) or error
        raise MatteError(f"cannot read {source}: {reason}") from None


@contextlib.contextmanager
def _naming(source: Path | bytes) -> Iterator[None]:
    name = name_of(source)
    try:
        yield
    except MatteError as error:
        if printable(name) in str(error):
            raise
        raise type(error)(f"{name}: {error}") from None
    except UnidentifiedImageError:
        raise MatteError(
            f"{name} is not a picture that can be read: it is damaged or of an unusual kind"
        ) from None
    except MemoryError:
        raise MatteError(f"not enough memory to decode {name}") from None
    # Decoders of damaged files raise almost anything: struct, zlib, index, syntax, value errors.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise MatteError(f"cannot decode {name}: {reason}") from None


def _factory(kind: str, source: Path | bytes) -> Any:
    module, name = _PLUGINS[kind]
    if kind in _EXTRAS:
        what, extra = _EXTRAS[kind]
        with needs_extra(f"{name_of(source)} is a {what} picture and", extra):
            return getattr(importlib.import_module(module), name)
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError:
        raise MatteError(
            f"{name_of(source)} is a {kind} picture, which this Pillow cannot read: "
            "pip install -U pillow"
        ) from None
