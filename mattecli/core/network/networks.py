"""The named networks: builders whose calls show every number.

They give configurations, which need no PyTorch; `build_network` makes networks of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mattecli.core.errors import MatteError
from mattecli.core.network.config import NetworkConfig


def hattmatting() -> NetworkConfig:
    """HAttMatting as in its paper (Qiao et al., CVPR 2020).

    Ours, as the paper's public text does not give them: the widths of ASPP and decoder, the 1x1
    projections before the attention, one attention map for all channels, and one of two readings of
    block 1, see ``stem_pool``. The encoder's weights are named, as timm's default ones may change.
    """
    return NetworkConfig(
        architecture="hattmatting",
        encoder="resnext101_32x8d.tv_in1k",
        stem_pool=True,
        output_stride=16,
        aspp_rates=(6, 12, 18),
        pyramid_channels=256,
        context_blocks=0,
        guidance=False,
        guidance_stride=2,
        cue_strides=(4,),
        cue_channels=(256,),
        detail_channels=0,
        guided_strides=(),
        channel_attention=True,
        spatial_attention=True,
        low_level=True,
        sentry=False,
        predict_size=512,
        first_pass_size=0,
    )


def hattmatting_plus_plus() -> NetworkConfig:
    """HAttMatting++ (Qiao et al., ACM TOMM 2023): cues of two levels, and sentry supervision."""
    return NetworkConfig(
        architecture="hattmatting",
        encoder="resnext101_32x8d.tv_in1k",
        stem_pool=True,
        output_stride=16,
        aspp_rates=(6, 12, 18),
        pyramid_channels=256,
        context_blocks=0,
        guidance=False,
        guidance_stride=2,
        cue_strides=(8, 4),
        cue_channels=(256, 256),
        detail_channels=0,
        guided_strides=(),
        channel_attention=True,
        spatial_attention=True,
        low_level=True,
        sentry=True,
        predict_size=512,
        first_pass_size=0,
    )


def matte() -> NetworkConfig:
    """Our own network, whose weights are bundled.

    A light encoder at stride 32, self-attention, cues at every level down to stride 2, a narrow
    head at full resolution and a conditioned guided filter; it takes guidance.
    """
    return NetworkConfig(
        architecture="hattmatting",
        encoder="tf_efficientnet_lite0",
        stem_pool=True,
        output_stride=32,
        aspp_rates=(6, 12, 2),
        pyramid_channels=128,
        context_blocks=2,
        guidance=True,
        guidance_stride=4,
        cue_strides=(16, 8, 4, 2),
        cue_channels=(96, 64, 32, 16),
        detail_channels=8,
        guided_strides=(16, 8, 4),
        channel_attention=True,
        spatial_attention=True,
        low_level=True,
        sentry=True,
        predict_size=640,
        first_pass_size=512,
    )


def late_fusion() -> NetworkConfig:
    """Late Fusion (Zhang et al., CVPR 2019), a trimap-free baseline, with its authors' encoder."""
    return NetworkConfig(
        architecture="late-fusion",
        encoder="densenet201.tv_in1k",
        stem_pool=True,
        output_stride=32,
        aspp_rates=(6, 12, 18),
        pyramid_channels=256,
        context_blocks=0,
        guidance=False,
        guidance_stride=2,
        cue_strides=(16, 8, 4, 2),
        cue_channels=(256, 128, 64, 32),
        detail_channels=16,
        guided_strides=(),
        channel_attention=False,
        spatial_attention=False,
        low_level=True,
        sentry=True,
        predict_size=512,
        first_pass_size=0,
    )


#: The builders by the names that recipes and ``--network`` know.
NETWORKS: dict[str, Callable[[], NetworkConfig]] = {
    "hattmatting": hattmatting,
    "hattmatting++": hattmatting_plus_plus,
    "matte": matte,
    "late-fusion": late_fusion,
}


def network_config(name: str, **changes: Any) -> NetworkConfig:
    """Build a named configuration, with some settings changed.

    Parameters
    ----------
    **changes
        Fields of `NetworkConfig`; None leaves a field as it is. ``stem_pool=False`` halves every
        stride that is not among them: all features of the encoder are twice as fine then.

    Raises
    ------
    MatteError
        If no network has that name, or the changed configuration is not valid.
    """
    if name not in NETWORKS:
        raise MatteError(f"unknown network '{name}': choose from {', '.join(NETWORKS)}")
    named = NETWORKS[name]()
    changes = {k: v for k, v in changes.items() if v is not None}
    if changes.get("stem_pool") is False:
        halved = {
            "output_stride": named.output_stride // 2,
            "cue_strides": tuple(stride // 2 for stride in named.cue_strides),
            "guided_strides": tuple(stride // 2 for stride in named.guided_strides),
        }
        changes = halved | changes
    return NetworkConfig.from_dict(named.to_dict() | changes)
