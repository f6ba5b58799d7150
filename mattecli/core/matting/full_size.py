"""From the network's matte to the photo's: its size, its trimap, its own transparency."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.pixels import Picture, to_unit
from mattecli.core.imaging.trimaps import BACKGROUND, SUBJECT
from mattecli.core.matting.blocks import Block
from mattecli.core.matting.hints import Hints
from mattecli.core.matting.refinement import refine, refine_with_marks


@dataclass
class NetworkMatte:
    """What the network gave for a photo.

    Attributes
    ----------
    matte : float32 ndarray of shape (h, w), in [0, 1]
    network_input : uint8 ndarray of shape (h, w, 3), optional
        The photo as the network saw it.
    frame : pair of slices, optional
        The part of the photo that both show; by default all of it. The rest is background.
    before_detail : (height, width), optional
        The matte's size without its detail pass, if it has had one.
    """

    matte: np.ndarray
    network_input: np.ndarray | None = None
    frame: Block | None = None
    before_detail: tuple[int, int] | None = None


def full_size_alpha(
    picture: Picture,
    found: NetworkMatte,
    level: str = "fast",
    hints: Hints | None = None,
    refined: np.ndarray | None = None,
) -> np.ndarray:
    """Bring the network's matte of a photo to the photo, and let hints be obeyed exactly.

    Parameters
    ----------
    picture : Picture
        Where it has an alpha channel, its colors are those that `flatten` gave it.
    found : NetworkMatte
    level
        See `refine`.
    hints : Hints, optional
        See `refine_with_marks` for what a trimap, points and strokes do; outside of boxes alpha
        is 0.
    refined : float32 ndarray of shape (H, W), optional
        What `refine_found` gave for all this, if that is known; it is not changed.

    Returns
    -------
    float32 ndarray of shape (H, W), in [0, 1]
    """
    alpha = refine_found(picture.color, found, level) if refined is None else refined
    if hints is not None:
        alpha = obeyed(picture.color, alpha, hints, found)
    if alpha is refined:
        alpha = alpha.copy()
    if picture.alpha is not None:
        alpha *= to_unit(picture.alpha)
    return alpha


def wants_detail(level: str) -> bool:
    """Tell whether the network is to take a detail pass, if it has one, for a level of `refine`."""
    return level == "best"


def refine_found(color: np.ndarray, found: NetworkMatte, level: str = "fast") -> np.ndarray:
    """Bring the network's matte to the size of a photo, H×W×3; see `refine`."""
    if wants_detail(level) and found.before_detail:
        # What closed-form matting would find anew the network has seen by itself, and better.
        level = "fast"
    if found.frame is None:
        return refine(color, found.matte, level, found.network_input)
    alpha = np.zeros(color.shape[:2], np.float32)
    alpha[found.frame] = refine(color[found.frame], found.matte, level, found.network_input)
    return alpha


def obeyed(
    color: np.ndarray, alpha: np.ndarray, hints: Hints, found: NetworkMatte | None = None
) -> np.ndarray:
    """Let hints be obeyed exactly by a full-size matte, float32 H×W, which is not changed."""
    if hints.trimap is not None:
        plain = found.matte if found is not None and found.frame is None else None
        known = hints.trimap == SUBJECT, hints.trimap == BACKGROUND
        alpha = refine_with_marks(color, alpha, *known, plain)
    if hints.has_marks:
        alpha = refine_with_marks(color, alpha, *hints.marks())
    if hints.boxes:
        alpha = np.where(hints.outside(), np.float32(0), alpha)
    return alpha


def fit_to_photo(
    picture: np.ndarray,
    shape: tuple[int, int],
    name: str = "the trimap",
    kind: str = "a trimap",
    interpolation: int = cv2.INTER_NEAREST,
) -> np.ndarray:
    """Give a trimap, mask or matte the photo's size; another shape is a mistake.

    Parameters
    ----------
    picture : ndarray of shape (h, w)
    shape : (height, width)
        Of the photo.
    name, kind : str
        What errors call it, and what it is.
    interpolation : int
        OpenCV's.

    Returns
    -------
    ndarray of shape (H, W), dtype of `picture`

    Raises
    ------
    MatteError
        If the proportions differ.
    """
    height, width = shape
    proportions = width / height
    if abs(picture.shape[1] / picture.shape[0] - proportions) > 0.02 * proportions:
        raise MatteError(
            f"{name} is {picture.shape[1]}x{picture.shape[0]} but its photo {width}x{height}: "
            f"{kind} has the proportions of its photo"
        )
    if picture.shape == shape:
        return picture
    return cv2.resize(picture, (width, height), interpolation=interpolation)
