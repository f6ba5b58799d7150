"""Laying a cutout onto a background: frames, placement and light."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.colors import linear_to_srgb, srgb_to_linear
from mattecli.core.imaging.pixels import MAX_PIXELS, Picture, to_unit
from mattecli.core.matting.compositing import composite
from mattecli.core.matting.harmonizing import contact_shadow, match_color
from mattecli.core.matting.placing import check_fit, fill_frame, fitted_size, overlap, resize

#: Whose frame a result can have.
CANVASES = ("foreground", "background")
#: Of a smaller cutout nothing would be left.
LEAST_SCALE = 0.001


@dataclass(frozen=True)
class Layout:
    """How cutout and background come together.

    Attributes
    ----------
    canvas : {"foreground", "background"}
        Whose frame the result has.
    fit : {"cover", "contain", "stretch"} or None
        How the other one is fitted into that frame; None covers the foreground's frame and stays
        inside the background's.
    scale : float
        Factor on the size of the cutout after fitting.
    position : tuple of float
        Share of the free room to the left of and above the cutout.
    linear : bool
        Mix amounts of light rather than sRGB values.
    match, shadow : bool
        Adapt the cutout's colors to what it is laid on; draw a shadow where it stands.
    """

    canvas: str = "foreground"
    fit: str | None = None
    scale: float = 1.0
    position: tuple[float, float] = (0.5, 0.5)
    linear: bool = False
    match: bool = False
    shadow: bool = False

    def __post_init__(self) -> None:
        """Refuse what means nothing.

        Raises
        ------
        MatteError
        """
        if self.canvas not in CANVASES:
            raise MatteError(f"no canvas '{self.canvas}': use one of {', '.join(CANVASES)}")
        if self.fit is not None:
            check_fit(self.fit)
        if not LEAST_SCALE <= self.scale < math.inf:
            raise MatteError(f"the scale {self.scale} is not {LEAST_SCALE} or more")
        if len(self.position) != 2 or not all(map(math.isfinite, self.position)):
            raise MatteError(f"{self.position} is no position: use two shares (x, y)")


def compose(cutout: Picture, background: np.ndarray, layout: Layout) -> np.ndarray:
    """Lay a cutout with straight colors onto a background.

    Parameters
    ----------
    cutout : Picture
        With alpha.
    background : ndarray
        A color as float32 of shape (3,) in [0, 1], whose frame is that of the cutout, or a
        picture as uint8 or uint16 of shape (H, W, 3).

    Returns
    -------
    float32 ndarray of shape (height, width, 3), in [0, 1]

    Raises
    ------
    MatteError
        If the cutout would become too large.
    """
    assert cutout.alpha is not None
    size = cutout.alpha.shape
    is_color = background.ndim == 1
    frame = size if layout.canvas == "foreground" or is_color else background.shape[:2]
    fit = layout.fit or ("cover" if layout.canvas == "foreground" else "contain")
    canvas = np.empty((*frame, 3), np.float32)
    canvas[:] = background if is_color else to_unit(fill_frame(background, frame, fit))

    taken = fitted_size(size, frame, "stretch" if frame == size else fit, layout.scale)
    if math.prod(taken) > MAX_PIXELS:
        raise MatteError(
            f"a cutout of {taken[1]}x{taken[0]} pixels is more than {MAX_PIXELS / 1e6:g} "
            "megapixels: choose a smaller scale"
        )
    target, source = overlap(taken, frame, layout.position)
    color, alpha = to_unit(cutout.color), to_unit(cutout.alpha)
    if layout.match:
        color = match_color(color, alpha, canvas[target])
    if layout.linear:
        color = srgb_to_linear(color)
    color, alpha = _resize_cutout(color, alpha, taken)
    if layout.shadow:
        whole = np.zeros(frame, np.float32)
        whole[target] = alpha[source]
        canvas = composite(contact_shadow(whole), np.zeros(3, np.float32), canvas)
    behind = srgb_to_linear(canvas[target]) if layout.linear else canvas[target]
    mixed = composite(alpha[source], color[source], behind)
    canvas[target] = linear_to_srgb(mixed) if layout.linear else mixed
    return canvas


def check_transparent(cutout: Picture, name: object = "the cutout") -> None:
    """Raise `MatteError` if a picture has no alpha channel; it may be opaque everywhere."""
    if cutout.alpha is None:
        hint = ""
        suffix = Path(str(name)).suffix.lower()
        if suffix in (".webp", ".avif"):
            hint = ", or save it as PNG if it is a cutout that happens to be opaque everywhere"
        if suffix == ".psd":
            hint = ", or save it as PNG, as layers and masks of a PSD are not read"
        raise MatteError(
            f"{name} has no transparency: cut its subject out with 'matte predict'{hint}"
        )


def _resize_cutout(
    color: np.ndarray, alpha: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Resize color and alpha; transparent pixels lend none of their color to their neighbors."""
    if alpha.shape == size:
        return color, alpha
    weighted = resize(color * alpha[..., None], *size)
    alpha = resize(alpha, *size)
    return np.clip(weighted / np.maximum(alpha, 1e-6)[..., None], 0, 1), alpha
