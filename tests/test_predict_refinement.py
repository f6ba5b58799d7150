"""Mattes brought to full size, where the truth is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from mattecli.core.matting import closed_form
from mattecli.core.matting.color_windows import ColorWindows
from mattecli.core.matting.placing import resize
from mattecli.core.matting.refinement import refine
from mattecli.core.network.guided import GuidedHead


@pytest.fixture(scope="module")
def hair() -> tuple[np.ndarray, np.ndarray]:
    """A dark head with strands of a pixel or two on a light ground: photo and its true alpha."""
    alpha = np.zeros((400, 480), np.float32)
    cv2.circle(alpha, (240, 220), 110, 1.0, -1, cv2.LINE_AA)
    rng = np.random.default_rng(4)
    for angle in rng.uniform(0, 2 * np.pi, 150):
        direction = np.array([np.cos(angle), np.sin(angle)])
        start, end = (np.array([240, 220]) + direction * radius for radius in (100, 170))
        bend = end + rng.normal(0, 12, 2)
        cv2.line(alpha, tuple(map(int, start)), tuple(map(int, bend)), 1.0, 1, cv2.LINE_AA)
    alpha = np.clip(cv2.GaussianBlur(alpha, (0, 0), 0.7), 0, 1)
    y, x = np.mgrid[:400, :480].astype(np.float32)
    back = np.dstack([200 + 40 * x / 480, 190 + 40 * y / 400, 220 - 30 * x / 480])
    fore = np.dstack([60 + 20 * y / 400, 40 + 10 * x / 480, np.full_like(x, 30)])
    color = alpha[..., None] * fore + (1 - alpha[..., None]) * back
    return np.rint(color).astype(np.uint8), alpha


def test_each_level_is_closer_to_the_truth_than_the_one_below(hair):
    color, truth = hair
    # Strands as a network that cannot see them one by one decodes them, a soft cloud, and as its
    # guided head then redraws that.
    cloud = cv2.GaussianBlur(resize(truth, 100, 120), (0, 0), 2)
    photo = torch.from_numpy(resize(color, 100, 120)).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        head = GuidedHead({4: 1}).eval()
        redrawn = head(torch.from_numpy(cloud)[None, None], photo, {4: torch.zeros(1, 1, 25, 30)})
    seen = redrawn[0, 0].numpy()
    errors = {
        level: np.abs(refine(color, seen, level) - truth).mean()
        for level in ("none", "fast", "best")
    }
    assert errors["fast"] < 0.4 * errors["none"]
    assert errors["best"] < errors["fast"]


@pytest.mark.parametrize("level", ["none", "fast", "best"])
def test_sure_pixels_stay_and_the_matte_handed_in_too(hair, level):
    color, truth = hair
    seen = resize(truth, 200, 240)
    before = seen.copy()
    alpha = refine(color, seen, level)
    assert alpha.dtype == np.float32
    assert alpha.shape == truth.shape
    assert alpha.min() >= 0
    assert alpha.max() <= 1
    far_out = cv2.dilate((truth > 0).astype(np.uint8), np.ones((41, 41))) == 0
    deep_in = cv2.erode((truth == 1).astype(np.uint8), np.ones((41, 41))) == 1
    assert np.abs(alpha[far_out]).max() < 0.01
    assert np.abs(alpha[deep_in] - 1).max() < 0.01
    np.testing.assert_array_equal(seen, before)


@pytest.mark.parametrize("shape", [(7, 5), (40, 9), (64, 64)])
@pytest.mark.parametrize("level", ["fast", "best"])
def test_small_photos_and_empty_mattes(shape, level):
    color = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert refine(color, np.full((64, 64), 0.5, np.float32), level).shape == shape
    assert not refine(color, np.zeros((32, 32), np.float32), level).any()


def test_laplacian_is_that_of_levin():
    """Against the sum over windows as the paper writes it, pixel pair by pixel pair."""
    rng = np.random.default_rng(2)
    image = rng.random((8, 9, 3)).astype(np.float32)
    alpha = rng.random((8, 9)).astype(np.float32)
    laplacian = np.zeros((72, 72))
    for y in range(1, 7):
        for x in range(1, 8):
            index = [(y + dy) * 9 + x + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
            window = image.reshape(-1, 3)[index].astype(float)
            centered = window - window.mean(axis=0)
            inverse = np.linalg.inv(
                centered.T @ centered / 9 + closed_form._FLAT_CONTRAST * np.eye(3)
            )
            laplacian[np.ix_(index, index)] += np.eye(9) - (1 + centered @ inverse @ centered.T) / 9
    expected = (laplacian @ alpha.ravel()).reshape(8, 9) / 9
    product = closed_form._laplacian(alpha, ColorWindows(image, 1, closed_form._FLAT_CONTRAST))
    # Pixels whose windows reach over the border are treated apart.
    np.testing.assert_allclose(product[2:-2, 2:-2], expected[2:-2, 2:-2], atol=1e-4)
