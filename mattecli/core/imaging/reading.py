"""The one image reader: every kind of file, upright, as RGB and alpha arrays."""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin

from mattecli.core.errors import MatteError

MAX_PIXELS = 200_000_000

# Pillow's own guard knows one limit for the whole process and only warns below twice that limit;
# `_open` checks every picture against the caller's limit before a pixel is decoded.
Image.MAX_IMAGE_PIXELS = None
# Odd metadata in a readable file is no news for the user, and would tear the progress bar.
warnings.filterwarnings("ignore", module=r"PIL\.")

_ORIENTATION = 0x0112
# Description, make, model, resolution and its unit, software, date, artist, copyright, and the
# camera and GPS blocks: what stays true of a picture that is stored anew.
_LASTING_EXIF = (
    *(0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B),
    *(0x8298, 0x8769, 0x8825),
)


@dataclass
class Picture:
    """A decoded picture, upright.

    Attributes
    ----------
    color : ndarray of shape (H, W, 3), uint8 or uint16
        RGB, not premultiplied.
    alpha : ndarray of shape (H, W), same dtype as `color`, or None
    icc : bytes or None
        RGB profile that `color` is encoded in; None stands for sRGB.
    exif : bytes or None
        EXIF block without the orientation, which has been applied, and without the thumbnail.
    """

    color: np.ndarray
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    exif: bytes | None = None


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
        if data[:4] in (b"II*\0", b"MM\0*") and _is_float_color(data, source, max_pixels):
            return _decode_float_color(data)
    with _readable(source), _open(source, data, max_pixels) as image:
        picture = _decode_deep_color(image, data) if _is_deep_color(image, data) else None
        return picture or picture_of(image)


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
    import cv2

    if picture.alpha is not None:
        opaque = picture.alpha.min() == np.iinfo(picture.alpha.dtype).max
        grey = (picture.color == picture.color[..., :1]).all()
        if not (opaque and grey):
            return picture.alpha
    return cv2.cvtColor(picture.color, cv2.COLOR_RGB2GRAY)


def to_unit(array: np.ndarray) -> np.ndarray:
    """Scale uint8 or uint16 to float32 in [0, 1]."""
    return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)


def to_bits(unit: np.ndarray, bits: int) -> np.ndarray:
    """Round values in [0, 1] to 8 or 16 bits."""
    full, dtype = (255, np.uint8) if bits == 8 else (65535, np.uint16)
    return (np.clip(unit, 0, 1) * np.float32(full) + np.float32(0.5)).astype(dtype)


def to_srgb(picture: Picture) -> Picture:
    """Give the picture in sRGB, converted from its profile where it has another one.

    The conversion works in 8 bits; a picture that needs none keeps its 16.
    """
    if not picture.icc or _is_srgb(picture.icc):
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


def image_size(path: Path) -> tuple[int, int]:
    """Read (width, height) after orientation, without decoding the pixels."""
    with _readable(path), Image.open(path) as image:
        width, height = image.size
        # Pillow itself turns TIFF files, and reports their size turned.
        turned = image.format != "TIFF" and _orientation(image) >= 5
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
    if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypheif"):
        _register_heif(source)
    image = Image.open(io.BytesIO(data))
    _check_size(source, image.size, max_pixels)
    return image


def _check_size(source: Path | bytes, size: tuple[int, int], max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise MatteError(
            f"{_name(source)} has {size[0]}x{size[1]} pixels, more than the limit of "
            f"{max_pixels / 1e6:g} megapixels"
        )


def _register_heif(source: Path | bytes) -> None:
    try:
        import pillow_heif
    except ImportError:
        raise MatteError(
            f"{_name(source)} is a HEIC picture: pip install pillow-heif to read it"
        ) from None
    pillow_heif.register_heif_opener()


def picture_of(image: Image.Image) -> Picture:
    """Turn one of Pillow's images into an upright picture in RGB, its profile beside it."""
    image.load()
    # After loading: an orientation may follow the pixels, and Pillow turns TIFF files itself.
    orientation = _orientation(image)
    exif, icc = _lasting_exif(image), image.info.get("icc_profile")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey = _upright(_to_16_bit(np.asarray(image)), orientation)
        return Picture(np.repeat(grey[..., None], 3, axis=2), None, None, exif)
    if image.mode in ("CMYK", "LAB"):
        image, icc = _print_to_srgb(image, icc), None
    if image.mode == "L" and not image.has_transparency_data:
        # Mattes by the thousand are of this kind, and Pillow takes its time to make RGB of them.
        grey = _upright(np.asarray(image), orientation)
        return Picture(np.stack([grey] * 3, axis=2), None, None, exif)
    has_alpha = image.has_transparency_data
    array = _upright(np.asarray(image.convert("RGBA" if has_alpha else "RGB")), orientation)
    alpha = np.ascontiguousarray(array[..., 3]) if has_alpha else None
    return Picture(np.ascontiguousarray(array[..., :3]), alpha, _rgb_profile(icc), exif)


def _is_deep_color(image: Image.Image, data: bytes) -> bool:
    """Tell whether this is a colour file of more than 8 bits, which Pillow would cut down to 8."""
    if image.format == "PNG":
        bits, color_type = data[24], data[25]
        return bits == 16 and color_type in (2, 4, 6)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(258, (1,))
        # OpenCV mixes up planes that are stored one after the other (tag 284).
        interleaved = image.tag_v2.get(284, 1) == 1
        return image.mode in ("RGB", "RGBA", "RGBX") and max(bits) > 8 and interleaved
    return False


def _decode_deep_color(image: Image.Image, data: bytes) -> Picture | None:
    import cv2

    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.ndim != 3 or array.shape[2] not in (3, 4):
        return None
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else None
    # OpenCV turns TIFF files upright, but leaves PNG files as they are.
    orientation = _orientation(image) if tags is None else 1
    array = _upright(_to_16_bit(array), orientation)
    color = np.ascontiguousarray(array[..., 2::-1])
    alpha = np.ascontiguousarray(array[..., 3]) if array.shape[2] == 4 else None
    if alpha is not None and tags is not None and tags.get(338, (0,))[0] == 1:
        color = _straight(color, alpha)
    return Picture(color, alpha, _rgb_profile(image.info.get("icc_profile")), _lasting_exif(image))


def _is_float_color(data: bytes, source: Path | bytes, max_pixels: int) -> bool:
    """Tell whether this is a TIFF of several float channels, which Pillow cannot open."""
    file = io.BytesIO(data)
    tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
    file.seek(tags.next)
    tags.load(file)
    if len(tags.get(258, ())) < 3 or tags.get(339, (1,))[0] != 3:
        return False
    _check_size(source, (tags[256], tags[257]), max_pixels)
    return True


def _decode_float_color(data: bytes) -> Picture:
    import cv2

    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.ndim != 3 or array.shape[2] not in (3, 4):
        raise MatteError("a TIFF with such float channels cannot be read")
    array = _to_16_bit(array)
    alpha = np.ascontiguousarray(array[..., 3]) if array.shape[2] == 4 else None
    return Picture(np.ascontiguousarray(array[..., 2::-1]), alpha)


def _straight(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Divide premultiplied 16-bit colour by its alpha."""
    factor = 65535 / np.maximum(alpha, 1).astype(np.float32)
    return np.clip(np.rint(color * factor[..., None]), 0, 65535).astype(np.uint16)


def _orientation(image: Image.Image) -> int:
    try:
        value = int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block says nothing about the orientation
        return 1
    return value if 1 <= value <= 8 else 1


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Undo one of the eight EXIF orientations."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def _lasting_exif(image: Image.Image) -> bytes | None:
    """Give the EXIF block without what describes only the stored file."""
    kept = Image.Exif()
    with contextlib.suppress(Exception):  # a damaged EXIF block is not worth keeping
        found = image.getexif()
        for tag in _LASTING_EXIF:
            if tag in found:
                kept[tag] = found.get_ifd(tag) if tag in (0x8769, 0x8825) else found[tag]
        return kept.tobytes() if len(kept) else None
    return None


def _to_16_bit(array: np.ndarray) -> np.ndarray:
    """Map float, 32-bit and 8-bit values to uint16.

    Floats up to 1 are taken as [0, 1], larger values as the smallest of 8, 16 or 32 bits that
    holds them; what is not a number becomes 0.
    """
    if array.dtype == np.uint16:
        return array
    if array.dtype == np.uint8:
        return array.astype(np.uint16) * 257
    values = np.nan_to_num(array.astype(np.float64), posinf=0.0, neginf=0.0)
    top = values.max(initial=0.0)
    if array.dtype.kind == "f":
        full = next((full for full in (1.0, 255.0, 65535.0) if top <= full), top)
    else:
        full = 65535.0 if top <= 65535 else top
    return np.rint(np.clip(values / full, 0.0, 1.0) * 65535).astype(np.uint16)


def to_8_bit(array: np.ndarray) -> np.ndarray:
    """Round uint16 to uint8; uint8 passes."""
    if array.dtype == np.uint8:
        return array
    # 65535 = 255 * 257, so this rounds to the nearest 8-bit value.
    return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _print_to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Turn CMYK or LAB into RGB, through the file's own profile where it has a usable one."""
    with contextlib.suppress(ImageCms.PyCMSError, OSError):
        if image.mode == "LAB":
            profile = ImageCms.createProfile("LAB")
        elif icc:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        else:
            return image.convert("RGB")
        return ImageCms.profileToProfile(
            image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    return image.convert("RGB")


def _rgb_profile(icc: bytes | None) -> bytes | None:
    """Keep a profile only if it describes RGB: bytes 16 to 20 of its header name the space."""
    return icc if icc and icc[16:20] == b"RGB " else None


def _is_srgb(icc: bytes) -> bool:
    with contextlib.suppress(ImageCms.PyCMSError, OSError):
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        return "sRGB" in ImageCms.getProfileDescription(profile)
    return False
