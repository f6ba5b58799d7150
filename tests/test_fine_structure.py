"""Drawn hair and openwork: alpha stays exact."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mattecli.core.dataset.fine_structure import cut_openwork, grow_hair

SIZE = 192


def disc(color=(0.2, 0.6, 0.3)):
    alpha = cv2.circle(np.zeros((SIZE, SIZE), np.float32), (96, 96), 40, 1.0, -1, cv2.LINE_AA)
    return np.full((SIZE, SIZE, 3), color, np.float32), alpha.clip(0, 1)


@pytest.mark.parametrize("seed", range(8))
def test_hair_adds_to_a_subject_and_takes_nothing_away(seed):
    foreground, alpha = disc()
    color, grown = grow_hair(foreground, alpha, np.random.default_rng(seed))
    assert grown.shape == alpha.shape and grown.dtype == color.dtype == np.float32
    assert (
        (grown >= alpha - 1e-6).all() and grown.max() <= 1 and 0 <= color.min() <= color.max() <= 1
    )
    assert grown.sum() > alpha.sum() + 5
    inside = alpha == 1
    np.testing.assert_allclose(color[inside], foreground[inside], atol=1e-5)
    again = grow_hair(foreground, alpha, np.random.default_rng(seed))
    assert (again[0] == color).all() and (again[1] == grown).all()


def test_hair_is_thinner_than_the_subject_and_grows_out_of_it():
    foreground, alpha = disc()
    _, grown = grow_hair(foreground, alpha, np.random.default_rng(3))
    hair = (grown > 0.05) & (alpha < 0.05)
    labels = cv2.connectedComponents((grown > 0.02).astype(np.uint8), connectivity=8)[1]
    assert (labels[hair] == labels[96, 96]).mean() > 0.9
    assert not cv2.erode(hair.astype(np.uint8), np.ones((15, 15), np.uint8)).any()


def test_no_hair_grows_where_there_is_no_outline():
    foreground = np.zeros((SIZE, SIZE, 3), np.float32)
    for alpha in (np.zeros((SIZE, SIZE), np.float32), np.ones((SIZE, SIZE), np.float32)):
        _, grown = grow_hair(foreground, alpha, np.random.default_rng(0))
        assert (grown == alpha).all()


@pytest.mark.parametrize("seed", range(8))
def test_openwork_has_holes_and_bars(seed):
    _, alpha = disc()
    cut = cut_openwork(alpha, np.random.default_rng(seed))
    assert cut.dtype == np.float32 and (cut <= alpha + 1e-6).all() and cut.min() >= 0
    body = alpha == 1
    assert (cut[body] < 0.05).any() and (cut[body] > 0.95).any()
