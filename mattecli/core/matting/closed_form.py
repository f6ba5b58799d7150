"""Closed-form matting of the pixels that a first matte is uncertain about."""

from __future__ import annotations

import numpy as np

from mattecli.core.matting.color_windows import ColorWindows

# Contrast (squared) below which a 3x3 window counts as flat.
_FLAT_CONTRAST = 1e-6
# How firmly sure and uncertain pixels are held to the first matte.
_HOLD_CERTAIN, _HOLD_UNCERTAIN = 10.0, 0.005
_ITERATIONS = 40
_TOLERANCE = 1e-3


def solve_closed_form(image: np.ndarray, first: np.ndarray, uncertain: np.ndarray) -> np.ndarray:
    """Improve a matte where it is uncertain, by the color line model of closed-form matting.

    Minimizes ``αᵀLα + Σ h(α − first)²`` with the matting Laplacian L of 3x3 windows (Levin et al.,
    "A Closed-Form Solution to Natural Image Matting", PAMI 2008) and a hold h that is firm where
    the first matte is sure and loose where it is not. L is never built: multiplying by it is the
    same as subtracting a guided filter's output (He et al., "Fast Matting Using Large Kernel
    Matting Laplacian Matrices", CVPR 2010), so each step of the preconditioned conjugate gradients
    costs a few box filters.

    Parameters
    ----------
    image : float32 ndarray of shape (H, W, 3), in [0, 1]
    first : float32 ndarray of shape (H, W), in [0, 1]
    uncertain : bool ndarray of shape (H, W)

    Returns
    -------
    float32 ndarray of shape (H, W), in [0, 1]
    """
    windows = ColorWindows(image, 1, _FLAT_CONTRAST)
    hold = np.where(uncertain, np.float32(_HOLD_UNCERTAIN), np.float32(_HOLD_CERTAIN))
    # The diagonal of L is about 1 − 1/9 · (1 + contrast term), between 0.4 and 0.9.
    precondition = 1 / (hold + np.float32(0.7))

    def multiply(alpha: np.ndarray) -> np.ndarray:
        return _laplacian(alpha, windows) + hold * alpha

    alpha = first.copy()
    residual = -_laplacian(alpha, windows)
    step = precondition * residual
    direction = step.copy()
    energy = first_energy = float(np.vdot(residual, step))
    for _ in range(_ITERATIONS):
        if energy <= _TOLERANCE**2 * first_energy:
            break
        product = multiply(direction)
        length = energy / float(np.vdot(direction, product))
        alpha += np.float32(length) * direction
        residual -= np.float32(length) * product
        step = precondition * residual
        energy, before = float(np.vdot(residual, step)), energy
        direction = step + np.float32(energy / before) * direction
    return np.clip(alpha, 0, 1)


def _laplacian(alpha: np.ndarray, windows: ColorWindows) -> np.ndarray:
    """Multiply by the matting Laplacian, scaled so that its diagonal is just below 1."""
    slope, offset = windows.fit(alpha)
    return alpha - np.einsum("hwc,hwc->hw", slope, windows.image) - offset
