"""What a file says about its pixels: orientation, EXIF and color profile."""

from __future__ import annotations

import contextlib
import io
import os
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms

from mattecli.core.imaging.icc import is_of_grey

_ORIENTATION = 0x0112
# What TIFF and EXIF say of channels beside the colors; 2 is alpha with straight colors.
_EXTRA_SAMPLES, _ALPHA = 0x0152, 2
#: "ProcessingSoftware" of EXIF, which cameras leave empty; not among `_LASTING_EXIF`.
PROCESSED_BY = 0x000B
#: What results say of who made them.
MAKER = "matte"
# In four bytes of the header that are the writing program's own.
_BMP_MAKER = b"matt"
# Encoders of these leave an alpha channel out that is opaque everywhere.
_LEAVE_OUT_OPAQUE_ALPHA = {".webp": "WEBP", ".avif": "AVIF"}
# Description, make, model, resolution and its unit, software, date, artist, copyright, and the
# camera and GPS blocks: what stays true of a picture that is stored anew.
_LASTING_EXIF = (
    *(0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B),
    *(0x8298, 0x8769, 0x8825),
)


def orientation(image: Image.Image) -> int:
    """Give the EXIF orientation, 1 to 8; 1 is upright."""
    try:
        value = int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block says nothing about the orientation
        return 1
    return value if 1 <= value <= 8 else 1


def look_ahead_for_exif(image: Image.Image, file: BinaryIO) -> None:
    """Take the EXIF of an opened PNG from its file.

    Pillow would decode the whole picture, however large, to look behind its pixels.
    """
    if image.format == "PNG":
        image.info.setdefault("exif", png_exif(file))


def png_exif(file: BinaryIO) -> bytes:
    """Find the EXIF block of a PNG by its chunks alone; empty if there is none."""
    file.seek(8)
    while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        length = int.from_bytes(head[:4], "big")
        if head[4:] == b"eXIf":
            return b"Exif\0\0" + file.read(length)
        file.seek(length + 4, os.SEEK_CUR)
    return b""


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Undo one of the eight EXIF orientations of an H×W or H×W×C array."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def lasting_exif(image: Image.Image) -> bytes | None:
    """Give the EXIF block without what describes only the stored file."""
    kept = Image.Exif()
    with contextlib.suppress(Exception):  # a damaged EXIF block is not worth keeping
        found = image.getexif()
        for tag in _LASTING_EXIF:
            if tag in found:
                kept[tag] = found.get_ifd(tag) if tag in (0x8769, 0x8825) else found[tag]
        return kept.tobytes() if len(kept) else None
    return None


def with_opaque_alpha(exif: bytes | None, suffix: str) -> bytes | None:
    """Note in EXIF that a picture is a cutout, where its file cannot tell as it is all opaque.

    Parameters
    ----------
    exif : bytes, optional
        What the file is to hold anyway.
    suffix : str
        With its dot; most formats hold alpha whatever its values are, and need no note.
    """
    if suffix not in _LEAVE_OUT_OPAQUE_ALPHA:
        return exif
    noted = _loaded(exif)
    noted[_EXTRA_SAMPLES] = _ALPHA
    return noted.tobytes()


def with_maker(exif: bytes | None) -> bytes:
    """Note in EXIF that a picture is a result, so that it can be told from a photo."""
    noted = _loaded(exif)
    noted[PROCESSED_BY] = MAKER
    return noted.tobytes()


def bmp_with_maker(data: bytes) -> bytes:
    """Note in a BMP, which has no EXIF, what `with_maker` does; others stay as they are."""
    return data[:6] + _BMP_MAKER + data[10:] if data.startswith(b"BM") else data


def names_maker(image: Image.Image, start: bytes) -> bool:
    """Tell whether a picture notes that this program made it; `start` are its first bytes."""
    if start.startswith(b"BM"):
        return start[6:10] == _BMP_MAKER
    if image.format == "GIF":
        return image.info.get("comment") == MAKER.encode()
    try:
        return image.getexif().get(PROCESSED_BY) == MAKER
    except Exception:  # a damaged EXIF block notes nothing
        return False


def has_alpha_channel(image: Image.Image) -> bool:
    """Tell whether a file holds alpha or a transparent color, or notes that it would."""
    if image.has_transparency_data:
        return True
    return image.format in _LEAVE_OUT_OPAQUE_ALPHA.values() and _is_noted(image)


def _is_noted(image: Image.Image) -> bool:
    try:
        return image.getexif().get(_EXTRA_SAMPLES) == _ALPHA
    except Exception:  # a damaged EXIF block notes nothing
        return False


def _loaded(exif: bytes | None) -> Image.Exif:
    loaded = Image.Exif()
    with contextlib.suppress(Exception):  # a damaged EXIF block is not worth keeping
        loaded.load(exif or b"")
    return loaded


def print_to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Turn CMYK or LAB into RGB, through the file's own profile where it has a usable one."""
    with contextlib.suppress(ImageCms.PyCMSError, OSError):
        if image.mode == "LAB":
            profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        elif icc:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        else:
            return image.convert("RGB")
        converted = ImageCms.profileToProfile(
            image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
        assert converted is not None  # only a conversion in place returns nothing
        return converted
    return image.convert("RGB")


def profile_of(icc: bytes | None, color: np.ndarray) -> bytes | None:
    """Keep a profile only if it describes such colors as these, of shape (H, W, 3).

    Bytes 16 to 20 of its header name the space: RGB, or that of grey pictures.
    """
    if icc and is_of_grey(icc):
        return icc if (color == color[..., :1]).all() else None
    return icc if icc and icc[16:20] == b"RGB " else None
