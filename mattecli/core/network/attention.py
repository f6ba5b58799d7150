"""The two attentions of HAttMatting: which semantics matter, and where appearance cues matter."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mattecli.core.network.blocks import conv_block


class PyramidalFeatureDistillation(nn.Module):
    """Channel attention that distills the (upsampled) pyramidal features.

    Global average and maximum pooling go through one shared two-layer perceptron, are added and
    squashed to a weight in (0, 1) for each channel (HAttMatting, Qiao et al., CVPR 2020, with the
    pooling pair and the reduction of CBAM, Woo et al., ECCV 2018; the paper leaves both open).
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        hidden = max(8, channels // reduction)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(inplace=True), nn.Conv2d(hidden, channels, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """BxCxhxw, each channel scaled by its weight."""
        average = features.mean(dim=(2, 3), keepdim=True)
        maximum = features.amax(dim=(2, 3), keepdim=True)
        return features * torch.sigmoid(self.mlp(average) + self.mlp(maximum))


class AppearanceCueFiltration(nn.Module):
    """Spatial attention, drawn from the semantics, that filters appearance cues.

    Two streams look along both directions in opposite order (1x7 then 7x1; 7x1 then 1x7); their
    concatenation is reduced to one map in (0, 1) that multiplies every channel of the low-level
    feature (HAttMatting, Qiao et al., CVPR 2020).
    """

    def __init__(self, semantic_channels: int, stream_channels: int) -> None:
        super().__init__()
        across, down = (1, 7), (7, 1)
        self.across_down = nn.Sequential(
            conv_block(semantic_channels, stream_channels, across),
            conv_block(stream_channels, stream_channels, down),
        )
        self.down_across = nn.Sequential(
            conv_block(semantic_channels, stream_channels, down),
            conv_block(stream_channels, stream_channels, across),
        )
        self.reduce = nn.Conv2d(2 * stream_channels, 1, 1)

    def forward(self, semantics: Tensor, cues: Tensor) -> Tensor:
        """Semantics BxSxhxw and cues BxCxhxw to filtered cues BxCxhxw."""
        streams = torch.cat([self.across_down(semantics), self.down_across(semantics)], dim=1)
        return cues * torch.sigmoid(self.reduce(streams))
