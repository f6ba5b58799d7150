"""Photos of products for a shop: each cut out and centered on a square of one color, as JPEG.

    python examples/shop_catalogue.py PHOTOS SHOP [--side 1200] [--room 0.08] [--color white]

Photos that cannot be read, and photos without a subject, are named on standard error, the others
are done, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor

import mattecli as matte
from mattecli.core.imaging.walking import find_images


def catalogue_picture(photo: Path, side: int, room: float, color: str) -> Image.Image:
    """Cut out a photo's subject and center it on a square."""
    cutout = matte.cutout(photo, crop=0.0)
    if np.mean(cutout[..., 3] > 127) < 0.01:
        raise matte.MatteError(f"{photo}: no subject was found")
    square = round(max(cutout.shape[:2]) / (1 - 2 * room))
    canvas = np.empty((square, square, 3), np.uint8)
    canvas[:] = ImageColor.getrgb(color)
    made = matte.composite(cutout, canvas, canvas="background", scale=1 - 2 * room)
    return Image.fromarray(made).resize((side, side), Image.Resampling.LANCZOS)


def main() -> int:
    """Make the pictures and give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("shop", type=Path)
    parser.add_argument("--side", type=int, default=1200, help="pixels of the squares")
    parser.add_argument("--room", type=float, default=0.08, help="on every side, as a share of it")
    parser.add_argument("--color", default="white")
    options = parser.parse_args()
    failed = 0
    for photo in find_images(options.photos):
        out = options.shop / photo.relative_to(options.photos).with_suffix(".jpg")
        try:
            picture = catalogue_picture(photo, options.side, options.room, options.color)
        except matte.MatteError as error:
            print(error, file=sys.stderr)
            failed += 1
            continue
        out.parent.mkdir(parents=True, exist_ok=True)
        picture.save(out, quality=92)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
