"""Subjects turned to glass: transparent, and alpha stays exact."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mattecli.core.dataset.glass import turn_to_glass

SIZE = 160


def scene(rng: np.random.Generator):
    alpha = cv2.circle(np.zeros((SIZE, SIZE), np.float32), (80, 80), 50, 1.0, -1)
    background = rng.random((SIZE, SIZE, 3)).astype(np.float32)
    return np.full((SIZE, SIZE, 3), 0.4, np.float32), alpha, background


@pytest.mark.parametrize("seed", range(12))
def test_glass_lets_the_background_through_and_is_denser_at_its_rim(seed):
    rng = np.random.default_rng(seed)
    foreground, alpha, background = scene(rng)
    color, glass, behind = turn_to_glass(foreground, alpha, background, rng)
    for layer, like in ((color, foreground), (glass, alpha), (behind, background)):
        assert layer.shape == like.shape and layer.dtype == np.float32
        assert layer.min() >= 0 and layer.max() <= 1
    assert not glass[alpha == 0].any()
    assert np.array_equal(behind[:20], background[:20]), "outside nothing is bent"
    assert 0.01 < glass[alpha == 1].mean() < 0.97
    assert ((glass > 0.03) & (glass < 0.97))[alpha == 1].mean() > 0.2


def test_glass_is_mostly_clear():
    middles, rims = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        _, glass, _ = turn_to_glass(*scene(rng), rng)
        distance = np.hypot(*(np.mgrid[0:SIZE, 0:SIZE] - 80))
        middles.append(np.median(glass[distance < 30]))
        rims.append(np.median(glass[(distance > 47) & (distance < 49)]))
    assert np.median(middles) < 0.5 < np.median(rims) + 0.2
    assert np.median(rims) > 1.3 * np.median(middles)


def test_a_subject_too_thin_for_glass_stays():
    rng = np.random.default_rng(0)
    foreground, _, background = scene(rng)
    alpha = np.zeros((SIZE, SIZE), np.float32)
    alpha[80] = 1
    layers = turn_to_glass(foreground, alpha, background, rng)
    for layer, same in zip(layers, (foreground, alpha, background), strict=True):
        assert layer is same
