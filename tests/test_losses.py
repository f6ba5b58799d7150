"""Each loss against an independent formula."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity as skimage_ssim

from mattecli.core.errors import MatteError
from mattecli.core.training import losses


@pytest.fixture
def mattes():
    rng = np.random.default_rng(0)
    blobs = [cv2.GaussianBlur(rng.random((48, 64), np.float32), (0, 0), 2) for _ in range(2)]
    return [np.clip((blob - 0.45) * 8, 0, 1).astype(np.float32) for blob in blobs]


def tensors(mattes):
    alpha, truth = (torch.from_numpy(m)[None, None] for m in mattes)
    return alpha, {"alpha": truth}


def test_ssim_is_scikit_images(mattes):
    alpha, batch = tensors(mattes)
    ours = losses.structural_similarity(alpha.double(), batch["alpha"].double()).item()
    _, full = skimage_ssim(
        *(m.astype(np.float64) for m in mattes),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert ours == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-5)
    assert losses.ssim(batch["alpha"], batch).item() == pytest.approx(0, abs=1e-6)


def test_pixel_losses_are_the_textbook_ones(mattes):
    alpha, batch = tensors(mattes)
    p, t = (m.astype(np.float64) for m in mattes)
    assert losses.mse(alpha, batch).item() == pytest.approx(np.mean((p - t) ** 2), rel=1e-5)
    assert losses.l1(alpha, batch).item() == pytest.approx(np.mean(abs(p - t)), rel=1e-5)
    q = np.clip(p, 1e-5, 1 - 1e-5)
    entropy = -np.mean(t * np.log(q) + (1 - t) * np.log(1 - q))
    assert losses.bce(alpha, batch).item() == pytest.approx(entropy, rel=1e-4)


def test_gradient_loss_is_blind_to_a_shift_in_level_and_sees_a_shift_in_place():
    ramp = torch.linspace(0, 0.5, 32).expand(1, 1, 32, 32)
    assert losses.gradient(ramp + 0.3, {"alpha": ramp}).item() == pytest.approx(0, abs=1e-6)
    edge = torch.zeros(1, 1, 32, 32)
    edge[..., 16:] = 1
    moved = edge.roll(1, dims=-1)
    moved[..., 0] = 0
    # In each row one difference of 1 is missing and another is there instead, of 31.
    assert losses.gradient(moved, {"alpha": edge}).item() == pytest.approx(2 / 31)


def test_laplacian_loss_is_the_pyramid_of_the_difference(mattes):
    alpha, batch = tensors(mattes)
    difference = mattes[0] - mattes[1]
    kernel = np.float32([1, 4, 6, 4, 1]) / 16
    expected = 0.0
    for level in range(5):
        if min(difference.shape) < 4:
            break
        blurred = cv2.sepFilter2D(difference, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
        coarser = blurred[::2, ::2]
        up = cv2.pyrUp(coarser, dstsize=difference.shape[::-1])
        expected += 2**level * np.abs(difference - up).mean()
        difference = coarser
    assert losses.laplacian(alpha, batch).item() == pytest.approx(expected, rel=1e-4)


def test_composition_loss_counts_only_known_layers():
    batch = {
        "alpha": torch.zeros(2, 1, 4, 4),
        "foreground": torch.ones(2, 3, 4, 4),
        "background": torch.zeros(2, 3, 4, 4),
        "composed": torch.tensor([2.0, 0.0]),
    }
    batch["alpha"][:, :, :2] = 0.5
    alpha = torch.full((2, 1, 4, 4), 0.75)
    alpha[1] = 0
    assert losses.composition(alpha, batch).item() == pytest.approx(0.5)
    batch["composed"][:] = 0
    assert losses.composition(alpha, batch).item() == 0


def test_sentries_are_judged_at_their_own_resolution(mattes):
    _, batch = tensors(mattes)
    coarse = torch.nn.functional.avg_pool2d(batch["alpha"], 8)
    right = losses.loss_values(batch["alpha"], [coarse], batch, {"l1": 1, "sentry": 1})
    wrong = losses.loss_values(batch["alpha"], [1 - coarse], batch, {"l1": 1, "sentry": 1})
    assert right["l1"] == 0
    assert right["sentry"] < wrong["sentry"]


def test_the_total_is_the_weighted_sum(mattes):
    alpha, batch = tensors(mattes)
    weights = {"l1": 2.0, "mse": 0.5, "gradient": 0.0}
    values = losses.loss_values(alpha, [], batch, weights)
    assert set(values) == {"l1", "mse"}
    expected = 2 * values["l1"] + 0.5 * values["mse"]
    assert losses.weighted_sum(values, weights).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("name", sorted(set(losses.LOSSES) - {"composition"}))
def test_a_step_down_every_loss_brings_alpha_nearer(name, mattes):
    alpha, batch = tensors(mattes)
    alpha = alpha.clamp(0.02, 0.98).requires_grad_()
    before = losses.LOSSES[name](alpha, batch)
    (slope,) = torch.autograd.grad(before, alpha)
    step = 1e-3 * slope / slope.abs().max()
    assert losses.LOSSES[name]((alpha - step).clamp(0, 1), batch) < before


def test_unknown_losses_are_named():
    with pytest.raises(MatteError, match=r"unknown loss lpips.*mse"):
        losses.check_losses({"lpips": 1.0})
