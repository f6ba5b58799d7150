"""The guided head: windows fitted right, and alpha re-estimated from the colors of the photo."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from mattecli.core.network import guided
from mattecli.core.network.guided import GuidedHead

SIDE = 2 * guided._RADIUS + 1


def photo(size: int = 48) -> torch.Tensor:
    """Smooth colors, 1x3xSxS in [0, 1]."""
    noise = np.random.default_rng(0).random((size, size, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return torch.from_numpy(smooth).permute(2, 0, 1)[None]


def head(channels: int = 4, strides=(8, 4)) -> tuple[GuidedHead, dict[int, torch.Tensor]]:
    torch.manual_seed(0)
    features = {stride: torch.rand(1, channels, 64 // stride, 64 // stride) for stride in strides}
    return GuidedHead(dict.fromkeys(strides, channels)).eval(), features


def comb() -> tuple[torch.Tensor, torch.Tensor]:
    """A photo of a red comb before blue, with its true alpha."""
    alpha = torch.zeros(1, 1, 64, 64)
    alpha[..., 8:56, 12:52] = 1
    for column in range(16, 52, 12):
        alpha[..., 8:40, column : column + 6] = 0
    colors = torch.tensor([[0.8, 0.3, 0.2], [0.2, 0.3, 0.7]]).view(2, 3, 1, 1)
    return alpha * colors[:1] + (1 - alpha) * colors[1:], alpha


def blurred(alpha: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(cv2.GaussianBlur(alpha[0, 0].numpy(), (0, 0), 3))[None, None]


@pytest.mark.parametrize("trainable", [True, False])
def test_fits_are_weighted_ridge_regressions_averaged_over_windows(trainable):
    image, size = photo(), 48
    alpha = (image.mean(dim=1, keepdim=True) > 0.5).float()
    confidence = torch.rand(1, 1, size, size) + 0.1
    found = guided._fit(image, alpha, confidence, trainable=trainable)[0].double().numpy()

    # The same window by window, as NumPy solves it.
    radius = guided._RADIUS
    color = image[0].permute(1, 2, 0).double().numpy()
    target, weight = alpha[0, 0].double().numpy(), confidence[0, 0].double().numpy()

    def window(y: int, x: int) -> tuple[np.ndarray, float]:
        box = (slice(max(0, y - radius), y + radius + 1), slice(max(0, x - radius), x + radius + 1))
        c, a, w = color[box].reshape(-1, 3), target[box].ravel(), weight[box].ravel()
        middle, mean, total = w @ c / w.sum(), w @ a / w.sum(), w.sum()
        c = c - middle
        covariance = (c * w[:, None]).T @ c / total + guided._RIDGE * np.eye(3)
        slope = np.linalg.solve(covariance, (c * w[:, None]).T @ (a - mean) / total)
        return np.append(slope, mean - slope @ middle), total

    for y, x in ((24, 20), (30, 30), (0, 0), (2, 45)):
        near = [
            window(v, u)
            for v in range(max(0, y - radius), min(size, y + radius + 1))
            for u in range(max(0, x - radius), min(size, x + radius + 1))
        ]
        total = sum(weight for _, weight in near)
        expected = sum(fit * weight for fit, weight in near) / total
        np.testing.assert_allclose(found[:, y, x], expected, atol=2e-3 * np.abs(expected).max())


def test_a_soft_matte_takes_its_edges_from_the_photo():
    module, features = head()
    image, alpha = comb()
    soft = blurred(alpha)
    with torch.inference_mode():
        redrawn = module(soft, image, features)
    assert (redrawn - alpha).abs().mean() < 0.5 * (soft - alpha).abs().mean()
    assert redrawn.min() >= 0 and redrawn.max() <= 1


def test_what_is_sure_stays():
    module, features = head()
    image, alpha = comb()
    with torch.inference_mode():
        assert torch.equal(module(1 - alpha, image, features), 1 - alpha)


def test_alpha_without_confidence_does_not_count():
    """The left of the comb has alpha one half, and features of no confidence in that."""
    image, alpha = comb()
    wrong = blurred(alpha)
    wrong[..., :32] *= 0.5
    module, features = head(channels=1, strides=(4,))
    features[4].fill_(1)
    features[4][..., :8] = -1
    with torch.inference_mode():
        before = module(wrong, image, features)
        module.steer[0].weight[3, :, 1, 1] = 8
        after = module(wrong, image, features)
    beside = np.s_[..., 20:32]
    error = [float((found - alpha)[beside].abs().mean()) for found in (before, after)]
    assert error[1] < 0.7 * error[0]


def test_a_photo_of_one_color_changes_nothing_and_gives_finite_gradients():
    module, features = head()
    module.train()
    alpha = blurred(comb()[1]).requires_grad_()
    redrawn = module(alpha, torch.full((1, 3, 64, 64), 0.5), features)
    assert torch.isfinite(redrawn).all()
    redrawn.sum().backward()
    assert torch.isfinite(alpha.grad).all()
    for name, parameter in module.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name


def test_both_ways_to_average_windows_agree():
    layers = torch.rand(2, 5, 40, 33)
    learned, pooled = (guided._box(layers, trainable=trainable) for trainable in (True, False))
    torch.testing.assert_close(learned, pooled, atol=1e-6, rtol=1e-5)
    middle = layers[..., :SIDE, :SIDE].mean(dim=(2, 3))
    torch.testing.assert_close(pooled[..., SIDE // 2, SIDE // 2], middle, atol=1e-6, rtol=1e-5)
