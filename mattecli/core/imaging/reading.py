"""The one image reader: every kind of file, upright, as RGB and alpha arrays."""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms

from mattecli.core.errors import MatteError
from mattecli.core.imaging.deep_color import (
    decode_deep_color,
    decode_float_color,
    float_color_size,
    is_deep_color,
)
from mattecli.core.imaging.metadata import (
    is_srgb,
    lasting_exif,
    orientation,
    print_to_srgb,
    rgb_profile,
    upright,
)
from mattecli.core.imaging.pixels import MAX_PIXELS, Picture, to_8_bit, to_16_bit

# Pillow's own guard knows one limit for the whole process and only warns below twice that limit;
# `_open` checks every picture against the caller's limit before a pixel is decoded.
Image.MAX_IMAGE_PIXELS = None
# Odd metadata in a readable file is no news for the user, and would tear the progress bar.
warnings.filterwarnings("ignore", module=r"PIL\.")


_HEIC_STARTS = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypheif", b"ftyphevc", b"ftypmsf1")


def read_picture(source: Path | bytes, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode any picture: orientation applied, grey and palette and CMYK turned into RGB.

    16-bit files stay 16-bit; float and 32-bit files become 16-bit. Of an animation or a
    multi-page file the first frame counts.

    Raises
    ------
    MatteError
        If the file is missing, no picture, damaged, or has more than `max_pixels`.
    """
    data = _read_bytes(source)
    with _readable(source):
        if size := float_color_size(data):
            _check_size(source, size, max_pixels)
            return Picture(*decode_float_color(data))
    with _readable(source), _open(source, data, max_pixels) as image:
        if is_deep_color(image, data) and (arrays := decode_deep_color(image, data)):
            icc = rgb_profile(image.info.get("icc_profile"))
            return Picture(*arrays, icc, lasting_exif(image))
        return picture_of(image)


def read_color(path: Path) -> np.ndarray:
    """Read a picture as 8-bit sRGB; an alpha channel is dropped.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
    """
    return to_8_bit(to_srgb(read_picture(path)).color)


def read_alpha(path: Path) -> np.ndarray:
    """Read a matte: the alpha channel if the file has one, its grey value otherwise.

    A grey picture with an alpha channel that is opaque everywhere counts as a grey picture:
    some programs save mattes as RGBA.

    Returns
    -------
    ndarray of shape (H, W), uint8 or uint16
    """
    return matte_of(read_picture(path))


def matte_of(picture: Picture) -> np.ndarray:
    """Take the matte out of a picture; see `read_alpha`."""
    if picture.alpha is not None:
        opaque = picture.alpha.min() == np.iinfo(picture.alpha.dtype).max
        grey = (picture.color == picture.color[..., :1]).all()
        if not (opaque and grey):
            return picture.alpha
    return cv2.cvtColor(picture.color, cv2.COLOR_RGB2GRAY)


def to_srgb(picture: Picture) -> Picture:
    """Give the picture in sRGB, converted from its profile where it has another one.

    The conversion works in 8 bits; a picture that needs none keeps its 16.
    """
    if not picture.icc or is_srgb(picture.icc):
        return replace(picture, icc=None)
    color, alpha = to_8_bit(picture.color), picture.alpha
    # A broken profile is no reason to refuse a good picture: its colours are taken as sRGB.
    with contextlib.suppress(ImageCms.PyCMSError, OSError):
        profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.icc))
        image = ImageCms.profileToProfile(
            Image.fromarray(color), profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
        color = np.array(image)
    return Picture(color, None if alpha is None else to_8_bit(alpha), None, picture.exif)


def image_size(source: Path | bytes) -> tuple[int, int]:
    """Read (width, height) after orientation, without decoding the pixels.

    Raises
    ------
    MatteError
        If the file is missing or no picture.
    """
    with _readable(source), contextlib.ExitStack() as stack:
        file = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
        stack.enter_context(file)
        start = file.read(12)
        file.seek(0)
        _prepare_for(start, source)
        image = Image.open(file)
        width, height = image.size
        # Pillow itself turns TIFF files, and reports their size turned.
        turned = image.format != "TIFF" and orientation(image) >= 5
        return (height, width) if turned else (width, height)


def has_alpha(path: Path) -> bool:
    """Tell whether a picture has an alpha channel or a transparent colour, without decoding it."""
    with _readable(path), Image.open(path) as image:
        return image.has_transparency_data


def _name(source: Path | bytes) -> str:
    return "standard input" if isinstance(source, bytes) else str(source)


def _read_bytes(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise MatteError(f"cannot read {source}: {error.strerror or error}") from None


@contextlib.contextmanager
def _readable(source: Path | bytes):
    """Turn whatever a decoder throws at a damaged file into one line that names the file."""
    name = _name(source)
    try:
        yield
    except MatteError:
        raise
    except Image.UnidentifiedImageError:
        raise MatteError(f"{name} is not a picture that can be read") from None
    except MemoryError:
        raise MatteError(f"not enough memory to decode {name}") from None
    # Decoders of damaged files raise almost anything: struct, zlib, index, syntax, value errors.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise MatteError(f"cannot decode {name}: {reason}") from None


def _open(source: Path | bytes, data: bytes, max_pixels: int) -> Image.Image:
    if not data:
        raise MatteError(f"{_name(source)} is empty")
    _prepare_for(data, source)
    image = Image.open(io.BytesIO(data))
    _check_size(source, image.size, max_pixels)
    return image


def _check_size(source: Path | bytes, size: tuple[int, int], max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise MatteError(
            f"{_name(source)} has {size[0]}x{size[1]} pixels, more than the limit of "
            f"{max_pixels / 1e6:g} megapixels"
        )


def _prepare_for(start: bytes, source: Path | bytes) -> None:
    """Make Pillow know HEIC, if a file starts like one."""
    if start[4:12] not in _HEIC_STARTS:
        return
    try:
        import pillow_heif
    except ImportError:
        raise MatteError(
            f"{_name(source)} is a HEIC picture: pip install 'mattecli[heic]' to read it"
        ) from None
    pillow_heif.register_heif_opener()


def picture_of(image: Image.Image) -> Picture:
    """Turn one of Pillow's images into an upright picture in RGB, its profile beside it."""
    image.load()
    # After loading: an orientation may follow the pixels, and Pillow turns TIFF files itself.
    turned = orientation(image)
    exif, icc = lasting_exif(image), image.info.get("icc_profile")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey = upright(to_16_bit(np.asarray(image)), turned)
        return Picture(np.repeat(grey[..., None], 3, axis=2), None, None, exif)
    if image.mode in ("CMYK", "LAB"):
        image, icc = print_to_srgb(image, icc), None
    if image.mode == "L" and not image.has_transparency_data:
        # Mattes by the thousand are of this kind, and Pillow takes its time to make RGB of them.
        grey = upright(np.asarray(image), turned)
        return Picture(np.stack([grey] * 3, axis=2), None, None, exif)
    has_alpha = image.has_transparency_data
    array = upright(np.asarray(image.convert("RGBA" if has_alpha else "RGB")), turned)
    alpha = np.ascontiguousarray(array[..., 3]) if has_alpha else None
    return Picture(np.ascontiguousarray(array[..., :3]), alpha, rgb_profile(icc), exif)
