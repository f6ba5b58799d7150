"""Atrous spatial pyramid pooling: the pyramidal features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mattecli.core.network.blocks import conv_block, resize


class ASPP(nn.Module):
    """Context at several scales from the deepest feature.

    A 1x1 branch, one dilated 3x3 branch a rate and image pooling, concatenated and projected
    (Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017). The image
    branch has no batch norm, since one value a channel and image gives no statistics to a batch
    of one.
    """

    def __init__(self, inputs: int, outputs: int, rates: tuple[int, ...] = (6, 12, 18)) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [conv_block(inputs, outputs, 1)]
            + [conv_block(inputs, outputs, 3, dilation=rate) for rate in rates]
        )
        self.image = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, outputs, 1), nn.ReLU(inplace=True)
        )
        self.project = conv_block(outputs * (len(rates) + 2), outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """BxCxhxw to BxOxhxw."""
        scales = [branch(features) for branch in self.branches]
        scales.append(resize(self.image(features), features.shape[-2:]))
        return self.project(torch.cat(scales, dim=1))
