"""Closed-form matting of the pixels that a first matte is unsure about."""

from __future__ import annotations

import cv2
import numpy as np

# Contrast (squared) below which a 3x3 window counts as flat.
_FLAT = 1e-6
# How firmly sure and unsure pixels are held to the first matte.
_HOLD_SURE, _HOLD_UNSURE = 10.0, 0.005
_ITERATIONS = 40
_TOLERANCE = 1e-3


def solve_closed_form(image: np.ndarray, first: np.ndarray, unsure: np.ndarray) -> np.ndarray:
    """Improve a matte where it is unsure, by the colour line model of closed-form matting.

    Minimises ``αᵀLα + Σ h(α − first)²`` with the matting Laplacian L of 3x3 windows (Levin et al.,
    "A Closed-Form Solution to Natural Image Matting", PAMI 2008) and a hold h that is firm where
    the first matte is sure and loose where it is not. L is never built: multiplying by it is the
    same as subtracting a guided filter's output (He et al., "Fast Matting Using Large Kernel
    Matting Laplacian Matrices", CVPR 2010), so each step of the preconditioned conjugate gradients
    costs a few box filters.

    Parameters
    ----------
    image : float32 ndarray of shape (H, W, 3), in [0, 1]
    first : float32 ndarray of shape (H, W), in [0, 1]
    unsure : bool ndarray of shape (H, W)

    Returns
    -------
    float32 ndarray of shape (H, W), in [0, 1]
    """
    inverse, mean_image = _window_statistics(image)
    hold = np.where(unsure, np.float32(_HOLD_UNSURE), np.float32(_HOLD_SURE))
    # The diagonal of L is about 1 − 1/9 · (1 + contrast term), between 0.4 and 0.9.
    precondition = 1 / (hold + np.float32(0.7))

    def multiply(alpha: np.ndarray) -> np.ndarray:
        return _laplacian(alpha, image, mean_image, inverse) + hold * alpha

    alpha = first.copy()
    residual = -_laplacian(alpha, image, mean_image, inverse)
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


def _window_statistics(image: np.ndarray) -> tuple[list[list[np.ndarray]], np.ndarray]:
    """Give each window's inverse colour covariance, entry by entry, and its mean colour."""
    # In double precision: a variance is a small difference of large numbers.
    planes = [np.ascontiguousarray(image[..., i], dtype=np.float64) for i in range(3)]
    means = [_box(plane) for plane in planes]

    def covariance(i: int, j: int) -> np.ndarray:
        return _box(planes[i] * planes[j]) - means[i] * means[j]

    rr, gg, bb = (covariance(i, i) + _FLAT for i in range(3))
    rg, rb, gb = covariance(0, 1), covariance(0, 2), covariance(1, 2)
    # The adjugate of a symmetric 3x3 matrix, over its determinant.
    adjugate = {
        (0, 0): gg * bb - gb * gb,
        (0, 1): rb * gb - rg * bb,
        (0, 2): rg * gb - rb * gg,
        (1, 1): rr * bb - rb * rb,
        (1, 2): rg * rb - rr * gb,
        (2, 2): rr * gg - rg * rg,
    }
    determinant = rr * adjugate[0, 0] + rg * adjugate[0, 1] + rb * adjugate[0, 2]
    inverse = [
        [(adjugate[min(i, j), max(i, j)] / determinant).astype(np.float32) for j in range(3)]
        for i in range(3)
    ]
    return inverse, np.dstack(means).astype(np.float32)


def _laplacian(
    alpha: np.ndarray,
    image: np.ndarray,
    mean_image: np.ndarray,
    inverse: list[list[np.ndarray]],
) -> np.ndarray:
    """Multiply by the matting Laplacian, scaled so that its diagonal is just below 1."""
    mean_alpha = _box(alpha)
    covariance = _box(image * alpha[..., None]) - mean_image * mean_alpha[..., None]
    slope = np.empty_like(image)
    for i in range(3):
        slope[..., i] = sum(inverse[i][j] * covariance[..., j] for j in range(3))
    offset = mean_alpha - np.einsum("hwc,hwc->hw", slope, mean_image)
    return alpha - np.einsum("hwc,hwc->hw", _box(slope), image) - _box(offset)


def _box(array: np.ndarray) -> np.ndarray:
    return cv2.blur(array, (3, 3), borderType=cv2.BORDER_REFLECT)
