"""From a configuration to a network."""

from __future__ import annotations

from torch import nn

from mattecli.core.network.config import NetworkConfig
from mattecli.core.network.hattmatting import HAttMatting
from mattecli.core.network.late_fusion import LateFusion
from mattecli.core.network.validation import check_encoder

ARCHITECTURES = {"hattmatting": HAttMatting, "late-fusion": LateFusion}


def build_network(config: NetworkConfig, *, pretrained_encoder: bool = False) -> nn.Module:
    """Build the network that `config` describes, its decoder freshly initialized.

    Raises
    ------
    MatteError
        If timm has no such encoder, or it lacks a feature that the configuration wants.
    """
    check_encoder(config.encoder)
    architecture = ARCHITECTURES[config.architecture]
    return architecture(config, pretrained_encoder=pretrained_encoder)
