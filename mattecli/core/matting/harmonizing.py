"""Making a cutout look at home on its new background: colors that match, and a shadow."""

from __future__ import annotations

import cv2
import numpy as np

# Half of the way to the background's light, and never far: a person in a forest must not turn
# green, only into somebody who stands in green light.
_SHARE = 0.5
_MOST_LIGHT, _MOST_TINT = 12.0, 10.0
# What is more colorful than this tells little about the light and counts less and less.
_COLOURFUL = 12.0
# Shadow on the ground, in parts of the subject's height: how flat it lies, how soft it is.
_FLATNESS, _SOFTNESS = 0.10, 0.025
_DARKNESS = 0.6
# What the subject's top adds to it, beside its foot.
_FROM_ABOVE = 0.3


def match_color(color: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Bring a cutout's light and tint nearer to those of what it is laid on.

    Mean lightness and tint in CIELAB go half of the way towards the background's, the cutout's
    pixels counting by their alpha (after Reinhard et al., "Color Transfer between Images", 2001).
    Unlike there, lightness follows a curve that leaves black and white where they are, colorful
    pixels hardly count for the tint, since they show their own color rather than the light's, and
    both steps are limited: 12 units of lightness, 10 of tint.

    Parameters
    ----------
    color : float32 ndarray of shape (H, W, 3), sRGB in [0, 1]
        Straight colors of the cutout.
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
    light, tint = _light(lab, alpha)
    light_behind, tint_behind = _light(behind, np.ones(behind.shape[:2], np.float32))

    step = np.clip(_SHARE * (light_behind - light), -_MOST_LIGHT, _MOST_LIGHT)
    exponent = np.log(np.clip((light + step) / 100, 0.01, 0.99)) / np.log(
        np.clip(light / 100, 0.01, 0.99)
    )
    lab[..., 0] = 100 * np.clip(lab[..., 0] / 100, 0, 1) ** exponent
    tint = _SHARE * (tint_behind - tint)
    tint *= min(1.0, _MOST_TINT / max(float(np.linalg.norm(tint)), 1e-6))
    # What is dark sends back little of the light, whatever its tint.
    lab[..., 1:] += np.clip(lab[..., :1] / 50, 0, 1) * tint
    return np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)


def _light(lab: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """Give mean lightness, and the mean chroma of the pixels that are not colorful themselves."""
    chroma = lab[..., 1:]
    neutral = weight / (1 + (chroma**2).sum(axis=-1) / _COLOURFUL**2)
    tint = (chroma * neutral[..., None]).sum(axis=(0, 1), dtype=np.float64) / neutral.sum()
    return float(np.average(lab[..., 0], weights=weight)), tint.astype(np.float32)


def contact_shadow(alpha: np.ndarray) -> np.ndarray:
    """Draw the soft shadow of a subject where it stands.

    The subject's outline is laid flat onto the ground at its lowest row, fainter the higher it was,
    and blurred. A subject that the frame cuts off below stands on nothing that could be seen, and
    casts none.

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
    closeness = 1 - (ground - np.arange(len(alpha), dtype=np.float32)) / height
    strength = _FROM_ABOVE + (1 - _FROM_ABOVE) * np.clip(closeness, 0, 1)
    flat = cv2.warpAffine(
        alpha * strength[:, None],
        np.array([[1, 0, 0], [0, _FLATNESS, offset]], np.float64),
        alpha.shape[::-1],
    )
    sigma = max(1.0, _SOFTNESS * height)
    return _DARKNESS * np.clip(cv2.GaussianBlur(flat, (0, 0), sigma), 0, 1)
