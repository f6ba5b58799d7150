"""Batch norm folded into the convolutions before it, for networks that no longer learn."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights


@torch.no_grad()
def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Copy a network in eval mode without the batch norms that follow a convolution.

    In eval mode batch norm is a fixed scale and offset a channel, which the convolution's own
    weights can hold. Which norm follows which convolution is found by one small forward
    pass; what a norm includes, such as timm's activation, stays.
    """
    network = copy.deepcopy(network).eval()
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    made_by: dict[int, nn.Conv2d] = {}
    pairs: list[tuple[str, nn.Conv2d]] = []
    kept: list[Tensor] = []  # or the number of a freed tensor would be given to another

    def made(module: nn.Module, _: tuple, output: Tensor) -> None:
        made_by[id(output)] = module
        kept.append(output)

    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(made))
        elif isinstance(module, _BatchNorm):

            def met(_: nn.Module, inputs: tuple[Tensor], name: str = name) -> None:
                if conv := made_by.get(id(inputs[0])):
                    pairs.append((name, conv))

            hooks.append(module.register_forward_pre_hook(met))
    network(torch.zeros(1, 3, 64, 64, device=device))
    for hook in hooks:
        hook.remove()

    for name, conv in pairs:
        norm = network.get_submodule(name)
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight,
            conv.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        parent, _, child = name.rpartition(".")
        setattr(network.get_submodule(parent), child, getattr(norm, "act", nn.Identity()))
    return network
