"""The discriminator of adversarial training: real mattes against generated ones, by patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """The 70x70 PatchGAN of pix2pix (Isola et al., CVPR 2017), conditioned on the photo.

    Every value of the output classifies one patch of 70x70 pixels of photo and matte together.
    HAttMatting names the 70x70 PatchGAN; the layer list is pix2pix's, with instance instead of
    batch norm (ours: independent of the batch, thus of the number of processes).
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        widths = [channels, 2 * channels, 4 * channels, 8 * channels]
        layers: list[nn.Module] = [nn.Conv2d(4, widths[0], 4, stride=2, padding=1)]
        for inputs, outputs, stride in zip(widths, widths[1:], (2, 2, 1), strict=False):
            layers += [
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1, bias=False),
                nn.InstanceNorm2d(outputs, affine=True),
            ]
        layers += [nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(widths[-1], 1, 4, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor, alpha: Tensor) -> Tensor:
        """Photo Bx3xHxW and matte Bx1xHxW, both in [0, 1], to logits Bx1xhxw (real above 0).

        H and W of at least 32; h and w are an eighth of them, less 2.
        """
        return self.layers(torch.cat([image, alpha], dim=1) * 2 - 1)
