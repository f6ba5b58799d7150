"""HAttMatting: hierarchical attention matting, and the finer heads that ours has."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mattecli.core.network.aspp import ASPP
from mattecli.core.network.attention import AppearanceCueFiltration, PyramidalFeatureDistillation
from mattecli.core.network.blocks import (
    check_strides,
    conv_block,
    pad_to_multiple,
    resize,
    to_alpha,
)
from mattecli.core.network.config import NetworkConfig
from mattecli.core.network.context import ContextBlock
from mattecli.core.network.encoders import Encoder
from mattecli.core.network.guidance import GuidanceInjection
from mattecli.core.network.guided import GuidedHead


class CueFusion(nn.Module):
    """One level of the decoder: filter this level's appearance cues, fuse them with semantics."""

    def __init__(self, semantics: int, cues: int, outputs: int, *, spatial_attention: bool) -> None:
        super().__init__()
        # A cheap projection first: the finer the level, the fewer channels it can afford.
        self.semantics = conv_block(semantics, outputs, 1)
        self.cues = conv_block(cues, outputs, 1)
        self.filter = (
            AppearanceCueFiltration(outputs, max(8, outputs // 4)) if spatial_attention else None
        )
        self.fuse = conv_block(2 * outputs, outputs, 3)

    def forward(self, semantics: Tensor, cues: Tensor) -> Tensor:
        """Semantics BxSxhxw (any size up to that of the cues) and cues BxCxHxW to BxOxHxW."""
        semantics = resize(self.semantics(semantics), cues.shape[-2:])
        cues = self.cues(cues)
        if self.filter is not None:
            cues = self.filter(semantics, cues)
        return self.fuse(torch.cat([semantics, cues], dim=1))


class DetailHead(nn.Module):
    """Alpha at full resolution from the finest features and the image itself.

    Ours, not the paper's: hair a pixel wide is gone at stride 2.
    """

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.reduce = conv_block(inputs, channels, 1)
        # A key of weights files: the convolution over features and image.
        self.look = conv_block(channels + 3, channels, 3)
        self.alpha = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, features: Tensor, image: Tensor) -> Tensor:
        """Features BxCxhxw and image Bx3xHxW to alpha logits Bx1xHxW."""
        features = resize(self.reduce(features), image.shape[-2:])
        return self.alpha(self.look(torch.cat([features, image], dim=1)))


class HAttMatting(nn.Module):
    """Alpha from a photo alone (Qiao et al., CVPR 2020; HAttMatting++, ACM TOMM 2023).

    encoder -> ASPP -> channel attention distills the pyramidal features -> level by level, coarse
    to fine, spatial attention filters appearance cues, which are fused with the semantics -> alpha.
    See :class:`NetworkConfig` for the switches of the paper's ablation.
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
        if config.low_level:
            check_strides(config, self.encoder.channels)
        self.guidance = self._injection() if config.guidance else None
        channels = config.pyramid_channels
        self.aspp = ASPP(self.encoder.channels[self.encoder.deepest], channels, config.aspp_rates)
        self.context = nn.Sequential(
            *(ContextBlock(channels) for _ in range(config.context_blocks))
        )
        self.distil = PyramidalFeatureDistillation(channels) if config.channel_attention else None

        self.levels = nn.ModuleList()
        for stride, width in zip(config.cue_strides, config.cue_channels, strict=True):
            if not config.low_level:
                break
            cues = self.encoder.channels[stride]
            self.levels.append(
                CueFusion(channels, cues, width, spatial_attention=config.spatial_attention)
            )
            channels = width

        self.sentries = nn.ModuleList(
            nn.Conv2d(width, 1, 1) for width in config.cue_channels[: len(self.levels)]
        )
        self.sentries = self.sentries if config.sentry else nn.ModuleList()
        self.decode = conv_block(channels, channels, 3) if not config.detail_channels else None
        self.head = (
            DetailHead(channels, config.detail_channels)
            if config.detail_channels
            else nn.Conv2d(channels, 1, 3, padding=1)
        )
        widths = zip(config.cue_strides, config.cue_channels, strict=True)
        guided = {stride: width for stride, width in widths if stride in config.guided_strides}
        self.guided = GuidedHead(guided) if guided and config.low_level else None

    def _injection(self) -> GuidanceInjection:
        """Build what adds guidance to the features that the rest of the network takes."""
        config, channels = self.config, self.encoder.channels
        cues = [s for s in config.cue_strides if s >= config.guidance_stride]
        strides = {self.encoder.deepest, *(cues if config.low_level else ())}
        return GuidanceInjection({stride: channels[stride] for stride in sorted(strides)})

    def forward(
        self, image: Tensor, guidance: Tensor | None = None
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Alpha of `image`.

        Parameters
        ----------
        image : float Tensor, Bx3xHxW
            sRGB in [0, 1], any size; normalization is done here.
        guidance : float Tensor, Bx2xHxW, optional
            See :mod:`mattecli.core.network.guidance`. Ignored without ``config.guidance``.

        Returns
        -------
        Tensor, Bx1xHxW
            Alpha in [0, 1]. In training mode a pair: alpha, and the sentries' alphas of the
            intermediate levels, coarse to fine, each at its own resolution, and the alpha
            before the guided head.
        """
        size = image.shape[-2:]
        image = pad_to_multiple(image)
        features = self.encoder(image)
        if guidance is not None and self.guidance is not None:
            features = self.guidance(features, pad_to_multiple(guidance))

        semantics = self.context(self.aspp(features[self.encoder.deepest]))
        coarsest = self.config.cue_strides[0]
        semantics = resize(semantics, tuple(side // coarsest for side in image.shape[-2:]))
        if self.distil is not None:
            semantics = self.distil(semantics)

        intermediate, decoded = [], {}
        for index, level in enumerate(self.levels):
            stride = self.config.cue_strides[index]
            semantics = decoded[stride] = level(semantics, features[stride])
            if self.training and self.sentries:
                intermediate.append(to_alpha(self.sentries[index](semantics)))

        if self.decode is not None:
            logits = resize(self.head(self.decode(semantics)), image.shape[-2:])
        else:
            logits = self.head(semantics, self.encoder.normalize(image))
        alpha = to_alpha(logits)
        if self.guided is not None:
            if self.training and self.sentries:
                intermediate.append(alpha)
            alpha = self.guided(alpha, image, decoded)
        alpha = alpha[..., : size[0], : size[1]]
        return (alpha, intermediate) if self.training else alpha
