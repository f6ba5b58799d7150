"""A second look of the network, from nearer, at what its first one left open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mattecli.core.imaging.placing import resize
from mattecli.core.inference.predictor import Predictor

if TYPE_CHECKING:
    import torch

# How much larger the second look sees a photo than the first one.
_NEARER = 1.5
# From near a photo is shown at so many times its own size at most. Smaller photos, of which the
# first look would see too little then, are seen once, at the one look's own size.
_ENLARGED = 1.2
# From near the whole photo has at most this share of its own pixels, which takes less time than
# cutting so many out, or this multiple of a square photo's that is seen once: with more of them,
# photos of a megapixel would take long.
_SHARE, _SQUARES = 0.35, 1.1
# Where the first look is this close to 0 or 1 it is believed; around the rest the second one is, as
# far as so many of its pixels.
_SURE, _AROUND = 0.02, 12
# Room around what is open, as a share of the photo's sides: the network needs to see what it is.
_ROOM = 0.05


def looking_twice(first: Predictor) -> Predictor:
    """Give a predictor its second look, if its network takes photos of any size."""
    return SecondLook(first) if first.any_size else first


class SecondLook(Predictor):
    """A predictor that looks twice.

    What the subject is shows best from afar, and where exactly it ends from near. So the first look
    takes in the whole photo; the second one sees the box around all that is neither 0 nor 1 then,
    at 1.5 times that size, and changes nothing far from there. The larger a photo is, the nearer
    both are, up to the size that the network was trained for with the first; small photos are seen
    once, at that size or their own.

    Parameters
    ----------
    first : Predictor
        Of a network that takes photos of any size.
    """

    def __init__(self, first: Predictor) -> None:
        self.first = first
        self.device_type = first.device_type
        self.streams = first.streams
        self.multiple = first.multiple
        self.least = min(first.least, first.size)

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.first.device

    def at_scale(self, scale: float) -> Predictor:
        """Give the first look alone, at so many times its size."""
        return self.first.at_scale(scale)

    def network_size(self, height: int, width: int) -> tuple[int, int]:
        """Give the (height, width) of the whole photo at the scale of the last look at it."""
        size, longer = self.first.size, max(height, width)
        pixels = max(_SQUARES * size**2, _SHARE * height * width)
        near = min(_ENLARGED * longer, _NEARER * size, (pixels / (height * width)) ** 0.5 * longer)
        if near < _NEARER * self.least:
            return self.first.network_size(height, width)
        return self.rounded(near / longer, height, width)

    def run(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """Run the network on uint8 photos that share one network size."""
        shape = images[0].shape[:2]
        # What is to be seen twice is 1.5 times as large as this or larger, before it is rounded;
        # what is seen once stays below 1.44 times, where the limit on pixels ends.
        if max(shape) < 1.45 * self.least:
            return self.first.run(images)
        size = self.rounded(1 / _NEARER, *shape)
        mattes = self.first.run([resize(image, *size) for image in images])
        return [self._nearer(*pair) for pair in zip(images, mattes, strict=True)]

    def _nearer(self, image: np.ndarray, matte: np.ndarray) -> np.ndarray:
        shape = image.shape[:2]
        open_ = ((matte > _SURE) & (matte < 1 - _SURE)).view(np.uint8)
        if not open_.any():
            return resize(matte, *shape)
        box = self._box(open_, shape)
        (seen,) = self.first.run([image[box]])
        alpha = cv2.resize(matte, shape[::-1], interpolation=cv2.INTER_LINEAR)
        share = cv2.resize(open_, shape[::-1], interpolation=cv2.INTER_NEAREST)[box]
        share = cv2.dilate(share, np.ones((_AROUND, _AROUND), np.uint8)).astype(np.float32)
        share = cv2.blur(share, (_AROUND + 1, _AROUND + 1))
        alpha[box] += share * (seen - alpha[box])
        return alpha

    def _box(self, open_: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Find the box of `shape` around what is not 0, its sides multiples of `multiple`."""
        box = []
        for axis, length in enumerate(shape):
            found = np.flatnonzero(open_.any(axis=1 - axis)) / open_.shape[axis]
            low = max(0, int((found[0] - _ROOM) * length))
            high = min(length, int((found[-1] + _ROOM) * length) + 1)
            side = min(length, -(-(high - low) // self.multiple) * self.multiple)
            low = min(low, length - side)
            box.append(slice(low, low + side))
        return tuple(box)
