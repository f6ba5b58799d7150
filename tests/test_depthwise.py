"""Depthwise convolutions in float32 under bfloat16 autocast: results, gradients and copies."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mattecli.core.training.depthwise import run_depthwise_in_float32
from mattecli.core.training.optimization import AveragedNetwork


def small() -> nn.Sequential:
    """Pointwise, depthwise, batch norm, pointwise."""
    torch.manual_seed(0)
    depthwise = nn.Conv2d(8, 8, 5, padding=2, groups=8)
    return nn.Sequential(nn.Conv2d(3, 8, 1), depthwise, nn.BatchNorm2d(8), nn.Conv2d(8, 1, 1))


def bf16():
    return torch.autocast("cpu", dtype=torch.bfloat16)


def test_outputs_are_the_same_to_bfloat16():
    network, image = small().eval(), torch.rand(2, 3, 16, 16)
    with bf16():
        before = network(image)
        run_depthwise_in_float32(network)
        after = network(image)
    assert after.dtype == before.dtype == torch.bfloat16
    torch.testing.assert_close(after, before, rtol=2**-6, atol=2**-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_those_of_float32(dtype):
    torch.manual_seed(0)
    depthwise = nn.Sequential(nn.Conv2d(8, 8, 5, padding=2, groups=8))
    plain = copy.deepcopy(depthwise)
    run_depthwise_in_float32(depthwise)
    features = torch.rand(2, 8, 16, 16).to(dtype)
    with bf16():
        depthwise(features).float().sum().backward()
    plain(features.float()).sum().backward()
    for name, parameter in depthwise.named_parameters():
        torch.testing.assert_close(parameter.grad, dict(plain.named_parameters())[name].grad)
        assert parameter.grad.dtype == torch.float32


def test_only_depthwise_convolutions_that_are_trained_change():
    frozen = nn.Conv2d(8, 8, 3, groups=8).requires_grad_(False)
    network = nn.Sequential(*small(), nn.Conv2d(1, 1, 3), nn.Conv2d(4, 4, 3, groups=2), frozen)
    run_depthwise_in_float32(network)
    changed = [number for number, module in enumerate(network) if "forward" in vars(module)]
    assert changed == [1]


def test_the_averaged_network_is_not_affected():
    network = small()
    average = AveragedNetwork(network, 0.0)
    keys = list(network.state_dict())
    run_depthwise_in_float32(network)
    assert list(network.state_dict()) == keys
    assert not any("forward" in vars(module) for module in average.network)
    before = average.network[1].weight.clone()
    with torch.no_grad():
        network[1].weight += 1
    assert torch.equal(average.network[1].weight, before)
    average.update(network, 0)
    torch.testing.assert_close(average.network[1].weight, network[1].weight)


def test_a_copy_made_later_uses_its_own_weights():
    network, image = small().eval(), torch.rand(1, 3, 8, 8)
    run_depthwise_in_float32(network)
    copied, expected = copy.deepcopy(network), network(image)
    with torch.no_grad():
        network[1].weight.zero_()
    torch.testing.assert_close(copied(image), expected)
