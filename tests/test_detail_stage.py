"""The stage at the photo's own pixels, and the windows in which it is trained."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mattecli.core.network.building import build_network
from mattecli.core.network.config import network_config
from mattecli.core.network.weights import load_network, save_network
from mattecli.core.network.windows import choose_windows, cut_windows, windows_of
from mattecli.core.training.losses import loss_values


@pytest.fixture(scope="module")
def network():
    """The usual network, its detail stage no longer fresh."""
    torch.manual_seed(0)
    network = build_network(network_config("matte"))
    network.train()(torch.rand(4, 3, 128, 128))
    for parameter in network.stage.correction.parameters():
        torch.nn.init.uniform_(parameter, -0.2, 0.2)
    return network.eval()


def square(side=256):
    alpha = torch.zeros(1, 1, side, side)
    alpha[..., 64:128, 80:160] = 1
    return alpha


def test_windows_lie_around_edges_mostly_and_inside_the_picture():
    torch.manual_seed(1)
    alpha = torch.cat([square(), torch.zeros(1, 1, 256, 256)])
    windows = choose_windows(alpha, 50, 64)
    assert (
        windows.shape == (100, 4) and (windows[:, 0] == torch.arange(2).repeat_interleave(50)).all()
    )
    assert (windows[:, 1:3] % 8 == 0).all() and windows[:, 1:3].min() >= 0
    assert windows[:, 1:3].max() <= 256 - 64
    edges = [bool(part.amin() < part.amax()) for part in cut_windows(alpha, windows)[:50]]
    assert sum(edges) > 35
    assert len(windows[50:, 1:3].unique(dim=0)) > 20, "without an edge they lie anywhere"


def test_windows_of_features_show_what_windows_of_the_picture_show():
    torch.manual_seed(2)
    picture = torch.rand(2, 3, 128, 96)
    windows = choose_windows(picture[:, :1], 3, 48)
    reduced = functional.avg_pool2d(picture, 4)
    assert torch.allclose(
        cut_windows(reduced, windows, 4), functional.avg_pool2d(cut_windows(picture, windows), 4)
    )
    batch = windows_of({"image": picture, "composed": torch.tensor([0.0, 1.0])}, windows)
    assert batch["composed"].tolist() == [0, 0, 0, 1, 1, 1]


def test_alpha_in_a_window_is_the_alpha_of_the_whole_picture(network):
    image = torch.rand(1, 3, 256, 256)
    windows = torch.tensor([[0, 48, 64, 128]])
    with torch.no_grad():
        whole = network(image)
        network.training = True
        part, intermediate = network(image, windows)
        network.training = False
    inner = slice(40, 88)
    assert part.shape == (1, 1, 128, 128)
    expected = cut_windows(whole, windows)[..., inner, inner]
    assert torch.allclose(part[..., inner, inner], expected, atol=1e-4)
    assert intermediate[-1].shape == (1, 1, 128, 128), "alpha at half the size, of everything"


def test_a_fresh_stage_leaves_alpha_as_the_network_without_it_found_it(tmp_path):
    torch.manual_seed(0)
    fast = build_network(network_config("matte-fast"))
    fast.train()(torch.rand(4, 3, 64, 64))
    save_network(fast.eval(), tmp_path / "fast.safetensors", provenance={}, half=False)
    changes = {"stage_channels": (24, 48), "predict_size": 832}
    staged = load_network(tmp_path / "fast.safetensors", changes=changes)
    assert staged.config.predict_size == 832
    image = torch.rand(1, 3, 192, 128)
    with torch.no_grad():
        small = torch.logit(fast(functional.avg_pool2d(image, 2)))
        expected = functional.interpolate(small, scale_factor=2, mode="bilinear")
        assert torch.allclose(torch.logit(staged(image)), expected, atol=1e-3)

        save_network(staged, tmp_path / "staged.safetensors", provenance={}, half=False)
        changes = {"stage_channels": (), "predict_size": 832}
        alone = load_network(tmp_path / "staged.safetensors", changes=changes)
        assert torch.equal(alone(image), fast(image))


def test_the_coarse_loss_judges_the_whole_picture_by_all_losses():
    alpha = square()
    windows = torch.tensor([[0, 0, 0, 64]])
    whole = {"alpha": alpha, "composed": torch.zeros(1)}
    weights = {"mse": 2.0, "l1": 1.0, "coarse": 0.5}
    values = loss_values(
        torch.zeros(1, 1, 64, 64),
        [torch.zeros(1, 1, 128, 128)],
        windows_of(whole, windows),
        weights,
        whole,
    )
    share = float(alpha.mean())
    assert values["mse"] == 0, "nothing of the subject lies in the window"
    assert float(values["coarse"]) == pytest.approx(3 * share)
