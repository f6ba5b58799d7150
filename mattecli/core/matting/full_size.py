"""From the network's matte to the photo's: its size, its trimap, its own transparency."""

from __future__ import annotations

import cv2
import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.pixels import Picture, to_unit
from mattecli.core.matting.refinement import refine, refine_in_trimap


def full_size_alpha(
    picture: Picture,
    matte: np.ndarray,
    level: str = "fast",
    trimap: np.ndarray | None = None,
    network_input: np.ndarray | None = None,
) -> np.ndarray:
    """Bring the network's matte of a photo to the photo.

    Parameters
    ----------
    picture : Picture
        Where it has an alpha channel, its colours are those that `flatten` gave it.
    matte : float32 ndarray of shape (h, w), in [0, 1]
        As the network gave it.
    level, network_input
        See `refine`.
    trimap : uint8 ndarray of shape (H, W), optional
        As `trimap_of` gives it; `refine_in_trimap` then takes the place of `refine`.

    Returns
    -------
    float32 ndarray of shape (H, W), in [0, 1]
    """
    if trimap is None:
        alpha = refine(picture.color, matte, level, network_input)
    else:
        alpha = refine_in_trimap(picture.color, matte, trimap, level, network_input)
    if picture.alpha is not None:
        alpha *= to_unit(picture.alpha)
    return alpha


def fit_trimap(trimap: np.ndarray, picture: Picture, name: str = "the trimap") -> np.ndarray:
    """Give a trimap the photo's size; another size is well, another shape is a mistake.

    Parameters
    ----------
    trimap : uint8 ndarray of shape (h, w)

    Returns
    -------
    uint8 ndarray of shape (H, W)

    Raises
    ------
    MatteError
        If the proportions differ.
    """
    height, width = picture.color.shape[:2]
    proportions = width / height
    if abs(trimap.shape[1] / trimap.shape[0] - proportions) > 0.02 * proportions:
        raise MatteError(
            f"{name} is {trimap.shape[1]}x{trimap.shape[0]} but its photo {width}x{height}: "
            "a trimap has the proportions of its photo"
        )
    return cv2.resize(trimap, (width, height), interpolation=cv2.INTER_NEAREST)
