import numpy as np
import torch

from mattecli.core.matting.compositing import composite


def test_every_8_bit_value_is_exact_to_rounding():
    alpha, foreground, background = np.meshgrid(
        np.arange(256), np.arange(0, 256, 5), np.arange(0, 256, 5), indexing="ij"
    )
    got = np.rint(composite(np.float32(alpha) / np.float32(255), foreground, background))
    # In whole numbers: rounding (aF + (255 − a)B) / 255, which never ends in exactly one half.
    exact = (2 * (alpha * foreground + (255 - alpha) * background) + 255) // 510
    assert np.array_equal(got, exact)


def test_an_alpha_plane_is_spread_over_the_channels():
    rng = np.random.default_rng(0)
    alpha, foreground = rng.random((4, 5)), rng.random((4, 5, 3))
    got = composite(alpha, foreground, np.array([1.0, 0.5, 0.0]))
    for y, x in np.ndindex(4, 5):
        expected = alpha[y, x] * foreground[y, x] + (1 - alpha[y, x]) * np.array([1.0, 0.5, 0.0])
        assert np.allclose(got[y, x], expected)


def test_torch_gives_what_numpy_gives():
    rng = np.random.default_rng(1)
    alpha, foreground, background = rng.random((6, 7)), rng.random((6, 7, 3)), rng.random((6, 7, 3))
    tensors = [torch.from_numpy(a).permute(2, 0, 1)[None] for a in (foreground, background)]
    got = composite(torch.from_numpy(alpha)[None, None], *tensors)
    assert np.allclose(got[0].permute(1, 2, 0).numpy(), composite(alpha, foreground, background))
