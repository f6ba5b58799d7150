"""From a photo and its matte to what the user asked for: alpha, cutout, composite and so on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.pixels import check_bits, to_8_bit, to_16_bit, to_bits, to_unit
from mattecli.core.matting.backgrounds import Blur, blurred
from mattecli.core.matting.blocks import Block, strips
from mattecli.core.matting.compositing import composite
from mattecli.core.matting.edges import Edges
from mattecli.core.matting.framing import Framing, PlacedSubject
from mattecli.core.matting.placing import fill_frame
from mattecli.core.matting.subject import RIM, VISIBLE, Subject, subject_box

_NEAR = np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)
# Alpha this near to 0 or 1 is certain in a trimap, whose unknown band is wider than the soft edge
# by this share of the photo's long side.
_CERTAIN, _BAND = 0.02, 0.01


@dataclass(frozen=True)
class OutputSpec:
    """What is made of a photo.

    Attributes
    ----------
    kinds : tuple of str
        Any of `KINDS`.
    bits : int
        8 or 16 per channel.
    background : ndarray, Blur or None
        For composites: a color of shape (3,), float32 in [0, 1], a picture of shape (H, W, 3),
        uint8 or uint16, or the photo's own.
    crop : float or None
        Crop to the subject and its shadow, with a margin of this share of the subject's longer
        side; None keeps the frame.
    edges : Edges
        What is done to the matte before.
    framing : Framing or None
        Where the subject is placed on a canvas; None leaves it where it is.
    shadow : bool
        Draw a shadow where it stands, in composites and cutouts.
    """

    kinds: tuple[str, ...] = ("cutout",)
    bits: int = 8
    background: np.ndarray | Blur | None = None
    crop: float | None = None
    edges: Edges = field(default_factory=Edges)
    framing: Framing | None = None
    shadow: bool = False

    def __post_init__(self) -> None:
        """Refuse what means nothing.

        Raises
        ------
        MatteError
        """
        check_bits(self.bits)
        if self.crop is not None and not 0 <= self.crop < math.inf:
            raise MatteError(f"the room that a crop leaves is 0 or more, not {self.crop}")


class Output(Protocol):
    """One kind of output."""

    def render(self, subject: Subject) -> np.ndarray:
        """Make it, in the photo's frame, uint8 or uint16."""
        ...


class AlphaOutput:
    """The matte, grey."""

    def render(self, subject: Subject) -> np.ndarray:
        """Give an ndarray of shape (H, W)."""
        return to_bits(subject.alpha, subject.bits)


class CutoutOutput:
    """Straight colors and alpha; colors far from the subject are cleared.

    Its `shadow` is black, and as transparent as it is light.
    """

    def __init__(self, shadow: bool = False) -> None:
        self.shadow = shadow

    def render(self, subject: Subject) -> np.ndarray:
        """Give an ndarray of shape (H, W, 4)."""
        foreground, alpha, box = subject.foreground, subject.alpha, subject.box
        result = np.zeros((*alpha.shape, 4), foreground.dtype)
        near = cv2.dilate((alpha[box] > VISIBLE).view(np.uint8), _NEAR)
        inside = result[box]
        for strip in strips(foreground.shape):
            inside[strip][..., :3] = cv2.copyTo(foreground[strip], near[strip])
        for strip in strips(alpha.shape):
            result[strip][..., 3] = to_bits(alpha[strip], subject.bits)
        if self.shadow:
            self._add_shadow(result, subject)
        return result

    @staticmethod
    def _add_shadow(result: np.ndarray, subject: Subject) -> None:
        dark = subject.shadow
        for strip in strips(dark.shape):
            alpha, part = subject.alpha[strip], result[strip]
            together = alpha + (1 - alpha) * dark[strip]
            share = alpha / np.maximum(together, 1e-6)
            shaded = dark[strip] > VISIBLE
            colors = to_bits(to_unit(part[..., :3]) * share[..., None], subject.bits)
            part[..., :3] = np.where(shaded[..., None], colors, part[..., :3])
            part[..., 3] = to_bits(together, subject.bits)


class ForegroundOutput:
    """Colors alone, continued over the whole frame."""

    def render(self, subject: Subject) -> np.ndarray:
        """Give an ndarray of shape (H, W, 3)."""
        return extend_to_frame(subject.foreground, subject.box, subject.alpha.shape)


class CompositeOutput:
    """The subject on a background, as `OutputSpec` has it, perhaps with a shadow."""

    def __init__(self, background: np.ndarray | Blur | None, shadow: bool = False) -> None:
        assert background is not None, "a composite needs a background"
        self.background, self.shadow = background, shadow

    def render(self, subject: Subject) -> np.ndarray:
        """Give an ndarray of shape (H, W, 3)."""
        bits, box = subject.bits, subject.box
        foreground, result = subject.foreground, self.behind(subject)
        plain = None if self.shadow else _color_of(self.background)
        inside, alpha = result[box], subject.alpha[box]
        for strip in strips(alpha.shape):
            behind = to_unit(inside[strip]) if plain is None else plain
            mixed = composite(alpha[strip], to_unit(foreground[strip]), behind)
            inside[strip] = to_bits(mixed, bits)
        return result

    def behind(self, subject: Subject) -> np.ndarray:
        """Give the background with the shadow, uint8 or uint16 of shape (H, W, 3)."""
        result = self._background(subject)
        if self.shadow:
            dark = subject.shadow
            for strip in strips(dark.shape):
                light = to_unit(result[strip]) * (1 - dark[strip])[..., None]
                result[strip] = to_bits(light, subject.bits)
        return result

    def _background(self, subject: Subject) -> np.ndarray:
        background, bits = self.background, subject.bits
        if (color := _color_of(background)) is not None:
            plain = np.empty((*subject.alpha.shape, 3), np.uint8 if bits == 8 else np.uint16)
            plain[:] = to_bits(color, bits)
            return plain
        if isinstance(background, Blur):
            others = subject.photo.inverse
            scene = extend_to_frame(others.foreground, others.box, others.alpha.shape)
            background = blurred(scene, background)
        background = to_8_bit(background) if bits == 8 else to_16_bit(background)
        return fill_frame(background, subject.alpha.shape)


def _color_of(background: np.ndarray | Blur) -> np.ndarray | None:
    """Give the background if it is a color."""
    return None if isinstance(background, Blur) or background.ndim == 3 else background


class BackgroundOutput:
    """The scene without the subject: its colors free of the subject's, its alpha inverted."""

    def render(self, subject: Subject) -> np.ndarray:
        """Give an ndarray of shape (H, W, 4)."""
        return CutoutOutput().render(subject.inverse)


class TrimapOutput:
    """What is certain, and a band around the edge that is not: 0, 128 or 255, or their like."""

    def render(self, subject: Subject) -> np.ndarray:
        """Give an ndarray of shape (H, W)."""
        return to_bits(make_trimap(subject.alpha).astype(np.float32) / 255, subject.bits)


#: How each kind of output is made.
OUTPUTS: dict[str, Callable[[OutputSpec], Output]] = {
    "cutout": lambda spec: CutoutOutput(spec.shadow),
    "alpha": lambda spec: AlphaOutput(),
    "foreground": lambda spec: ForegroundOutput(),
    "composite": lambda spec: CompositeOutput(spec.background, spec.shadow),
    "background": lambda spec: BackgroundOutput(),
    "trimap": lambda spec: TrimapOutput(),
}
KINDS = tuple(OUTPUTS)
#: Those that need a format with transparency.
TRANSPARENT = frozenset({"cutout", "background"})
#: Those that hold numbers and no colors.
GREY = frozenset({"alpha", "trimap"})


def render_outputs(color: np.ndarray, alpha: np.ndarray, spec: OutputSpec) -> dict[str, np.ndarray]:
    """Make every output of one photo.

    Parameters
    ----------
    color : ndarray of shape (H, W, 3), uint8 or uint16
    alpha : float32 ndarray of shape (H, W), in [0, 1]

    Returns
    -------
    dict of ndarray
        For each kind an image of 8 or 16 bits: those of `GREY` have one channel, those of
        `TRANSPARENT` are RGBA with straight color, the others RGB.
    """
    return render(Subject.of(color, alpha, spec.bits, spec.edges), spec)


def render(subject: Subject, spec: OutputSpec) -> dict[str, np.ndarray]:
    """Make every output of a subject; see `render_outputs`."""
    if spec.framing is not None and not isinstance(subject, PlacedSubject):
        subject = PlacedSubject(subject, spec.framing)
    results = {kind: OUTPUTS[kind](spec).render(subject) for kind in spec.kinds}
    window = _crop(subject, spec)
    return {kind: result[window] for kind, result in results.items()}


def _crop(subject: Subject, spec: OutputSpec) -> Block:
    if spec.crop is None:
        return slice(None), slice(None)
    height, width = (part.stop - part.start for part in subject_box(subject.alpha, 0))
    shown = np.maximum(subject.alpha, subject.shadow) if spec.shadow else subject.alpha
    return subject_box(shown, round(spec.crop * max(height, width)))


def layers_of(
    subject: Subject, spec: OutputSpec, kind: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Give what a file with layers is made of: what is behind, the subject's colors, alpha, shadow.

    Behind a cutout is its photo, which a subject on a canvas has left, so that white takes its
    place there; behind a composite is its background. A shadow of its own, float32 of shape (H, W),
    has a cutout only: on a background it lies already.
    """
    colors = extend_to_frame(subject.foreground, subject.box, subject.alpha.shape)
    if kind == "composite":
        behind = CompositeOutput(spec.background, spec.shadow).behind(subject)
    elif subject.photo is not subject:
        behind = np.full_like(colors, np.iinfo(colors.dtype).max)
    else:
        behind = subject.color
    window = _crop(subject, spec)
    shadow = subject.shadow[window] if spec.shadow and kind == "cutout" else None
    return behind[window], colors[window], subject.alpha[window], shadow


def make_trimap(alpha: np.ndarray) -> np.ndarray:
    """Make a trimap of a matte: what is soft is unknown, and what lies around it.

    Parameters
    ----------
    alpha : float32 ndarray of shape (H, W), in [0, 1]

    Returns
    -------
    uint8 ndarray of shape (H, W)
        0 is background, 128 unknown, 255 subject.
    """
    radius = max(2, round(_BAND * max(alpha.shape)))
    square = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    trimap = np.full(alpha.shape, 128, np.uint8)
    # The frame's border erodes nothing.
    trimap[cv2.erode((alpha <= _CERTAIN).view(np.uint8), square) > 0] = 0
    trimap[cv2.erode((alpha >= 1 - _CERTAIN).view(np.uint8), square) > 0] = 255
    return trimap


def extend_to_frame(inner: np.ndarray, box: Block, frame: tuple[int, int]) -> np.ndarray:
    """Continue the colors at the edge of the box to the whole frame (height, width)."""
    (top, bottom), (left, right) = (
        (part.start, length - part.stop) for part, length in zip(box, frame, strict=True)
    )
    return cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_REPLICATE)
