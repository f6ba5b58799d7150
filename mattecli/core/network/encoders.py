"""Encoders by timm's names, as a pyramid of features keyed by stride."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from mattecli.core.errors import MatteError


class Encoder(nn.Module):
    """Any timm CNN as a feature pyramid.

    Parameters
    ----------
    output_stride : int
        Stride of the deepest feature, by dilation where the encoder would have a greater one.
    stem_pool : bool
        Whether to keep the pooling of the stem; without it all features behind it are twice as
        fine.

    Attributes
    ----------
    channels : dict[int, int]
        Width of the feature at each stride (the last one where several share a stride).
    mean, std : Tensor, 1x3x1x1
        Normalization the encoder was trained with; applied here, to images in [0, 1].
    """

    def __init__(
        self,
        name: str,
        *,
        output_stride: int = 32,
        stem_pool: bool = True,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        # What timm takes for the stride, as it does not know of the missing pooling.
        nominal = output_stride if stem_pool else 2 * output_stride
        try:
            # Dilation is only named where it is wanted: not every encoder knows the argument.
            dilation: dict[str, Any] = {} if nominal == 32 else {"output_stride": nominal}
            self.body = timm.create_model(
                name, features_only=True, pretrained=pretrained, **dilation
            )
        except (RuntimeError, AssertionError, TypeError) as error:
            raise MatteError(f"encoder '{name}' cannot be built by timm: {error}") from None
        self.strides = self.body.feature_info.reduction()
        if not stem_pool:
            _drop_stem_pool(self.body, name)
            # The first feature is the stem's own, before its pooling.
            self.strides = [min(2, self.strides[0]), *(stride // 2 for stride in self.strides[1:])]
        self.channels = dict(zip(self.strides, self.body.feature_info.channels(), strict=True))
        if len(self.channels) < 3:
            raise MatteError(f"encoder '{name}' has no feature pyramid (strides {self.strides})")
        cfg = self.body.pretrained_cfg
        for key in ("mean", "std"):
            value = torch.tensor(cfg[key]).view(1, 3, 1, 1)
            self.register_buffer(key, value, persistent=False)

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """Features by stride for `image`, float Bx3xHxW in [0, 1], H and W multiples of 32."""
        features = self.body(self.normalize(image))
        return dict(zip(self.strides, features, strict=True))

    def normalize(self, image: Tensor) -> Tensor:
        """Bring `image`, in [0, 1], to the mean and deviation that the encoder knows."""
        return (image - self.mean) / self.std

    @property
    def deepest(self) -> int:
        """Stride of the last feature."""
        return self.strides[-1]


def _drop_stem_pool(body: nn.Module, name: str) -> None:
    """Replace the pooling of an encoder's stem by nothing.

    Raises
    ------
    MatteError
        If it has none.
    """
    for part, module in body.named_children():
        if isinstance(module, nn.MaxPool2d) or part == "maxpool":
            setattr(body, part, nn.Identity())
            return
    raise MatteError(
        f"encoder '{name}' has no pooling in its stem that stem_pool = false could drop"
    )


def load_encoder_weights(encoder: Encoder, name: str, path: Path) -> None:
    """Load ImageNet weights from a local file into `encoder`.

    Accepts a safetensors file or a pickled state dict (read with ``weights_only=True``) of the
    classifier. Keys are matched by name; where a file uses other names (TensorFlow ports do), by
    position, provided that order and shapes are those of timm's classifier.

    Raises
    ------
    MatteError
        If the file is unreadable or does not fit.
    """
    state = _read_state(path)
    target = encoder.body.state_dict()
    if not set(target) <= set(state):
        classifier = timm.create_model(name).state_dict()
        same_shapes = [v.shape for v in classifier.values()] == [v.shape for v in state.values()]
        if not same_shapes:
            raise MatteError(f"{path}: these weights do not belong to encoder '{name}'")
        state = dict(zip(classifier, state.values(), strict=True))
    encoder.body.load_state_dict({key: state[key] for key in target})


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise MatteError(f"{path}: cannot be read as encoder weights ({reason})") from None
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(map(torch.is_tensor, state.values())):
        raise MatteError(f"{path}: holds no encoder weights: not a table of tensors by name")
    return state
