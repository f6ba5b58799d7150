"""Crops of photos that passes take: which box, and how its matte is put into that of the whole."""

from __future__ import annotations

import cv2
import numpy as np

from mattecli.core.matting.blocks import Block

#: A crop replaces what was seen before around uncertain pixels, as far as so many of its pixels.
BLEND_RADIUS_PX = 32
#: Margin of the crop around uncertain pixels, as a fraction of the photo's sides: the network needs
#: to see what it is looking at.
CROP_MARGIN = 0.05
#: On accelerators sides of crops are rounded up to so many steps of the photo's side, so that crops
#: of several photos have one size and share a batch.
CROP_STEPS = 4

# Alpha is uncertain if it is farther than this from 0 and from 1.
_CERTAIN_MARGIN = 0.02
# Where alpha changes by more than the first on average, over windows that are this share of the
# photo's long side wide, it is no edge that changes, but what belongs to the subject. At twice as
# much nothing is taken over.
_OTHER_SUBJECT, _WINDOW = 0.3, 0.03


def is_uncertain(matte: np.ndarray) -> np.ndarray:
    """Give a uint8 mask of where float32 h×w alpha is neither near 0 nor near 1."""
    return ((matte > _CERTAIN_MARGIN) & (matte < 1 - _CERTAIN_MARGIN)).view(np.uint8)


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


def put_into(
    whole: np.ndarray,
    cropped: np.ndarray,
    box: Block,
    shape: tuple[int, int],
    *,
    keeps_subject: bool = False,
) -> np.ndarray:
    """Put the matte of a crop into that of the whole photo, around what is uncertain in that.

    Parameters
    ----------
    whole : float32 ndarray of shape (h', w'), in [0, 1]
        The matte before.
    cropped : float32 ndarray, in [0, 1]
        The matte of `box`.
    box : pair of slices
        In a frame of `shape`.
    shape : (height, width)
        Of the result.
    keeps_subject : bool
        Whether only edges may change, and not what belongs to the subject.

    Returns
    -------
    float32 ndarray of shape (h, w), in [0, 1]
    """
    alpha = cv2.resize(whole, shape[::-1], interpolation=cv2.INTER_LINEAR)
    weight = cv2.resize(is_uncertain(whole), shape[::-1], interpolation=cv2.INTER_NEAREST)
    # An odd kernel has a middle: weights grow and fade alike on all sides.
    kernel = (BLEND_RADIUS_PX + 1, BLEND_RADIUS_PX + 1)
    weight = cv2.dilate(weight[box], np.ones(kernel, np.uint8))
    share = cv2.blur(weight.astype(np.float32), kernel)
    inside = alpha[box]
    change = cropped - inside
    if keeps_subject:
        share *= _share_of_edges(change, max(3, round(_WINDOW * max(shape))))
    np.add(inside, share * change, out=inside)
    return alpha


def _share_of_edges(change: np.ndarray, width: int) -> np.ndarray:
    """Give 1 where a change of alpha averages out in all windows of a width, 0 where it does not.

    A sharper or finer edge takes away as much as it adds; a part that comes or goes does not.
    """
    window = np.ones((width, width), np.uint8)
    mean = np.abs(cv2.blur(change, window.shape))
    return np.clip(2 - cv2.dilate(mean, window) / _OTHER_SUBJECT, 0, 1)
