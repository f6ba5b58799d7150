"""Depthwise convolutions in float32 where the CPU would be slow at their gradients in bfloat16."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn


def run_depthwise_in_float32(network: nn.Module) -> None:
    """Take the depthwise convolutions of a network, in place, out of CPU autocast.

    oneDNN works out a depthwise weight gradient 3 to 5 times as fast in float32 as in bfloat16
    (measured for 5x5 kernels at the sizes of EfficientNet-Lite0 with AMX; the rest of a step gains
    by bfloat16). Weights are float32 anyway, so only activations are converted.
    """
    for module in network.modules():
        if (
            isinstance(module, nn.Conv2d)
            and module.groups == module.in_channels > 1
            and module.weight.requires_grad
        ):
            module.forward = functools.partial(_forward, module.forward)


def _forward(convolution, features: Tensor) -> Tensor:
    with torch.autocast(features.device.type, enabled=False):
        return convolution(features.float()).to(features.dtype)
