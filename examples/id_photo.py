"""A portrait on the plain background of ID photos, 35 x 45 mm at 300 dpi.

    python examples/id_photo.py PORTRAIT OUT.jpg [--color "#dfe3e8"]

The photo is cropped to the right proportions, with the head in the middle; the size of the head is
that of the photo.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageColor

import mattecli as matte

WIDTH, HEIGHT, DPI = 413, 531, 300
# Space above the hair, as a fraction of the photo's height.
ABOVE = 0.1


def id_photo(portrait: Path, color: str) -> Image.Image:
    """Cut the person out, lay them onto a color and crop."""
    cutout = matte.cutout(portrait)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(
        (cutout[..., 3] > 127).view(np.uint8)
    )
    if count < 2:
        raise matte.MatteError(f"{portrait}: nobody was found")
    # Other subjects than the person are removed.
    person = 1 + int(boxes[1:, cv2.CC_STAT_AREA].argmax())
    near = cv2.dilate((labels == person).view(np.uint8), np.ones((25, 25), np.uint8))
    cutout[..., 3] *= near
    top, tall = boxes[person, cv2.CC_STAT_TOP], boxes[person, cv2.CC_STAT_HEIGHT]
    head = labels[top : top + tall // 4] == person
    middle = head.any(axis=0).nonzero()[0].mean()

    height, width = cutout.shape[:2]
    high = min((height - top) / (1 - ABOVE), width * HEIGHT / WIDTH)
    wide = high * WIDTH / HEIGHT
    left = min(max(0, middle - wide / 2), width - wide)
    box = (left, top - ABOVE * high, left + wide, top + (1 - ABOVE) * high)
    behind = np.empty_like(cutout[..., :3])
    behind[:] = ImageColor.getrgb(color)
    plain = Image.fromarray(matte.composite(cutout, behind))
    # Above the frame there is more of the same color.
    return plain.transform(
        (WIDTH, HEIGHT), Image.Transform.EXTENT, box, Image.Resampling.BICUBIC, fillcolor=color
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("portrait", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--color", default="#dfe3e8")
    options = parser.parse_args()
    id_photo(options.portrait, options.color).save(options.out, quality=95, dpi=(DPI, DPI))
