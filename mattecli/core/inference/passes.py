"""Passes of photos: the whole photo first, then a larger crop of what is uncertain."""

from __future__ import annotations

import numpy as np

from mattecli.core.inference.hinting import (
    box_frame,
    known_map,
    marked_map,
    reduced_map,
)
from mattecli.core.inference.pass_sizes import PassSizes, plan_sizes
from mattecli.core.inference.photo_passes import PhotoPasses, blend, is_uncertain
from mattecli.core.matting.blocks import Block, scaled
from mattecli.core.matting.hints import Hints
from mattecli.core.matting.meant_regions import meant_regions
from mattecli.core.matting.placing import resize
from mattecli.core.runtime.model import MattingModel

#: Margin of the crop around uncertain pixels, as a fraction of the photo's sides: the network needs
#: to see what it is looking at.
CROP_MARGIN = 0.05
#: On accelerators sides of crops are rounded up to so many steps of the photo's side, so that crops
#: of several photos have one size and share a batch.
CROP_STEPS = 4
#: Boxes that hold this share of a photo are looked at by themselves.
MOST_OF_PHOTO = 0.9


class PassPlanner:
    """Plans what a model takes of each photo, pass by pass.

    The first pass takes the whole photo, small, which shows best what the subject is; the last one
    of a large photo takes the box around all that is uncertain then, at a larger size, which shows
    best where the subject ends. Each is told what the one before saw, if the network takes
    guidance. If it does, whole subjects are found better by a network that sees the whole photo
    twice: small ones at 1.5 times the size, large ones before the crop. What is in boxes is then
    seen after all passes of the whole photo, since what is around helps to tell what something is.

    Parameters
    ----------
    model : MattingModel
        Where it does not take inputs of any size, there is always one pass.
    two_pass : bool
        Whether there may be more than one pass.
    scale : float
        Factor on the size of the network's input in a single pass.
    """

    def __init__(self, model: MattingModel, *, two_pass: bool = True, scale: float = 1.0) -> None:
        self.model = model
        self.two_pass = two_pass and model.sizing.is_free
        self.scale = scale

    def sizes(self, height: int, width: int) -> PassSizes:
        """Plan the passes of a photo of that size."""
        sizing = self.model.sizing
        if self.two_pass:
            return plan_sizes(sizing, height, width, guided=self.model.takes_guidance)
        return PassSizes((sizing.input_size(height, width, self.scale),))

    def start(self, image: np.ndarray, hints: Hints | None = None) -> PhotoPasses:
        """Prepare the first pass of a uint8 H×W×3 photo."""
        if hints is None or not hints.boxes:
            photo = self._prepared(image, hints, None)
        else:
            frame = box_frame(hints)
            photo = self._prepared(image[frame], hints.cropped(frame), frame)
            if self._has_context(frame, hints):
                photo.context = self.start(image)
                photo.context.hints = Hints(hints.shape, hints.boxes)
                photo.crop, photo.guidance = photo.context.crop, None
                return photo
        self._plan_whole(photo)
        return photo

    def _prepared(self, image: np.ndarray, hints: Hints | None, frame: Block | None) -> PhotoPasses:
        """Bring a photo, or the part of one that is looked at, to the size of its last pass."""
        sizes = self.sizes(*image.shape[:2])
        photo = PhotoPasses(self.model.prepare(image, sizes.last), sizes, hints=hints, frame=frame)
        if hints is not None and self.model.takes_guidance:
            photo.known = known_map(hints, photo.network_input.shape[:2])
        return photo

    def _has_context(self, frame: Block, hints: Hints) -> bool:
        """Tell whether the network is to see the whole photo before what is in boxes."""
        if not (self.two_pass and self.model.takes_guidance) or hints.guide is not None:
            return False
        rows, columns = (part.stop - part.start for part in frame)
        return rows * columns < MOST_OF_PHOTO * hints.shape[0] * hints.shape[1]

    def advance(self, photo: PhotoPasses, matte: np.ndarray) -> None:
        """Take the matte of `photo.crop`, and set `photo.crop` to the next crop, or to None."""
        photo.crop = None
        if photo.context is not None:
            self._advance_context(photo, photo.context, matte)
            return
        if photo.box is not None:
            photo.cropped = matte
        else:
            photo.whole = matte
        if photo.is_in_last or not (uncertain := is_uncertain(matte)).any():
            self.mark(photo)
        elif photo.count < len(photo.sizes.whole):
            self._plan_whole(photo)
        else:
            self._plan_crop(photo, uncertain)

    def _advance_context(self, photo: PhotoPasses, context: PhotoPasses, matte: np.ndarray) -> None:
        """Take a matte of the whole photo; after the last one go on with what is in the boxes."""
        self.advance(context, matte)
        photo.crop, photo.guidance = context.crop, context.guidance
        if context.is_done:
            assert photo.frame is not None and context.hints is not None
            assert photo.known is not None
            seen = blend(context)
            seen = seen[scaled(photo.frame, seen.shape[:2], context.hints.shape)]
            photo.known[0] = 2 * resize(seen, *photo.known.shape[1:]) - 1
            photo.context = None
            self._plan_whole(photo)

    def mark(self, photo: PhotoPasses) -> None:
        """Let a photo whose passes are done be seen again, told of points and strokes."""
        hints, told = photo.hints, photo.unmarked is not None
        if hints is None or not hints.has_marks or told or not self.model.takes_guidance:
            return
        photo.unmarked = blend(photo)
        photo.meant = meant_regions(photo.network_input, photo.unmarked, hints)
        photo.known = marked_map(hints, photo.unmarked, photo.meant)
        # What passes at smaller sizes would find is in that matte already.
        photo.count = len(photo.sizes.whole) - 1
        photo.whole = photo.box = photo.cropped = None
        self._plan_whole(photo)

    def _plan_whole(self, photo: PhotoPasses) -> None:
        """Plan the next pass that takes the whole photo."""
        size = photo.sizes.whole[photo.count]
        known = None if photo.known is None else reduced_map(photo.known, size)
        photo.count += 1
        photo.crop = resize(photo.network_input, *size)
        if photo.whole is None:
            photo.guidance = known
        elif self.model.takes_guidance:
            photo.guidance = _told(resize(photo.whole, *size), None if known is None else known[1])

    def _plan_crop(self, photo: PhotoPasses, uncertain: np.ndarray) -> None:
        """Plan the pass that takes the box around what is uncertain."""
        steps = CROP_STEPS if self.model.device_type != "cpu" else None
        shape = photo.network_input.shape[:2]
        photo.box = crop_box(uncertain, shape, self.model.sizing.multiple, steps)
        photo.crop = photo.network_input[photo.box]
        if self.model.takes_guidance:
            assert photo.whole is not None
            alpha, known = resize(photo.whole, *shape)[photo.box], photo.known
            photo.guidance = _told(alpha, None if known is None else known[1][photo.box])


def _told(alpha: np.ndarray, marks: np.ndarray | None) -> np.ndarray:
    """Make guidance of what the pass before saw, and of marks, if there are any."""
    return np.stack([2 * alpha - 1, np.zeros_like(alpha) if marks is None else marks])


def infer_batch(model: MattingModel, photos: list[PhotoPasses]) -> list[np.ndarray]:
    """Run the network on the next crops of photos, which have one size and are in one pass."""
    guidance = None
    if any(photo.guidance is not None for photo in photos):
        # A map of zeros is the same as no guidance.
        blank = np.zeros((2, *photos[0].next_crop.shape[:2]), np.float32)
        guidance = [blank if photo.guidance is None else photo.guidance for photo in photos]
    return model.infer([photo.next_crop for photo in photos], guidance)


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
