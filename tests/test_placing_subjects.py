"""Where subjects lie in composites that are made for training."""

from __future__ import annotations

import numpy as np
import pytest

from mattecli.core.dataset.augmentation import place_subject

SIZE = 96


def cutout(**cut):
    """A red square with a transparent rim, but for the sides on which it is cut."""
    rgba = np.full((40, 40, 4), (200, 30, 30, 0), np.uint8)
    inner = {"top": 5, "left": 5, "bottom": 35, "right": 35} | cut
    rgba[inner["top"] : inner["bottom"], inner["left"] : inner["right"], 3] = 255
    return rgba


@pytest.mark.parametrize("seed", range(12))
def test_what_is_cut_below_stands_on_the_border_of_the_frame(seed):
    _, alpha = place_subject(cutout(bottom=40), SIZE, np.random.default_rng(seed))
    assert alpha.shape == (SIZE, SIZE)
    assert (alpha[-1] > 0.5).any(), "its straight cut shows nowhere"


@pytest.mark.parametrize("seed", range(12))
def test_what_is_cut_on_both_sides_spans_the_frame(seed):
    _, alpha = place_subject(cutout(left=0, right=40), SIZE, np.random.default_rng(seed))
    across = alpha[(alpha > 0.5).any(axis=1)]
    assert len(across) and (across[len(across) // 2] > 0.5).all()


def test_a_whole_subject_may_lie_anywhere():
    placed = [place_subject(cutout(), SIZE, np.random.default_rng(seed))[1] for seed in range(60)]
    free = [alpha for alpha in placed if not any(e.any() for e in (alpha[0], alpha[-1]))]
    assert 5 < len(free) < 60
