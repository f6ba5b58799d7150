"""Subjects turned into glass by code: alpha between 0 and 1 all over, and exact.

Hardly any picture of glass has a true matte, and a network that never saw one calls every bottle
opaque. What it has to learn is that the background goes on inside of an outline.
"""

from __future__ import annotations

import cv2
import numpy as np

from mattecli.core.dataset.fine_structure import smooth_noise

Rng = np.random.Generator


def turn_to_glass(
    foreground: np.ndarray, alpha: np.ndarray, background: np.ndarray, rng: Rng
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make a subject, or a part of it, transparent: clear within, denser at its rim, with glints.

    Parameters
    ----------
    foreground, background : float32, SxSx3, in [0, 1]
    alpha : float32, SxS, in [0, 1]

    Returns
    -------
    foreground, alpha, background
        The background is bent where it is seen through the glass, as it would be in a photo, so
        the compositing equation holds with what is returned.
    """
    size = alpha.shape[0]
    depth = cv2.distanceTransform((alpha > 0.5).view(np.uint8), cv2.DIST_L2, 5)
    if depth.max() < 0.02 * size:
        return foreground, alpha, background
    # The whole of it three times in four; otherwise a part, such as a bottle beside its label.
    glass = np.ones_like(alpha)
    if rng.random() < 0.25:
        glass = np.clip(
            6 * smooth_noise(size, size * rng.uniform(0.2, 0.6), rng) + rng.uniform(0, 3), 0, 1
        )

    rim = np.exp(-depth / (size * np.exp(rng.uniform(np.log(0.004), np.log(0.03)))))
    body, edge = rng.uniform(0.08, 0.45), rng.uniform(0.3, 0.95)
    density = body + (edge - body) * rim
    density *= 1 + rng.uniform(0, 0.5) * smooth_noise(size, size * rng.uniform(0.05, 0.3), rng)
    # Glints: bands of noise that is drawn out along one axis.
    across = size * np.exp(rng.uniform(np.log(0.01), np.log(0.08)))
    glints = smooth_noise(size, across, rng, along=rng.uniform(3, 12) * across)
    glints = np.clip(4 * (glints - rng.uniform(1.0, 2.0)), 0, 1) * rng.uniform(0.3, 1.0)
    clear = np.clip(density, 0, 1)
    dense = clear + (1 - clear) * glints

    grey = cv2.cvtColor(foreground, cv2.COLOR_RGB2GRAY)[..., None]
    tint = np.clip(rng.uniform(0.2, 1.0) + rng.normal(0, 0.08, 3), 0, 1)
    own = np.clip(rng.uniform(0.2, 0.9) * tint + rng.uniform(0.1, 0.6) * grey, 0, 1)
    shine = (glints / np.maximum(dense, 1e-6))[..., None]
    color = own + shine * (rng.uniform(0.85, 1.0) - own)

    share = glass[..., None]
    return (
        (foreground + share * (color - foreground)).astype(np.float32),
        (alpha * (1 + glass * (dense - 1))).astype(np.float32),
        _bent(background, alpha * glass, rng),
    )


def _bent(background: np.ndarray, where: np.ndarray, rng: Rng) -> np.ndarray:
    """Displace the background smoothly, by up to a twentieth of the picture."""
    size = where.shape[0]
    strength = size * rng.uniform(0, 0.02) * cv2.GaussianBlur(where, (0, 0), size / 100)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    scale = size * rng.uniform(0.05, 0.3)
    moved_x, moved_y = (
        (axis + strength * smooth_noise(size, scale, rng)).astype(np.float32) for axis in (x, y)
    )
    return cv2.remap(background, moved_x, moved_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
