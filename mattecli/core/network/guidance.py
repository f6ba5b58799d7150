"""Guidance, an optional second input of a network: an earlier alpha, and hints.

A guidance map has two channels, both in [-1, 1] with 0 for unknown; a map of zeros is the same
as no guidance:

0. the earlier alpha (of a coarser pass, another tool, the frame before), as ``2 alpha - 1``;
1. hints: 1 where the subject is marked, -1 where background is.

It is added to the features behind the encoder, whose input is the photo alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mattecli.core.network.config import GUIDANCE_CHANNELS


class GuidanceInjection(nn.Module):
    """Adds features of a guidance map to the encoder's, at several strides.

    The last convolutions start at zero, so that weights trained without guidance work as before.
    None has a bias: a map of zeros changes nothing, whatever was learned.

    Parameters
    ----------
    channels : dict[int, int]
        Width of the features at each stride (pixels of the input) that guidance is added to, fine
        to coarse, each a multiple of the one before.
    """

    def __init__(self, channels: dict[int, int], hidden: int = 16) -> None:
        super().__init__()
        self.strides = tuple(channels)
        self.layers = nn.ModuleList(
            nn.Sequential(
                # Mean of both maps, and the strongest hint of either sign: a point is small.
                nn.Conv2d(GUIDANCE_CHANNELS + 2, hidden, 3, padding=1, bias=False),
                nn.ReLU(inplace=True),
                nn.Conv2d(hidden, width, 3, padding=1, bias=False),
            )
            for width in channels.values()
        )
        for layer in self.layers:
            nn.init.zeros_(layer[-1].weight)

    def forward(self, features: dict[int, Tensor], guidance: Tensor) -> dict[int, Tensor]:
        """Features by stride, BxCxhxw, and guidance, Bx2xHxW, to guided features by stride."""
        guided = dict(features)
        mean, strongest = guidance, torch.cat([guidance[:, 1:], -guidance[:, 1:]], dim=1)
        strongest = strongest.clamp(min=0)
        reduced = 1
        for stride, layer in zip(self.strides, self.layers, strict=True):
            # From stride to stride: the mean of means is the mean, and a small map is quick.
            mean = functional.avg_pool2d(mean, stride // reduced)
            strongest = functional.max_pool2d(strongest, stride // reduced)
            guided[stride] = features[stride] + layer(torch.cat([mean, strongest], dim=1))
            reduced = stride
        return guided
