"""Two-pass inference: the whole photo first, then a larger crop of what is uncertain."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mattecli.core.inference.hinting import (
    box_frame,
    known_map,
    marked_map,
    merged,
    reduced_map,
    within_guide,
)
from mattecli.core.matting.blocks import Block
from mattecli.core.matting.hints import Hints
from mattecli.core.matting.meant_regions import Regions, meant_regions
from mattecli.core.matting.placing import resize
from mattecli.core.matting.subjects import chosen_subject
from mattecli.core.runtime.model import MattingModel
from mattecli.core.runtime.sizing import Sizing, resized_size

#: Size of the photo in the second pass, relative to the first.
SECOND_PASS_SCALE = 1.5
#: The second pass enlarges a photo to so many times its own size at most. Photos so small that the
#: first pass would then be smaller than the network can do with have a single pass.
MAX_UPSCALE = 1.2
#: Where the first pass has a size of its own, photos whose second pass would not be so many times
#: as large have a single one: it would show the same again.
MIN_SECOND_PASS_SCALE = 1.25
#: In the second pass the whole photo would have at most this fraction of its own pixels, which
#: takes less time than cutting so many out,
MAX_PIXEL_FRACTION = 0.35
#: or this multiple of the area of a square photo in a single pass, or photos of a megapixel would
#: take long.
MAX_AREA_FACTOR = 1.1
#: The second pass replaces the first around uncertain pixels, as far as so many of its pixels.
BLEND_RADIUS_PX = 32
#: Margin of the crop around uncertain pixels, as a fraction of the photo's sides: the network needs
#: to see what it is looking at.
CROP_MARGIN = 0.05
#: On accelerators sides of crops are rounded up to so many steps of the photo's side, so that crops
#: of several photos have one size and share a batch.
CROP_STEPS = 4

# Alpha of the first pass is uncertain if it is farther than this from 0 and from 1.
_CERTAIN_MARGIN = 0.02


@dataclass
class PhotoPasses:
    """A photo on its way through the network.

    Attributes
    ----------
    network_input : uint8 ndarray of shape (h, w, 3)
        The photo at the size of its last pass.
    crop : uint8 ndarray of shape (h', w', 3), or None
        What the network is to take next; None once all passes are done.
    first_size : (height, width) or None
        Size of the first of two passes; None where there is one pass.
    guidance : float32 ndarray of shape (2, h', w') or None
        What the network is told beside `crop`, if it takes guidance.
    first, second : float32 ndarray or None
        Mattes of the passes that are done; the second one is of `box`.
    box : pair of slices or None
        Part of `network_input` that the second pass takes.
    hints : Hints or None
        What is said of the part of the photo that `network_input` shows.
    frame : pair of slices or None
        That part, in the photo's own pixels, where it is not the whole photo.
    known : float32 ndarray of shape (2, h, w) or None
        What the network is told in all passes, at the size of `network_input`.
    unmarked, meant : float32 ndarray of shape (h, w) or None, Regions or None
        The matte without points and strokes, once it is there, and what these mean in it. Photos
        that have some go through all passes a second time if the network takes guidance.
    """

    network_input: np.ndarray
    crop: np.ndarray | None = None
    first_size: tuple[int, int] | None = None
    first: np.ndarray | None = None
    box: Block | None = None
    second: np.ndarray | None = None
    guidance: np.ndarray | None = None
    hints: Hints | None = None
    frame: Block | None = None
    known: np.ndarray | None = None
    unmarked: np.ndarray | None = None
    meant: Regions | None = None

    @property
    def is_done(self) -> bool:
        """Whether all passes are done."""
        return self.crop is None

    @property
    def next_crop(self) -> np.ndarray:
        """What the network is to take next, where a pass is left."""
        assert self.crop is not None
        return self.crop


class PassPlanner:
    """Plans what a model takes of each photo, pass by pass.

    The first pass takes the whole photo, which shows best what the subject is; the second one takes
    the box around all that is uncertain then, at 1.5 times that size, which shows best where the
    subject ends. The larger a photo, the larger both passes, up to the size that the network was
    trained for in the first one. Small photos have a single pass, at that size or their own.

    Parameters
    ----------
    model : MattingModel
        Where it does not take inputs of any size, there is always one pass.
    two_pass : bool
    scale : float
        Factor on the size of the network's input in a single pass.
    """

    def __init__(self, model: MattingModel, *, two_pass: bool = True, scale: float = 1.0) -> None:
        self.model = model
        self.two_pass = two_pass and model.sizing.is_free
        self.scale = scale

    def input_sizes(
        self, height: int, width: int
    ) -> tuple[tuple[int, int], tuple[int, int] | None]:
        """Plan the passes of a photo.

        Returns
        -------
        size : (height, width)
            Size of the whole photo in the last pass.
        first_size : (height, width) or None
            Its size in the first of two passes; None for a single pass.
        """
        sizing = self.model.sizing
        if self.two_pass and (size := second_pass_size(sizing, height, width)):
            first = sizing.first_pass_size
            scale = first / max(size) if first else 1 / SECOND_PASS_SCALE
            return size, resized_size(*size, scale, sizing.multiple)
        return sizing.input_size(height, width, self.scale), None

    def start(self, image: np.ndarray, hints: Hints | None = None) -> PhotoPasses:
        """Prepare the first pass of a uint8 H×W×3 photo, of which only the boxes are looked at."""
        frame = None
        if hints is not None and hints.boxes:
            frame = box_frame(hints)
            image, hints = image[frame], hints.cropped(frame)
        size, first_size = self.input_sizes(*image.shape[:2])
        prepared = self.model.prepare(image, size)
        photo = PhotoPasses(prepared, first_size=first_size, hints=hints, frame=frame)
        if hints is not None and self.model.takes_guidance:
            photo.known = known_map(hints, prepared.shape[:2])
        self._begin(photo)
        return photo

    @staticmethod
    def _begin(photo: PhotoPasses) -> None:
        """Plan the first pass."""
        size = photo.first_size or photo.network_input.shape[:2]
        photo.first = photo.box = photo.second = None
        photo.crop = resize(photo.network_input, *size)
        photo.guidance = None if photo.known is None else reduced_map(photo.known, size)

    def advance(self, photo: PhotoPasses, matte: np.ndarray) -> None:
        """Take the matte of `photo.crop`, and set `photo.crop` to the next crop, or to None."""
        photo.crop = None
        if photo.first is not None:
            photo.second = matte
        else:
            photo.first = matte
            if photo.first_size is not None and (uncertain := _is_uncertain(matte)).any():
                self._plan_second(photo, uncertain)
                return
        self.mark(photo)

    def mark(self, photo: PhotoPasses) -> None:
        """Let a photo whose passes are done go through them again, told of points and strokes."""
        hints, told = photo.hints, photo.unmarked is not None
        if hints is None or not hints.has_marks or told or not self.model.takes_guidance:
            return
        photo.unmarked = blend(photo)
        photo.meant = meant_regions(photo.network_input, photo.unmarked, hints)
        photo.known = marked_map(hints, photo.unmarked, photo.meant)
        self._begin(photo)

    def _plan_second(self, photo: PhotoPasses, uncertain: np.ndarray) -> None:
        """Plan the second pass, which is told what the first one saw: alpha as -1 to 1."""
        steps = CROP_STEPS if self.model.device_type != "cpu" else None
        shape = photo.network_input.shape[:2]
        photo.box = crop_box(uncertain, shape, self.model.sizing.multiple, steps)
        photo.crop = photo.network_input[photo.box]
        if self.model.takes_guidance:
            assert photo.first is not None
            alpha = resize(photo.first, *shape)[photo.box]
            marks = np.zeros_like(alpha) if photo.known is None else photo.known[1][photo.box]
            photo.guidance = np.stack([2 * alpha - 1, marks])


def infer_batch(model: MattingModel, photos: list[PhotoPasses]) -> list[np.ndarray]:
    """Run the network on the next crops of photos, which have one size and are in one pass."""
    guidance = None
    if any(photo.guidance is not None for photo in photos):
        # A map of zeros is the same as no guidance.
        blank = np.zeros((2, *photos[0].next_crop.shape[:2]), np.float32)
        guidance = [blank if photo.guidance is None else photo.guidance for photo in photos]
    return model.infer([photo.next_crop for photo in photos], guidance)


def second_pass_size(sizing: Sizing, height: int, width: int) -> tuple[int, int] | None:
    """Give the (height, width) of a whole photo in the second pass; None if it has a single one."""
    longer = max(height, width)
    pixels = max(MAX_AREA_FACTOR * sizing.size**2, MAX_PIXEL_FRACTION * height * width)
    long_side = min(
        MAX_UPSCALE * longer,
        SECOND_PASS_SCALE * sizing.size,
        (pixels / (height * width)) ** 0.5 * longer,
    )
    if sizing.first_pass_size:
        least = MIN_SECOND_PASS_SCALE * sizing.first_pass_size
    else:
        least = SECOND_PASS_SCALE * min(sizing.min_size, sizing.size)
    if long_side < least:
        return None
    return resized_size(height, width, long_side / longer, sizing.multiple)


def crop_box(
    uncertain: np.ndarray, shape: tuple[int, int], multiple: int, steps: int | None = None
) -> Block:
    """Find the box around what is uncertain, with its margin.

    Parameters
    ----------
    uncertain : uint8 ndarray of shape (h, w)
        Not all 0.
    shape : (height, width)
        Of the frame that the box is for; multiples of `multiple`.
    multiple : int
        What the box's sides are multiples of.
    steps : int, optional
        Round the sides up to so many steps of the frame's sides instead.
    """
    box = []
    for axis, length in enumerate(shape):
        step = multiple * (-(-length // (multiple * steps)) if steps else 1)
        found = np.flatnonzero(uncertain.any(axis=1 - axis)) / uncertain.shape[axis]
        low = max(0, int((found[0] - CROP_MARGIN) * length))
        high = min(length, int((found[-1] + CROP_MARGIN) * length) + 1)
        side = min(length, -(-(high - low) // step) * step)
        low = min(low, length - side)
        box.append(slice(low, low + side))
    return box[0], box[1]


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
    assert photo.first is not None
    if photo.first_size is None:
        return photo.first
    shape = photo.network_input.shape[:2]
    if photo.box is None or photo.second is None:
        return resize(photo.first, *shape)
    alpha = cv2.resize(photo.first, shape[::-1], interpolation=cv2.INTER_LINEAR)
    weight = cv2.resize(_is_uncertain(photo.first), shape[::-1], interpolation=cv2.INTER_NEAREST)
    # An odd kernel has a middle: weights grow and fade alike on all sides.
    kernel = (BLEND_RADIUS_PX + 1, BLEND_RADIUS_PX + 1)
    weight = cv2.dilate(weight[photo.box], np.ones(kernel, np.uint8))
    share = cv2.blur(weight.astype(np.float32), kernel)
    inside = alpha[photo.box]
    np.add(inside, share * (photo.second - inside), out=inside)
    return alpha


def _is_uncertain(matte: np.ndarray) -> np.ndarray:
    return ((matte > _CERTAIN_MARGIN) & (matte < 1 - _CERTAIN_MARGIN)).view(np.uint8)
