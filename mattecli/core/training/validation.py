"""How good a network is on photos it does not train on."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mattecli.core.dataset.training_set import ValidationSet


@torch.inference_mode()
def validate(network: nn.Module, photos: ValidationSet, size: int) -> dict[str, float]:
    """Mean SAD (thousands of pixels) and MSE over whole images at the photos' own size.

    The network sees each photo with long side `size`, as in prediction, without refinement.
    """
    device = next(network.parameters()).device
    network.eval()
    sads, mses = [], []
    for color, truth in photos:
        height, width = truth.shape
        scale = size / max(height, width)
        small = tuple(max(32, round(side * scale / 32) * 32) for side in (height, width))
        image = color[None].to(device)
        image = functional.interpolate(image, size=small, mode="bilinear", antialias=True)
        alpha = network(image.contiguous(memory_format=torch.channels_last))
        alpha = functional.interpolate(alpha, size=(height, width), mode="bicubic").clamp(0, 1)
        difference = (alpha[0, 0].cpu() - truth).double()
        sads.append(difference.abs().sum().item() / 1000)
        mses.append(difference.square().mean().item())
    return {"sad": sum(sads) / len(sads), "mse": sum(mses) / len(mses)}
