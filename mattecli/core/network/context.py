"""Self-attention over the deepest features: context from the whole frame."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ContextBlock(nn.Module):
    """A transformer block on a feature map: depthwise position, self-attention, perceptron.

    Pre-norm residual blocks (Vaswani et al., NeurIPS 2017; Dosovitskiy et al., ICLR 2021). The
    position comes from a depthwise convolution instead of a table, so that any size of map will do
    (Chu et al., "Conditional Positional Encodings for Vision Transformers", ICLR 2023). All three
    residuals start at zero: a new block changes nothing until it has learned something.

    Parameters
    ----------
    channels : int
        Width of the map; a multiple of `heads`.
    """

    def __init__(self, channels: int, heads: int = 4, expansion: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm_attention = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)
        self.norm_mlp = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, expansion * channels),
            nn.ReLU(inplace=True),
            nn.Linear(expansion * channels, channels),
        )
        for layer in (self.position, self.project, self.mlp[-1]):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """BxCxhxw to BxCxhxw."""
        features = features + self.position(features)
        tokens = features.flatten(2).transpose(1, 2)
        tokens = tokens + self.project(self._attend(self.norm_attention(tokens)))
        tokens = tokens + self.mlp(self.norm_mlp(tokens))
        return tokens.transpose(1, 2).reshape_as(features)

    def _attend(self, tokens: Tensor) -> Tensor:
        """Multi-head self-attention, BxNxC to BxNxC."""
        queries, keys, values = (
            # Not unflatten, which ONNX does not know before opset 13.
            part.reshape(*part.shape[:2], self.heads, -1).transpose(1, 2)
            for part in self.qkv(tokens).chunk(3, dim=2)
        )
        if torch.onnx.is_in_onnx_export():
            # Written out: the exporter's own translation depends on the opset.
            scores = queries @ keys.transpose(2, 3) * queries.shape[-1] ** -0.5
            mixed = torch.softmax(scores, dim=-1) @ values
        else:
            mixed = functional.scaled_dot_product_attention(queries, keys, values)
        return mixed.transpose(1, 2).flatten(2)
