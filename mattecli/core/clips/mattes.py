"""Mattes of a clip's frames: each is guided by the one before, and follows what was chosen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np

from mattecli.core.clips.motion import SmallFrame, match, warp
from mattecli.core.clips.smoothing import FrameMatte
from mattecli.core.imaging.clips.reading import Frame
from mattecli.core.imaging.pixels import to_8_bit
from mattecli.core.inference.hinting import within_guide
from mattecli.core.inference.pass_sizes import large_pass_size
from mattecli.core.inference.passes import blend
from mattecli.core.inference.predictor import Predictor
from mattecli.core.matting.blocks import scaled
from mattecli.core.matting.full_size import obeyed
from mattecli.core.matting.hints import Hints
from mattecli.core.matting.placing import resize

# Guided frames are so many times as large as those that the network sees by themselves: it knows
# the subject already, and what it takes for its edges is what counts.
_GUIDED_SCALE = 1.2
# Pixels whose match weighs less than this are not known from the frame before.
_KNOWN = 0.5
# Guidance that the network contradicts in so large a share of the subject is worth nothing.
_CONTRADICTED = 0.3
# What follows a subject looks so far around where it was, as a share of the long side.
_REACH = 0.03


class _Carried(NamedTuple):
    """The matte before, where its pixels are now; `known` is False where they were occluded."""

    alpha: np.ndarray
    known: np.ndarray


class ClipMattes:
    """Finds the mattes of a clip, frame after frame.

    The first frame and those after a cut are taken as photos are, in two passes. Every other frame
    has a single pass, and the network is told the matte of the frame before, carried along the
    motion. Where its answer contradicts that, the frame is taken like the first.

    Parameters
    ----------
    predictor : Predictor
    guides : bool
        Whether the matte before is told; a network that takes no guidance sees every frame by
        itself in any case.
    hints : Hints, optional
        Those of the first frame. What they choose is followed up to the next cut: nothing that is
        far from where the subject was becomes subject.

    Attributes
    ----------
    lost : bool
        Whether a cut ended the following.
    """

    def __init__(
        self, predictor: Predictor, *, guides: bool = True, hints: Hints | None = None
    ) -> None:
        self.lost = False
        self._predictor, self._guides = predictor, guides
        self._frames = predictor.at_scale(1)
        self._hints = hints
        self._follows = hints is not None
        self._before: tuple[SmallFrame, np.ndarray] | None = None

    def go_on(self, seen: np.ndarray, matte: np.ndarray, *, lost: bool) -> None:
        """Go on behind a frame of an earlier run.

        Parameters
        ----------
        seen, matte : ndarray
            What `take` gave for it.
        lost : bool
            What `lost` was then.
        """
        self._before, self.lost = (SmallFrame(seen), matte), lost
        self._follows = self._follows and not lost

    def take(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the matte of the next frame, uint8 H×W×3.

        Returns
        -------
        image : uint8 ndarray of shape (h, w, 3)
            The frame at the network's size.
        matte : float32 ndarray of shape (h, w), in [0, 1]
        """
        size = self._size_of(*image.shape[:2])
        seen = self._predictor.model.prepare(image, size)
        small = SmallFrame(seen)
        carried = self._carry(small, size)
        if carried is None:
            self.lost = self.lost or (self._follows and self._before is not None)
            self._follows = self._follows and not self.lost
            matte = self._as_photo(image, seen, self._hints if self._before is None else None)
        else:
            matte = self._guided(image, seen, carried)
            if self._follows:
                matte = _followed(matte, carried)
        self._before = small, matte
        return seen, matte

    def _size_of(self, height: int, width: int) -> tuple[int, int]:
        """Plan the (height, width) at which the network sees a frame."""
        sizing = self._predictor.model.sizing
        large = large_pass_size(sizing, height, width)
        if not (self._guides and self._predictor.model.takes_guidance and large):
            return sizing.input_size(height, width)
        return min(large, sizing.input_size(height, width, _GUIDED_SCALE))

    def _carry(self, small: SmallFrame, size: tuple[int, int]) -> _Carried | None:
        """Carry the matte before to this frame; None if there is none of its scene."""
        if self._before is None:
            return None
        found = match(small, self._before[0])
        if not found.is_same_scene:
            return None
        weight, motion = found.resized(size)
        return _Carried(warp(self._before[1], motion), weight > _KNOWN)

    def _guided(self, image: np.ndarray, seen: np.ndarray, carried: _Carried) -> np.ndarray:
        model = self._predictor.model
        if not (self._guides and model.takes_guidance):
            return self._single(image)
        alpha, known = carried
        guidance = np.stack([np.where(known, 2 * alpha - 1, 0), np.zeros_like(alpha)])
        (matte,) = model.infer([seen], [guidance.astype(np.float32)])
        contradicted = float(np.abs(matte - alpha)[known].sum())
        if contradicted > _CONTRADICTED * max(float(matte.sum()), float(alpha.sum()), 1):
            return self._as_photo(image, seen)
        return matte

    def _single(self, image: np.ndarray) -> np.ndarray:
        """Take a frame through a single pass, as if there were no other."""
        return self._frames.network_mattes([image])[0][1]

    def _as_photo(
        self, image: np.ndarray, seen: np.ndarray, hints: Hints | None = None
    ) -> np.ndarray:
        """Take a frame through all passes, as if there were no other."""
        photo = self._predictor.planner.start(image, hints)
        self._predictor.complete([photo])
        matte, shape = blend(photo), (seen.shape[0], seen.shape[1])
        # Boxes let the network see a part of the frame only.
        everything = (slice(0, shape[0]), slice(0, shape[1]))
        block = scaled(photo.frame, shape, image.shape[:2]) if photo.frame else everything
        whole = np.zeros(shape, np.float32)
        whole[block] = resize(matte, *whole[block].shape)
        matte = np.clip(whole, 0, 1)
        return matte if hints is None else obeyed(seen, matte, hints.resized(shape))


def _followed(matte: np.ndarray, carried: _Carried) -> np.ndarray:
    """Hold a matte to what was subject before, except near its border and where it is unknown."""
    reach = 2 * max(1, round(_REACH * max(matte.shape))) + 1
    near = cv2.dilate((carried.alpha > 0.5).view(np.uint8), np.ones((reach, reach), np.uint8))
    return within_guide(matte, np.where(carried.known, carried.alpha, matte * near))


def frame_mattes(
    frames: Iterable[Frame], predictor: Predictor, batch_size: int, clip: ClipMattes | None
) -> Iterator[FrameMatte[Frame]]:
    """Find the mattes of frames, in batches where `clip` does not take one after the other."""
    frames = iter(frames)
    if clip is not None:
        for frame in frames:
            yield FrameMatte(frame, *clip.take(to_8_bit(frame.color)))
        return
    while batch := list(islice(frames, batch_size)):
        mattes = predictor.network_mattes([to_8_bit(frame.color) for frame in batch])
        for frame, (network_input, matte) in zip(batch, mattes, strict=True):
            yield FrameMatte(frame, network_input, matte)
