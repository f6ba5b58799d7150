"""What a network is built from: one flat, serializable configuration."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from mattecli.core.errors import MatteError
from mattecli.core.network.validation import check_settings

#: The sides of a photo are brought to a multiple of so many pixels, the deepest stride.
MULTIPLE = 32

#: Channels of a guidance map: an earlier alpha, and hints.
GUIDANCE_CHANNELS = 2


@dataclass(frozen=True)
class NetworkConfig:
    """Everything needed to build a network again; it travels in the header of its weights.

    Strides are in pixels of the input. The defaults are HAttMatting as in the CVPR 2020 paper; they
    are for files of earlier versions, which lack later fields. See
    :mod:`mattecli.core.network.networks` for the named configurations.
    """

    #: "hattmatting" or "late-fusion" (Zhang et al., CVPR 2019), which has no attention.
    architecture: str = "hattmatting"
    encoder: str = "resnext101_32x8d"
    #: Whether the encoder's stem pools, which brings block 1 to stride 4. Of two readings of the
    #: paper this is ours; without it, as in public ports, block 1 is at stride 2.
    stem_pool: bool = True
    #: Stride of the deepest feature; 16 is reached by dilation, where the encoder allows it.
    output_stride: int = 16
    aspp_rates: tuple[int, ...] = (6, 12, 18)
    pyramid_channels: int = 256
    #: Strides at which appearance cues are filtered and fused, coarse to fine. The paper takes
    #: block 1 (stride 4), HAttMatting++ block 2 and block 1 (strides 8 and 4).
    cue_strides: tuple[int, ...] = (4,)
    #: Width of the decoder at each of those levels.
    cue_channels: tuple[int, ...] = (256,)
    #: Self-attention blocks between ASPP and decoder, over the whole frame.
    context_blocks: int = 0
    #: Whether the network takes a second input: an earlier alpha, and hints.
    guidance: bool = False
    #: The finest stride of features that guidance is added to.
    guidance_stride: int = 2
    #: Width of the full-resolution head, which takes the image too; 0 leaves it out.
    detail_channels: int = 0
    #: Those of the cue strides at which the guided head fits alpha to the photo's colors.
    guided_strides: tuple[int, ...] = ()
    channel_attention: bool = True
    spatial_attention: bool = True
    low_level: bool = True
    #: Alpha is also read off the intermediate levels in training (sentry supervision).
    sentry: bool = False
    #: Long side in pixels that photos are brought to for prediction.
    predict_size: int = 512
    #: Long side of the first of two passes; 0 leaves it to two-pass inference.
    first_pass_size: int = 0

    def __post_init__(self) -> None:
        check_settings(self)
        if len(self.cue_strides) != len(self.cue_channels):
            raise MatteError(
                f"cue_strides {self.cue_strides} and cue_channels {self.cue_channels} "
                "must have one entry a level"
            )
        if list(self.cue_strides) != sorted(set(self.cue_strides), reverse=True):
            raise MatteError(f"cue_strides {self.cue_strides} must run from coarse to fine")
        if self.architecture not in ("hattmatting", "late-fusion"):
            raise MatteError(f"unknown architecture '{self.architecture}'")
        guided = tuple(stride for stride in self.cue_strides if stride in self.guided_strides)
        if self.guided_strides != guided:
            raise MatteError(
                f"guided_strides {self.guided_strides} must be some of the cue_strides "
                f"{self.cue_strides}, coarse to fine"
            )
        if self.architecture == "late-fusion" and not self.detail_channels:
            raise MatteError("late-fusion needs detail_channels, for its fusion of the two classes")
        if self.architecture == "late-fusion" and (
            self.channel_attention
            or self.spatial_attention
            or self.guided_strides
            or self.context_blocks
            or self.guidance
            or not self.low_level
        ):
            raise MatteError(
                "late-fusion has no attention, no guided head and no guidance, and always uses "
                "low-level features"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON and TOML."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NetworkConfig:
        """Inverse of :meth:`to_dict`; lists become tuples.

        Raises
        ------
        MatteError
            If a key is not part of the configuration.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise MatteError(
                f"unknown network setting {', '.join(unknown)} (known: {', '.join(sorted(known))})"
            )
        settings: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**settings)
