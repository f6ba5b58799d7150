"""Pictures with transparency, laid onto a color."""

from __future__ import annotations

import numpy as np

from mattecli.core.imaging.pixels import Picture, to_bits, to_unit
from mattecli.core.matting.blocks import strips
from mattecli.core.matting.compositing import composite


def flatten(picture: Picture, matte_color: np.ndarray) -> np.ndarray:
    """Lay a picture that has an alpha channel onto a color; others pass unchanged.

    Parameters
    ----------
    matte_color : float32 ndarray of shape (3,), in [0, 1]

    Returns
    -------
    ndarray of shape (H, W, 3), dtype of the picture
    """
    if picture.alpha is None:
        return picture.color
    flat = np.empty_like(picture.color)
    for strip in strips(flat.shape):
        mixed = composite(to_unit(picture.alpha[strip]), to_unit(picture.color[strip]), matte_color)
        flat[strip] = to_bits(mixed, 8 * flat.itemsize)
    return flat
