"""The one image reader: every kind of file, upright, as RGB and alpha arrays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

from mattecli.core.imaging import planes
from mattecli.core.imaging.deep_color import (
    decode_deep_color,
    decode_float_color,
    decode_planes,
    has_float_color,
    holds_alpha,
    is_deep_color,
)
from mattecli.core.imaging.exr import exr_has_alpha, exr_size, exr_software, read_exr
from mattecli.core.imaging.frames import frames_note, pages_note
from mattecli.core.imaging.icc import convert_8_bit, convert_16_bit, is_srgb
from mattecli.core.imaging.kinds import START, kind_of
from mattecli.core.imaging.metadata import (
    MAKER,
    PROCESSED_BY,
    has_alpha_channel,
    lasting_exif,
    look_ahead_for_exif,
    names_maker,
    orientation,
    print_to_srgb,
    profile_of,
    upright,
)
from mattecli.core.imaging.opening import check_pixels, make_room, open_image, opened
from mattecli.core.imaging.pixels import MAX_PIXELS, Picture, to_8_bit, to_16_bit
from mattecli.core.imaging.quiet import quiet_decoders
from mattecli.core.imaging.raw import is_raw, raw_size, read_raw
from mattecli.core.imaging.resolution import resolution, resolution_of_tags


def read_picture(
    source: Path | bytes, max_pixels: int = MAX_PIXELS, *, as_numbers: bool = False
) -> Picture:
    """Decode any picture: orientation applied, grey and palette and CMYK turned into RGB.

    16-bit files stay 16-bit; float and 32-bit files become 16-bit. Of an animation or a
    multi-page file the first frame counts, and `Picture.notes` says so.

    Parameters
    ----------
    as_numbers : bool
        Take what a file of linear light holds as it is, as mattes and trimaps are no light.

    Raises
    ------
    MatteError
        If the file is missing, none of the kinds in `kinds`, damaged, or larger than `max_pixels`
        allow.
    """
    with opened(source, max_pixels) as file, quiet_decoders():
        if is_raw(source, file.read(START)):
            file.seek(0)
            return read_raw(file.read(), source, max_pixels)
        if picture := picture_beside_pillow(file, source, max_pixels, as_numbers=as_numbers):
            return picture
        with open_image(file, source, max_pixels) as image:
            check_pixels(source, image.size, max_pixels)
            return decoded(image, file)


def read_color(path: Path) -> np.ndarray:
    """Read a picture as 8-bit sRGB; an alpha channel is dropped.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
    """
    return to_8_bit(to_srgb(read_picture(path)).color)


def read_alpha(path: Path) -> np.ndarray:
    """Read numbers: the alpha channel if the file has one, its grey value otherwise.

    What the numbers mean is left to the caller; masks and mattes are read by `mask_reading`. A grey
    picture with an alpha channel that is opaque everywhere counts as a grey picture: some programs
    save mattes as RGBA.

    Returns
    -------
    ndarray of shape (H, W), uint8 or uint16
    """
    return matte_of(read_picture(path, as_numbers=True))


def matte_of(picture: Picture) -> np.ndarray:
    """Take the matte out of a picture; see `read_alpha`."""
    if picture.alpha is not None and not is_grey(picture):
        return picture.alpha
    return cv2.cvtColor(picture.color, cv2.COLOR_RGB2GRAY)


def to_srgb(picture: Picture) -> Picture:
    """Give the picture in sRGB, converted from its profile where it has another one.

    16 bits stay 16 bits, unless a profile is made of tables, which are applied in 8 bits. A broken
    profile is no reason to refuse a good picture: its colors are taken as sRGB.
    """
    if not picture.icc or is_srgb(picture.icc):
        return replace(picture, icc=None)
    if picture.color.dtype == np.uint16:
        color = convert_16_bit(picture.color, picture.icc)
        if color is not None:
            return replace(picture, color=color, icc=None)
    color = convert_8_bit(to_8_bit(picture.color), picture.icc)
    if color is None:
        return replace(picture, icc=None)
    alpha = None if picture.alpha is None else to_8_bit(picture.alpha)
    return replace(picture, color=color, alpha=alpha, icc=None)


def image_size(source: Path | bytes) -> tuple[int, int]:
    """Read (width, height) after orientation, without decoding the pixels.

    Raises
    ------
    MatteError
        If the file is missing or no picture.
    """
    with opened(source) as file:
        if is_raw(source, file.read(START)):
            file.seek(0)
            return raw_size(file.read(), source)
        if _is_exr(file):
            return exr_size(file)
        tags = planes.read_tags(file)
        if tags is not None and _is_ours(tags):
            return planes.size_of(tags)
        with open_image(file, source) as image:
            width, height = image.size
            look_ahead_for_exif(image, file)
            # Pillow itself turns TIFF files, and reports their size turned.
            turned = image.format != "TIFF" and orientation(image) >= 5
            return (height, width) if turned else (width, height)


def has_alpha(path: Path) -> bool:
    """Tell whether a picture has an alpha channel or a transparent color, without decoding it."""
    with opened(path) as file:
        if _is_exr(file):
            return exr_has_alpha(file)
        tags = planes.read_tags(file)
        if tags is not None and _is_ours(tags):
            return holds_alpha(tags)
        with open_image(file, path) as image:
            return has_alpha_channel(image)


def is_result(path: Path) -> bool:
    """Tell whether a picture notes that this program made it, without decoding it."""
    with opened(path) as file:
        if _is_exr(file):
            return exr_software(file) == MAKER
        tags = planes.read_tags(file)
        if tags is not None:
            return tags.get(PROCESSED_BY) == MAKER
        with open_image(file, path) as image:
            look_ahead_for_exif(image, file)
            file.seek(0)
            return names_maker(image, file.read(START))


def _is_ours(tags: planes.Tags) -> bool:
    """Tell whether Pillow cannot read a TIFF, or reads it wrong."""
    return planes.has_deep_planes(tags) or has_float_color(tags)


def _is_exr(file: BinaryIO) -> bool:
    file.seek(0)
    return kind_of(file.read(START)) == "OpenEXR"


def picture_beside_pillow(
    file: BinaryIO, source: Path | bytes, max_pixels: int, *, as_numbers: bool
) -> Picture | None:
    """Decode OpenEXR, and the kinds of TIFF that Pillow cannot; None of any other file."""
    if _is_exr(file):
        return read_exr(file, source, max_pixels, as_numbers=as_numbers)
    tags = planes.read_tags(file)
    if tags is None or not _is_ours(tags):
        return None
    check_pixels(source, planes.size_of(tags), max_pixels)
    file.seek(0)
    data = file.read()
    arrays = (
        decode_planes(data, tags)
        if planes.has_deep_planes(tags)
        else decode_float_color(data, tags)
    )
    note = pages_note(planes.count_pages(file, tags))
    icc, dpi = profile_of(tags.get(34675), arrays[0]), resolution_of_tags(tags)
    return Picture(*arrays, icc, None, dpi, (note,) if note else ())


def decoded(image: Image.Image, file: BinaryIO) -> Picture:
    """Decode an opened image, by OpenCV where it holds more than Pillow gives."""
    # Pages are counted before anything is decoded, as that ends at another page.
    note = frames_note(image)
    file.seek(0)
    start = file.read(START)
    if is_deep_color(image, start):
        look_ahead_for_exif(image, file)
        file.seek(0)
        if arrays := decode_deep_color(image, file.read()):
            icc, exif = profile_of(image.info.get("icc_profile"), arrays[0]), lasting_exif(image)
            dpi = resolution(image, image.format != "TIFF" and orientation(image) >= 5)
            return Picture(*arrays, icc, exif, dpi, (note,) if note else ())
    make_room(image)
    picture = picture_of(image)
    # A TGA says how many bits of alpha it has; without any, the fourth byte is a filler.
    if kind_of(start) == "TGA" and not start[17] & 15:
        picture.alpha = None
    return replace(picture, notes=(note,) if note else ())


def picture_of(image: Image.Image) -> Picture:
    """Turn one of Pillow's images into an upright picture in RGB, its profile beside it."""
    image.load()
    # After loading: an orientation may follow the pixels, and Pillow turns TIFF files itself.
    turned = orientation(image)
    exif, icc = lasting_exif(image), image.info.get("icc_profile")
    dpi = resolution(image, turned >= 5)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey = upright(to_16_bit(unsigned(image)), turned)
        if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(262) == 0:
            grey = 65535 - grey  # white is zero, which Pillow heeds in 8 bits only
        clear = image.info.get("transparency")
        alpha = np.where(grey == clear, 0, 65535).astype(np.uint16) if clear is not None else None
        color = np.repeat(grey[..., None], 3, axis=2)
        return Picture(color, alpha, profile_of(icc, color), exif, dpi)
    if image.mode == "La":  # premultiplied, of which RGB cannot be made
        image = image.convert("LA")
    if image.mode in ("CMYK", "LAB"):
        image, icc = print_to_srgb(image, icc), None
    if image.mode == "L" and not image.has_transparency_data:
        # Mattes by the thousand are of this kind, and Pillow takes its time to make RGB of them.
        grey = upright(np.asarray(image), turned)
        color = np.stack([grey] * 3, axis=2)
        return Picture(color, None, profile_of(icc, color), exif, dpi)
    has_alpha = has_alpha_channel(image)
    wanted = "RGBA" if has_alpha else "RGB"
    # To convert is to copy, even to the mode that it has.
    array = upright(np.asarray(image if image.mode == wanted else image.convert(wanted)), turned)
    alpha = np.ascontiguousarray(array[..., 3]) if has_alpha else None
    color = np.ascontiguousarray(array[..., :3])
    return Picture(color, alpha, profile_of(icc, color), exif, dpi)


def unsigned(image: Image.Image) -> np.ndarray:
    """Give the numbers of an image; Pillow takes unsigned 32-bit integers of a TIFF as signed."""
    array = np.asarray(image)
    if array.dtype == np.int32 and isinstance(image, TiffImagePlugin.TiffImageFile):
        kinds = image.tag_v2.get(339, (1,))
        if max(image.tag_v2.get(258, (1,))) == 32 and kinds[0] == 1:
            return array.view(np.uint32)
    return array


def is_grey(picture: Picture) -> bool:
    """Tell whether a picture with alpha is opaque and grey everywhere."""
    assert picture.alpha is not None
    opaque = picture.alpha.min() == np.iinfo(picture.alpha.dtype).max
    return bool(opaque and (picture.color == picture.color[..., :1]).all())
