"""Convolution blocks and resizing shared by the decoder's modules."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def conv_block(inputs: int, outputs: int, kernel: int | tuple[int, int] = 3, dilation: int = 1):
    """Convolution that keeps the size, batch norm, ReLU."""
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (height // 2 * dilation, width // 2 * dilation)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, (height, width), padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def resize(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resize of BxCxhxw to BxCxHxW; nothing is done where the size is right."""
    if features.shape[-2:] == size:
        return features
    return functional.interpolate(features, size=size, mode="bilinear", align_corners=False)
