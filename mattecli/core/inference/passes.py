"""Passes of photos: the whole photo first, then larger crops of what is uncertain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mattecli.core.inference.crops import CROP_STEPS, crop_box, is_uncertain, put_into
from mattecli.core.inference.hinting import (
    box_frame,
    known_map,
    marked_map,
    merged,
    reduced_map,
    within_guide,
)
from mattecli.core.inference.pass_sizes import PassSizes, plan_sizes
from mattecli.core.matting.blocks import Block
from mattecli.core.matting.full_size import NetworkMatte
from mattecli.core.matting.hints import Hints
from mattecli.core.matting.meant_regions import Regions, meant_regions
from mattecli.core.matting.placing import resize
from mattecli.core.matting.subjects import chosen_subject
from mattecli.core.runtime.model import MattingModel


@dataclass
class PhotoPasses:
    """A photo on its way through the network.

    Attributes
    ----------
    network_input : uint8 ndarray of shape (h, w, 3)
        The photo at the size of its last pass but that for detail.
    sizes : PassSizes
        Of its passes, of which `count` have been planned.
    crop : uint8 ndarray of shape (h', w', 3), or None
        What the network is to take next; None once all passes are done.
    guidance : float32 ndarray of shape (2, h', w') or None
        What the network is told beside `crop`, if it takes guidance.
    whole, cropped : float32 ndarray or None
        The matte of the whole photo so far, and that of `box`.
    box : pair of slices or None
        Part of the photo that the newest pass takes, at the size of that pass.
    hints : Hints or None
        What is said of the part of the photo that the network sees.
    frame : pair of slices or None
        That part, in the photo's own pixels, where it is not the whole photo.
    known : float32 ndarray of shape (2, h, w) or None
        What the network is told in all passes.
    detail : uint8 ndarray of shape (h'', w'', 3) or None
        The photo at the size of its detail pass, if it has one.
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
    known: np.ndarray | None = None
    detail: np.ndarray | None = None
    unmarked: np.ndarray | None = None
    meant: Regions | None = None

    @property
    def seen(self) -> np.ndarray:
        """The photo at the size of its last pass, which its matte has, too."""
        return self.network_input if self.detail is None else self.detail

    @property
    def is_done(self) -> bool:
        """Whether all passes are done."""
        return self.crop is None

    @property
    def is_in_last(self) -> bool:
        """Whether `crop` is what the last pass takes; where there are marks, of this round."""
        return self.count == len(self.sizes.whole) + len(self.sizes.cropped)

    @property
    def next_crop(self) -> np.ndarray:
        """What the network is to take next, where a pass is left."""
        assert self.crop is not None
        return self.crop


class PassPlanner:
    """Plans what a model takes of each photo, pass by pass.

    The first pass takes the whole photo, small, which shows best what the subject is; the last one
    of a large photo takes the box around all that is uncertain then, at a larger size, which shows
    best where the subject ends. Each is told what the one before saw, if the network takes
    guidance. If it does, whole subjects are found better by a network that sees the whole photo
    twice: small ones at 1.5 times the size, large ones before the crop. On request it then sees a
    still larger crop, which draws edges finer.

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

    def sizes(self, height: int, width: int, *, detailed: bool = False) -> PassSizes:
        """Plan the passes of a photo of that size."""
        sizing, guided = self.model.sizing, self.model.takes_guidance
        if self.two_pass:
            return plan_sizes(sizing, height, width, guided=guided, detailed=detailed and guided)
        return PassSizes((sizing.input_size(height, width, self.scale),))

    def start(
        self, image: np.ndarray, hints: Hints | None = None, *, detailed: bool = False
    ) -> PhotoPasses:
        """Prepare the first pass of a uint8 H×W×3 photo, of which only the boxes are looked at.

        `detailed` asks for a detail pass, which a network without guidance does not have.
        """
        frame = None
        if hints is not None and hints.boxes:
            frame = box_frame(hints)
            image, hints = image[frame], hints.cropped(frame)
        sizes = self.sizes(*image.shape[:2], detailed=detailed)
        prepared = self.model.prepare(image, sizes.last)
        photo = PhotoPasses(prepared, sizes, hints=hints, frame=frame)
        if sizes.detail:
            photo.detail = self.model.prepare(image, sizes.detail)
        if hints is not None and self.model.takes_guidance:
            photo.known = known_map(hints, prepared.shape[:2])
        self._plan_whole(photo)
        return photo

    def advance(self, photo: PhotoPasses, matte: np.ndarray) -> None:
        """Take the matte of `photo.crop`, and set `photo.crop` to the next crop, or to None."""
        photo.crop = None
        if photo.box is not None:
            photo.cropped = matte
        else:
            photo.whole = matte
        if photo.is_in_last or not is_uncertain(matte).any():
            self.mark(photo)
        elif photo.count < len(photo.sizes.whole):
            self._plan_whole(photo)
        else:
            photo.whole, photo.box, photo.cropped = _so_far(photo), None, None
            self._plan_crop(photo)

    def mark(self, photo: PhotoPasses) -> None:
        """Let a photo whose passes are done be seen again, told of points and strokes."""
        hints, told = photo.hints, photo.unmarked is not None
        if hints is None or not hints.has_marks or told or not self.model.takes_guidance:
            return
        photo.unmarked = blend(photo)
        photo.meant = meant_regions(photo.seen, photo.unmarked, hints)
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

    def _plan_crop(self, photo: PhotoPasses) -> None:
        """Plan the next pass that takes the box around what is uncertain."""
        assert photo.whole is not None
        steps = CROP_STEPS if self.model.device_type != "cpu" else None
        shape = photo.sizes.cropped[photo.count - len(photo.sizes.whole)]
        photo.count += 1
        uncertain = is_uncertain(photo.whole)
        photo.box = crop_box(uncertain, shape, self.model.sizing.multiple, steps)
        image = photo.detail if shape == photo.sizes.detail else photo.network_input
        assert image is not None
        photo.crop = image[photo.box]
        if self.model.takes_guidance:
            known = None if photo.known is None else reduced_map(photo.known, shape)
            alpha = resize(photo.whole, *shape)[photo.box]
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


def blend(photo: PhotoPasses) -> np.ndarray:
    """Put the passes of a photo together, once they are done.

    Returns
    -------
    float32 ndarray of shape (h, w), in [0, 1]
        Of the size of `photo.seen`.
    """
    hints = photo.hints
    alpha = resize(_so_far(photo), *photo.seen.shape[:2])
    if hints is None:
        return alpha
    if photo.unmarked is not None:
        return merged(photo.unmarked, alpha, hints, photo.meant)
    if hints.guide is not None:
        alpha = within_guide(alpha, hints.guide)
    alpha[hints.outside(alpha.shape)] = 0
    return chosen_subject(alpha, hints.subject)


def network_matte(photo: PhotoPasses) -> NetworkMatte:
    """Give what the network found of a photo, once all passes are done."""
    before = photo.sizes.last if photo.sizes.detail else None
    return NetworkMatte(blend(photo), photo.seen, photo.frame, before)


def _so_far(photo: PhotoPasses) -> np.ndarray:
    """Give the matte that all passes up to now make, at the size of the newest."""
    assert photo.whole is not None
    if photo.box is None or photo.cropped is None:
        return photo.whole
    shape = photo.sizes.cropped[photo.count - len(photo.sizes.whole) - 1]
    keeps_subject = shape == photo.sizes.detail
    return put_into(photo.whole, photo.cropped, photo.box, shape, keeps_subject=keeps_subject)
