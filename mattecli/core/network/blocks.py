"""Convolution blocks and resizing shared by the decoder's modules."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mattecli.core.errors import MatteError
from mattecli.core.network.config import MULTIPLE, NetworkConfig


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
    height, width = features.shape[-2:]
    factor = int(size[0] // height)
    # A factor that is written into an ONNX graph, instead of sizes, is what onnxruntime is fast at.
    # Means over a whole picture are enlarged by no fixed factor.
    if min(height, width) > 1 and (height * factor, width * factor) == tuple(size):
        return functional.interpolate(
            features, scale_factor=float(factor), mode="bilinear", align_corners=False
        )
    return functional.interpolate(features, size=size, mode="bilinear", align_corners=False)


def to_alpha(logits: Tensor) -> Tensor:
    """Turn logits of any precision into alpha in [0, 1], float32."""
    # In half precision the sigmoid of a large logit is 1.0, which has no gradient.
    return torch.sigmoid(logits.float())


def pad_to_multiple(image: Tensor) -> Tensor:
    """Repeat the right and bottom edge of BxCxHxW until H and W are multiples of `MULTIPLE`."""
    height, width = image.shape[-2:]
    right, bottom = -width % MULTIPLE, -height % MULTIPLE
    if not (right or bottom):
        return image
    return functional.pad(image, (0, right, 0, bottom), mode="replicate")


def check_strides(config: NetworkConfig, channels: dict[int, int]) -> None:
    """Refuse an encoder without a feature at every stride that the decoder wants.

    Raises
    ------
    MatteError
    """
    if missing := [stride for stride in config.cue_strides if stride not in channels]:
        raise MatteError(
            f"encoder '{config.encoder}' has no feature at stride {missing[0]} "
            f"(it has {sorted(channels)})"
        )
