"""Reading masks and mattes, the same in every command that takes some."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

from mattecli.core.imaging.frames import frames_note
from mattecli.core.imaging.kinds import START
from mattecli.core.imaging.masks import (
    Mask,
    check_grey,
    check_numbers,
    from_few_bits,
    from_integers,
    from_palette,
    from_values,
)
from mattecli.core.imaging.metadata import orientation, upright
from mattecli.core.imaging.opening import check_pixels, make_room, open_image, opened
from mattecli.core.imaging.pixels import MAX_PIXELS, Picture
from mattecli.core.imaging.quiet import quiet_decoders
from mattecli.core.imaging.reading import (
    decoded,
    is_grey,
    matte_of,
    picture_beside_pillow,
    picture_of,
    unsigned,
)


def read_mask(source: Path | bytes, lenient: bool = False) -> Mask:
    """Read a mask or matte: its alpha channel if it has one, its grey value otherwise.

    Masks of 0 and 1, of 8 bits in a 16-bit file, of 32-bit integers and of a palette whose index 1
    is the subject are understood, and the note says so; see `masks`.

    Parameters
    ----------
    lenient : bool
        Whether a mask may be nearly black: predictions may, truths may not.

    Raises
    ------
    MaskError
        If a picture is no mask: it is colored, or holds labels.
    MatteError
        As `read_picture`.
    """
    with opened(source) as file, quiet_decoders():
        if picture := picture_beside_pillow(file, source, MAX_PIXELS, as_numbers=True):
            return mask_of_picture(picture, lenient)
        with open_image(file, source, MAX_PIXELS) as image:
            check_pixels(source, image.size, MAX_PIXELS)
            note = frames_note(image)
            file.seek(0)
            mask = _mask_of_numbers(image, file.read(START))
            mask = mask or mask_of_picture(decoded(image, file), lenient)
            notes = (mask.note, note)
            return mask._replace(note="; ".join(note for note in notes if note))


def mask_of_image(image: Image.Image, lenient: bool = False) -> Mask:
    """Understand one of Pillow's images as `read_mask` does a file."""
    return _mask_of_numbers(image, bytes(START)) or mask_of_picture(picture_of(image), lenient)


def _mask_of_numbers(image: Image.Image, start: bytes) -> Mask | None:
    """Read the masks that say something else by their numbers than by their look."""
    if image.has_transparency_data:
        return None
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else None
    bits = max(tags.get(258, (1,))) if tags else start[24] if image.format == "PNG" else 8
    if image.mode == "P":
        make_room(image)
        image.load()
        colors = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        mask = from_palette(np.asarray(image), colors)
    elif image.mode == "I" and tags and bits == 32:
        make_room(image)
        image.load()
        mask = from_integers(unsigned(image))
    elif image.mode == "L" and bits in (2, 4):
        make_room(image)
        image.load()
        mask = from_few_bits(np.asarray(image), bits)
    else:
        if image.mode == "F":
            make_room(image)
            check_numbers(np.asarray(image))
        return None
    turned = 1 if tags else orientation(image)
    return mask and mask._replace(alpha=upright(mask.alpha, turned))


def mask_of_picture(picture: Picture, lenient: bool) -> Mask:
    """Understand a picture as `read_mask` does a file, from its alpha channel or its greys."""
    if picture.alpha is not None and not is_grey(picture):
        mask = from_values(picture.alpha, lenient)
        if picture.alpha.min() == np.iinfo(picture.alpha.dtype).max:
            return mask._replace(note="is colored and opaque everywhere: its alpha is taken")
        return mask
    check_grey(picture.color)
    return from_values(matte_of(picture), lenient)
