"""The last stages of alpha: a head at the network's size, and a stage at the photo's own pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mattecli.core.network.blocks import conv_block, resize

# Channels at the photo's own pixels, where every one is dear.
_PIXEL = 8


class DetailHead(nn.Module):
    """Alpha at full resolution from the finest features and the image itself.

    Ours, not the paper's: hair a pixel wide is gone at stride 2.
    """

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.reduce = conv_block(inputs, channels, 1)
        self.look = conv_block(channels + 3, channels, 3)
        self.alpha = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, features: Tensor, image: Tensor) -> Tensor:
        """Features BxCxhxw and image Bx3xHxW to alpha logits Bx1xHxW."""
        features = resize(self.reduce(features), image.shape[-2:])
        return self.alpha(self.look(torch.cat([features, image], dim=1)))


class DetailStage(nn.Module):
    """Alpha at the pixels of a photo whose semantics were found at half its size.

    A small U of convolutions that sees the photo, the alpha found so far and the decoder's finest
    features, and corrects that alpha. It decides from what lies within some thirty pixels, so it
    can be trained on windows cut out of a picture. Ours, in the spirit of the refinement of
    Lin et al., "Real-Time High-Resolution Background Matting", CVPR 2021.
    """

    def __init__(self, semantics: int, near: int, wide: int) -> None:
        super().__init__()
        # The photo comes as 2x2 pixels in 12 channels: most of the work is done at half its size.
        self.look = conv_block(12 + 1, near, 3)
        self.around = nn.Sequential(nn.AvgPool2d(2), conv_block(near, wide, 3))
        self.mix = nn.Sequential(
            conv_block(wide + semantics, wide, 3), conv_block(wide, wide, 3, dilation=2)
        )
        self.reduce = conv_block(wide, near, 1)
        self.decide = nn.Sequential(conv_block(2 * near, near, 3), conv_block(near, near, 3))
        self.spread = nn.Conv2d(near, 4 * _PIXEL, 1)
        self.pixels = conv_block(_PIXEL + 3 + 1, _PIXEL, 3)
        self.correction = nn.Conv2d(_PIXEL, 1, 3, padding=1)
        # A fresh stage leaves alpha as it was found.
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    def forward(self, photo: Tensor, coarse: Tensor, features: Tensor) -> Tensor:
        """Correct the logits of alpha.

        Parameters
        ----------
        photo : Bx3xHxW, normalised; H and W multiples of 4
        coarse : logits of alpha, Bx1xH/2xW/2
        features : BxCxH/4xW/4

        Returns
        -------
        Tensor, Bx1xHxW
            Logits of alpha.
        """
        found = torch.sigmoid(coarse)
        near = self.look(torch.cat([functional.pixel_unshuffle(photo, 2), found], dim=1))
        wide = self.mix(torch.cat([self.around(near), features], dim=1))
        wide = resize(self.reduce(wide), near.shape[-2:])
        near = self.decide(torch.cat([near, wide], dim=1))
        pixels = functional.pixel_shuffle(self.spread(near), 2)
        logits = resize(coarse, photo.shape[-2:])
        pixels = self.pixels(torch.cat([pixels, photo, torch.sigmoid(logits)], dim=1))
        return logits + self.correction(pixels)
