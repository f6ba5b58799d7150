"""The subject of a photo: its matte, its colors, and where in the photo it is."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from mattecli.core.imaging.pixels import to_8_bit, to_16_bit
from mattecli.core.matting.blocks import Block
from mattecli.core.matting.edges import Edges, corrected, shaped
from mattecli.core.matting.foreground import estimate_foreground
from mattecli.core.matting.harmonizing import contact_shadow

#: Color is kept under transparent pixels this far from the subject, in pixels, so that resampling
#: a cutout mixes in no black; farther out it is cleared, which hides the old background and packs
#: well.
RIM = 8
#: Smaller alpha is stored as 0 in 8 bits.
VISIBLE = 0.5 / 255


class Subject:
    """A photo and its matte, and what several kinds of output share.

    Parameters
    ----------
    color : ndarray of shape (H, W, 3), uint8 or uint16
    matte : float32 ndarray of shape (H, W), in [0, 1]
        What tells the subject's colors from those behind it.
    bits : int
        8 or 16 per channel of the outputs.
    alpha : float32 ndarray of shape (H, W), in [0, 1], optional
        What shows of the subject, if it is not the matte; beyond it the subject's colors go on.

    Attributes
    ----------
    box : pair of slices
        The subject and what is around it, outside of which all is transparent.
    """

    def __init__(
        self, color: np.ndarray, matte: np.ndarray, bits: int, alpha: np.ndarray | None = None
    ) -> None:
        self.color, self.matte, self.bits = color, matte, bits
        self.alpha = matte if alpha is None else alpha
        self.box = subject_box(self.alpha, RIM)
        #: The subject in its photo, where this one has been placed elsewhere.
        self.photo = self

    @classmethod
    def of(cls, color: np.ndarray, alpha: np.ndarray, bits: int, edges: Edges) -> Subject:
        """Take a photo and its matte, with edges as they are wanted."""
        matte = corrected(alpha, edges)
        return cls(color, matte, bits, shaped(matte, edges))

    @property
    def inverse(self) -> Subject:
        """All but the subject."""
        return Subject(self.color, 1 - self.matte, self.bits, 1 - self.alpha)

    @cached_property
    def foreground(self) -> np.ndarray:
        """Colors without their old background, in the box: ndarray of shape (h, w, 3)."""
        color = to_8_bit(self.color) if self.bits == 8 else to_16_bit(self.color)
        return estimate_foreground(color[self.box], self.matte[self.box])

    @cached_property
    def shadow(self) -> np.ndarray:
        """What it casts where it stands: float32 ndarray of shape (H, W), see `contact_shadow`."""
        return contact_shadow(self.alpha)


def subject_box(alpha: np.ndarray, margin: int, least: float = VISIBLE) -> Block:
    """Find the rows and columns that hold the subject, and `margin` pixels around, in the frame.

    Without any alpha beyond `least` the box is the whole frame.
    """
    visible = alpha > least
    rows, columns = visible.any(axis=1).nonzero()[0], visible.any(axis=0).nonzero()[0]
    if rows.size == 0:
        return slice(0, alpha.shape[0]), slice(0, alpha.shape[1])
    down, across = (
        slice(max(0, int(found[0]) - margin), min(length, int(found[-1]) + 1 + margin))
        for found, length in zip((rows, columns), alpha.shape, strict=True)
    )
    return down, across
