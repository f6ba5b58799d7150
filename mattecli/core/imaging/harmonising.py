"""Making a cutout look at home on its new background: colours that match, and a shadow."""

from __future__ import annotations

import cv2
import numpy as np

# Half of the way to the background's statistics, and never far: a person in a forest must not turn
# green, only into somebody who stands in green light.
_SHARE = 0.5
_MOST_LIGHT, _MOST_CHROMA = 18.0, 10.0
_CONTRAST = (0.8, 1.25)
# Shadow on the ground, in parts of the subject's height: how flat it lies, how soft it is.
_FLATNESS, _SOFTNESS = 0.10, 0.025
_DARKNESS = 0.55


def match_color(color: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Bring a cutout's light and tint nearer to those of what it is laid on.

    Mean and spread of lightness and mean of both chroma axes in CIELAB are moved towards the
    background's (Reinhard et al., "Color Transfer between Images", 2001), the cutout's pixels
    counting by their alpha. Ours: half of the way, and at most 18 units of lightness, 10 of chroma.

    Parameters
    ----------
    color : float32 ndarray of shape (H, W, 3), sRGB in [0, 1]
        Straight colours of the cutout.
    alpha : float32 ndarray of shape (H, W), in [0, 1]
    background : float32 ndarray of shape (h, w, 3), sRGB in [0, 1]

    Returns
    -------
    float32 ndarray of shape (H, W, 3), sRGB in [0, 1]
    """
    if alpha.sum() < 1 or not background.size:
        return color
    lab = cv2.cvtColor(np.ascontiguousarray(color, np.float32), cv2.COLOR_RGB2LAB)
    behind = cv2.cvtColor(np.ascontiguousarray(background, np.float32), cv2.COLOR_RGB2LAB)
    mean = np.average(lab, axis=(0, 1), weights=np.repeat(alpha[..., None], 3, axis=2))
    spread = np.sqrt(np.average((lab[..., 0] - mean[0]) ** 2, weights=alpha))
    aim = behind.mean(axis=(0, 1))
    most = np.array([_MOST_LIGHT, _MOST_CHROMA, _MOST_CHROMA])
    shift = np.clip(_SHARE * (aim - mean), -most, most)
    contrast = np.clip((behind[..., 0].std() + 1) / (spread + 1), *_CONTRAST) ** _SHARE
    lab[..., 0] = (lab[..., 0] - mean[0]) * contrast + mean[0]
    moved = cv2.cvtColor((lab + shift).astype(np.float32), cv2.COLOR_LAB2RGB)
    return np.clip(moved, 0, 1)


def contact_shadow(alpha: np.ndarray) -> np.ndarray:
    """Draw the soft shadow of a subject where it stands.

    The subject's outline is laid flat onto the ground at its lowest row and blurred. One that the
    frame cuts off below stands on nothing that could be seen, and casts none.

    Parameters
    ----------
    alpha : float32 ndarray of shape (H, W), in [0, 1]
        The subject's matte in the frame of the whole picture.

    Returns
    -------
    float32 ndarray of shape (H, W), in [0, 1]
        How dark the ground is: the alpha of black.
    """
    rows = (alpha > 0.5).any(axis=1).nonzero()[0]
    if not rows.size or rows[-1] >= alpha.shape[0] - 2:
        return np.zeros_like(alpha)
    top, ground = int(rows[0]), int(rows[-1])
    height = ground - top + 1
    # Row y of the subject falls onto the ground line, and a tenth of its height around it.
    middle = top + height / 2
    offset = ground - _FLATNESS * middle
    flat = cv2.warpAffine(
        alpha, np.array([[1, 0, 0], [0, _FLATNESS, offset]], np.float64), alpha.shape[::-1]
    )
    sigma = max(1.0, _SOFTNESS * height)
    return _DARKNESS * np.clip(cv2.GaussianBlur(flat, (0, 0), sigma), 0, 1)
