import cv2
import numpy as np
import pytest

from mattecli.core.matting.compositing import composite
from mattecli.core.matting.foreground import METHODS, estimate_foreground


def soft_disc(height, width, softness):
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - height / 2, x - width / 2)
    inside = min(height, width) / 3 - distance
    return np.clip(0.5 + inside / softness, 0, 1).astype(np.float32)


def smooth_colors(rng, height, width):
    coarse = rng.random((4, 4, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize(("method", "share"), [("multilevel", 0.35), ("blur-fusion", 0.6)])
def test_the_true_foreground_comes_back(method, share):
    rng = np.random.default_rng(3)
    alpha = soft_disc(240, 320, softness=24)
    foreground, background = smooth_colors(rng, 240, 320), smooth_colors(rng, 240, 320)
    image = composite(alpha, foreground, background)
    band = (alpha > 0.05) & (alpha < 0.95)
    error = np.abs(estimate_foreground(image, alpha, method) - foreground)[band].mean()
    assert error < np.abs(image - foreground)[band].mean() * share


@pytest.mark.parametrize("method", METHODS)
def test_opaque_pixels_keep_their_color(method):
    rng = np.random.default_rng(4)
    image = rng.random((150, 200, 3)).astype(np.float32)
    alpha = soft_disc(150, 200, softness=9)
    estimate = estimate_foreground(image, alpha, method)
    assert np.allclose(estimate[alpha == 1], image[alpha == 1], atol=1e-4)
    assert estimate.min() >= 0
    assert estimate.max() <= 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("softness", [0.001, 8])
def test_the_foreground_goes_on_beyond_its_rim(method, softness):
    alpha = soft_disc(300, 300, softness)
    red, green = np.float32([0.9, 0.1, 0.1]), np.float32([0.0, 0.8, 0.0])
    estimate = estimate_foreground(
        composite(alpha, red, np.ones((300, 300, 1)) * green), alpha, method
    )
    rim = (alpha == 0) & (cv2.dilate(alpha, np.ones((5, 5))) > 0)
    assert np.abs(estimate[rim] - red).max() < 0.15


def test_the_energy_of_the_paper_is_nearly_at_its_minimum():
    rng = np.random.default_rng(5)
    height, width = 12, 15
    alpha = cv2.GaussianBlur(rng.random((height, width)).astype(np.float32), (0, 0), 1.5)
    alpha = np.clip((alpha - 0.5) * 6 + 0.5, 0.02, 0.98)
    image = composite(alpha, *(smooth_colors(rng, height, width) for _ in "FB"))

    # The quadratic energy written as |M x − y|² with x = (F, B), and solved directly.
    count = height * width
    index = np.arange(count).reshape(height, width)
    data = np.hstack([np.diag(alpha.ravel()), np.diag(1 - alpha.ravel())])
    blocks, targets = [data], [image.reshape(count, 3)]
    for one, two in ((index[:, :-1], index[:, 1:]), (index[:-1], index[1:])):
        one, two = one.ravel(), two.ravel()
        weight = np.sqrt(1e-5 + np.abs(alpha.ravel()[one] - alpha.ravel()[two]))
        for layer in (0, count):
            block = np.zeros((len(one), 2 * count))
            block[np.arange(len(one)), layer + one] = weight
            block[np.arange(len(one)), layer + two] = -weight
            blocks.append(block)
            targets.append(np.zeros((len(one), 3)))
    best = np.linalg.lstsq(np.vstack(blocks), np.vstack(targets), rcond=None)[0][:count]

    estimate = estimate_foreground(image, alpha).reshape(count, 3)
    assert np.abs(estimate - best).mean() < 0.01


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (2, 3), (131, 257)])
@pytest.mark.parametrize("fill", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("method", METHODS)
def test_any_shape_and_flat_mattes(shape, fill, method):
    image = np.full((*shape, 3), 0.3, np.float32)
    estimate = estimate_foreground(image, np.full(shape, fill, np.float32), method)
    assert estimate.shape == image.shape
    assert np.allclose(estimate, 0.3, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(20, 31), (171, 333)])
def test_integers_give_the_same_as_integers(shape, dtype):
    rng = np.random.default_rng(6)
    alpha = soft_disc(*shape, softness=12)
    full = np.iinfo(dtype).max
    colors = (smooth_colors(rng, *shape) for _ in "FB")
    image = np.rint(composite(alpha, *colors) * full).astype(dtype)
    estimate = estimate_foreground(image, alpha)
    assert estimate.dtype == dtype
    expected = estimate_foreground(image.astype(np.float32) / full, alpha)
    assert np.abs(estimate / full - expected).mean() < 0.004
    np.testing.assert_array_equal(estimate[alpha == 1], image[alpha == 1])


def test_levels_too_large_to_be_solved_change_little(monkeypatch):
    rng = np.random.default_rng(7)
    alpha = soft_disc(410, 602, softness=40)
    foreground, background = smooth_colors(rng, 410, 602), smooth_colors(rng, 410, 602)
    image = composite(alpha, foreground, background)
    solved = estimate_foreground(image, alpha)
    monkeypatch.setattr("mattecli.core.matting.foreground._MOST_SOLVED", 20_000)
    unmixed = estimate_foreground(image, alpha)
    band = (alpha > 0.05) & (alpha < 0.95)
    before = np.abs(image - foreground)[band].mean()
    assert np.abs(unmixed - foreground)[band].mean() < 0.45 * before
    assert not np.array_equal(solved, unmixed)


def test_mismatched_shapes_and_unknown_methods_are_refused():
    image = np.zeros((4, 5, 3), np.float32)
    with pytest.raises(ValueError, match="belong together"):
        estimate_foreground(image, np.zeros((5, 4), np.float32))
    with pytest.raises(ValueError, match="unknown method"):
        estimate_foreground(image, np.zeros((4, 5), np.float32), "guess")
