"""Late Fusion: foreground and background classified separately, then blended."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mattecli.core.network.blocks import (
    check_strides,
    conv_block,
    pad_to_multiple,
    resize,
    to_alpha,
)
from mattecli.core.network.config import NetworkConfig
from mattecli.core.network.encoders import Encoder


class ClassDecoder(nn.Module):
    """Probability of one class (foreground, or background), from coarse to fine with skips."""

    def __init__(self, channels: dict[int, int], deepest: int, config: NetworkConfig) -> None:
        super().__init__()
        self.strides = config.cue_strides
        inputs = channels[deepest]
        self.levels = nn.ModuleList()
        for stride, width in zip(config.cue_strides, config.cue_channels, strict=True):
            self.levels.append(
                nn.ModuleDict(
                    {
                        "project": conv_block(inputs, width, 1),
                        "fuse": conv_block(width + channels[stride], width, 3),
                    }
                )
            )
            inputs = width
        self.probability = nn.Conv2d(inputs, 1, 3, padding=1)

    def forward(self, features: dict[int, Tensor], deepest: Tensor) -> tuple[Tensor, Tensor]:
        """Features by stride to the finest decoder feature BxCxhxw and a probability Bx1xhxw."""
        x = deepest
        for stride, level in zip(self.strides, self.levels, strict=True):
            skip = features[stride]
            x = level["fuse"](torch.cat([resize(level["project"](x), skip.shape[-2:]), skip], 1))
        return x, to_alpha(self.probability(x))


class LateFusion(nn.Module):
    """Trimap-free matting with one encoder and two decoders (Zhang et al., CVPR 2019).

    The decoders give the probabilities F of foreground and B of background; a fusion network sees
    their features and the image and gives a weight b, and alpha = b F + (1 - b) (1 - B). As in the
    paper: this formula, DenseNet-201, skips at every level. Ours: widths, and training the whole at
    once, with F and 1 - B supervised as sentries, instead of in three stages.
    """

    def __init__(self, config: NetworkConfig, *, pretrained_encoder: bool = False) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(
            config.encoder,
            output_stride=config.output_stride,
            stem_pool=config.stem_pool,
            pretrained=pretrained_encoder,
        )
        check_strides(config, self.encoder.channels)
        channels, deepest = self.encoder.channels, self.encoder.deepest
        self.foreground = ClassDecoder(channels, deepest, config)
        self.background = ClassDecoder(channels, deepest, config)
        finest, width = config.cue_channels[-1], config.detail_channels
        self.reduce = conv_block(2 * finest, width, 1)
        self.fusion = nn.Sequential(
            conv_block(width + 3, width, 3),
            conv_block(width, width, 3),
            nn.Conv2d(width, 1, 3, padding=1),
        )

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Alpha of `image`, as :meth:`HAttMatting.forward`; the sentries are F and 1 - B."""
        size = image.shape[-2:]
        image = pad_to_multiple(image)
        features = self.encoder(image)
        deepest = features[self.encoder.deepest]
        of_foreground, foreground = self.foreground(features, deepest)
        of_background, background = self.background(features, deepest)

        fused = resize(self.reduce(torch.cat([of_foreground, of_background], 1)), image.shape[-2:])
        normalized = self.encoder.normalize(image)
        weight = to_alpha(self.fusion(torch.cat([fused, normalized], 1)))
        sides = [foreground, 1 - background]
        inside, outside = (resize(side, image.shape[-2:]) for side in sides)
        alpha = weight * inside + (1 - weight) * outside
        alpha = alpha[..., : size[0], : size[1]]
        return (alpha, sides if self.config.sentry else []) if self.training else alpha
