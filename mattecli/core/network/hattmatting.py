"""HAttMatting: hierarchical attention matting, and the finer network that grows out of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

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
from mattecli.core.network.detail import DetailHead, DetailStage
from mattecli.core.network.encoders import Encoder
from mattecli.core.network.windows import cut_windows


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


class HAttMatting(nn.Module):
    """Alpha from a photo alone (Qiao et al., CVPR 2020; HAttMatting++, ACM TOMM 2022).

    encoder -> ASPP -> channel attention distils the pyramidal features -> level by level, coarse
    to fine, spatial attention filters appearance cues, which are fused with the semantics -> alpha.
    See :class:`NetworkConfig` for the switches of the paper's ablation.
    """

    def __init__(self, config: NetworkConfig, *, pretrained_encoder: bool = False) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(
            config.encoder, output_stride=config.output_stride, pretrained=pretrained_encoder
        )
        channels = config.pyramid_channels
        self.aspp = ASPP(self.encoder.channels[self.encoder.deepest], channels, config.aspp_rates)
        self.distil = PyramidalFeatureDistillation(channels) if config.channel_attention else None

        self.levels = nn.ModuleList()
        if config.low_level:
            check_strides(config, self.encoder.channels)
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
        self.stage = (
            DetailStage(channels, *config.stage_channels) if config.stage_channels else None
        )

    def forward(
        self, image: Tensor, windows: Tensor | None = None
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Alpha of `image`.

        Parameters
        ----------
        image : float Tensor, Bx3xHxW
            sRGB in [0, 1], any size; normalisation is done here.
        windows : int64 Tensor, Nx4, optional
            With a detail stage: work out alpha only in these windows (see `choose_windows`).

        Returns
        -------
        Tensor, Bx1xHxW
            Alpha in [0, 1]. In training mode a pair: alpha (Nx1xSxS with windows), and the alphas
            of the intermediate levels, coarse to fine, each at its own resolution: the sentries',
            and with a detail stage the one that it starts from.
        """
        size = image.shape[-2:]
        photo = image = pad_to_multiple(image, self.config.multiple)
        if self.stage:
            image = functional.avg_pool2d(photo, 2)
        features = self.encoder(image)

        semantics = self.aspp(features[self.encoder.deepest])
        coarsest = self.config.cue_strides[0]
        semantics = resize(semantics, tuple(side // coarsest for side in image.shape[-2:]))
        if self.distil is not None:
            semantics = self.distil(semantics)

        intermediate = []
        for index, level in enumerate(self.levels):
            semantics = level(semantics, features[self.config.cue_strides[index]])
            if self.training and self.sentries:
                intermediate.append(to_alpha(self.sentries[index](semantics)))

        if self.decode is not None:
            logits = resize(self.head(self.decode(semantics)), image.shape[-2:])
        else:
            logits = self.head(semantics, self.encoder.normalise(image))
        if self.stage:
            if self.training:
                intermediate.append(to_alpha(logits))
            photo = self.encoder.normalise(photo)
            semantics = resize(semantics, tuple(side // 2 for side in image.shape[-2:]))
            if windows is not None:
                photo = cut_windows(photo, windows)
                logits = cut_windows(logits, windows, 2)
                semantics = cut_windows(semantics, windows, 4)
            logits = self.stage(photo, logits, semantics)
        alpha = to_alpha(logits)
        if windows is None:
            alpha = alpha[..., : size[0], : size[1]]
        return (alpha, intermediate) if self.training else alpha
