"""A photo on its way through the network, and how its passes are put together."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mattecli.core.inference.hinting import merged, within_guide
from mattecli.core.inference.pass_sizes import PassSizes
from mattecli.core.matting.blocks import Block
from mattecli.core.matting.hints import Hints
from mattecli.core.matting.meant_regions import Regions
from mattecli.core.matting.placing import resize
from mattecli.core.matting.subjects import chosen_subject

#: A crop replaces what was seen before around uncertain pixels, as far as so many of its pixels.
BLEND_RADIUS_PX = 32

# Alpha is uncertain if it is farther than this from 0 and from 1.
_CERTAIN_MARGIN = 0.02


@dataclass
class PhotoPasses:
    """A photo on its way through the network.

    Attributes
    ----------
    network_input : uint8 ndarray of shape (h, w, 3)
        The photo at the size of its last pass.
    sizes : PassSizes
        Of its passes, of which `count` have been planned.
    crop : uint8 ndarray of shape (h', w', 3), or None
        What the network is to take next; None once all passes are done.
    guidance : float32 ndarray of shape (2, h', w') or None
        What the network is told beside `crop`, if it takes guidance.
    whole, cropped : float32 ndarray or None
        The matte of the newest pass that took the whole photo, and that of `box`.
    box : pair of slices or None
        Part of `network_input` that the last pass takes.
    hints : Hints or None
        What is said of the part of the photo that `network_input` shows.
    frame : pair of slices or None
        That part, in the photo's own pixels, where it is not the whole photo.
    context : PhotoPasses or None
        Passes of the whole photo, which come before those of `frame`; None once they are done.
    known : float32 ndarray of shape (2, h, w) or None
        What the network is told in all passes, at the size of `network_input`.
    unmarked, meant : float32 ndarray of shape (h, w) or None, Regions or None
        The matte without points and strokes, once it is there, and what these mean in it. Photos
        that have some are then seen again if the network takes guidance.
    """

    network_input: np.ndarray
    sizes: PassSizes
    count: int = 0
    crop: np.ndarray | None = None
    whole: np.ndarray | None = None
    box: Block | None = None
    cropped: np.ndarray | None = None
    guidance: np.ndarray | None = None
    hints: Hints | None = None
    frame: Block | None = None
    context: PhotoPasses | None = None
    known: np.ndarray | None = None
    unmarked: np.ndarray | None = None
    meant: Regions | None = None

    @property
    def is_done(self) -> bool:
        """Whether all passes are done."""
        return self.crop is None

    @property
    def is_in_last(self) -> bool:
        """Whether `crop` is what the last pass takes; where there are marks, of this round."""
        if self.sizes.large:
            return self.box is not None
        return self.count == len(self.sizes.whole)

    @property
    def next_crop(self) -> np.ndarray:
        """What the network is to take next, where a pass is left."""
        assert self.crop is not None
        return self.crop


def blend(photo: PhotoPasses) -> np.ndarray:
    """Put the passes of a photo together, once they are done.

    Returns
    -------
    float32 ndarray of shape (h, w), in [0, 1]
        Of the size of `photo.network_input`.
    """
    alpha, hints = _blended(photo), photo.hints
    if hints is None:
        return alpha
    if photo.unmarked is not None:
        return merged(photo.unmarked, alpha, hints, photo.meant)
    if hints.guide is not None:
        alpha = within_guide(alpha, hints.guide)
    alpha[hints.outside(alpha.shape)] = 0
    return chosen_subject(alpha, hints.subject)


def _blended(photo: PhotoPasses) -> np.ndarray:
    assert photo.whole is not None
    shape = photo.network_input.shape[:2]
    if photo.box is None or photo.cropped is None:
        return resize(photo.whole, *shape)
    alpha = cv2.resize(photo.whole, shape[::-1], interpolation=cv2.INTER_LINEAR)
    weight = cv2.resize(is_uncertain(photo.whole), shape[::-1], interpolation=cv2.INTER_NEAREST)
    # An odd kernel has a middle: weights grow and fade alike on all sides.
    kernel = (BLEND_RADIUS_PX + 1, BLEND_RADIUS_PX + 1)
    weight = cv2.dilate(weight[photo.box], np.ones(kernel, np.uint8))
    share = cv2.blur(weight.astype(np.float32), kernel)
    inside = alpha[photo.box]
    np.add(inside, share * (photo.cropped - inside), out=inside)
    return alpha


def is_uncertain(matte: np.ndarray) -> np.ndarray:
    """Tell where a matte is neither clearly subject nor clearly background, 1 or 0, uint8 h×w."""
    return ((matte > _CERTAIN_MARGIN) & (matte < 1 - _CERTAIN_MARGIN)).view(np.uint8)
