"""Alpha re-estimated from the colors of the photo: a guided filter as a layer of the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mattecli.core.network.blocks import resize

# Half the side of a window, in pixels at its stride.
_RADIUS = 4
# Ridge term: variance of color (in [0, 1]) below which a window counts as uniform.
_RIDGE = 1e-5
# alpha (1 - alpha) from which on alpha is replaced in full; below it in proportion.
_FULL_UNCERTAINTY = 0.1
# Scale of the learned color shifts, small because a fit is sensitive to its colors.
_SHIFT_SCALE = 0.1


class GuidedHead(nn.Module):
    """Fits alpha to color in every window and re-estimates uncertain alpha by the fits.

    In a small window alpha is nearly ``slope · color + offset`` (Levin et al., PAMI 2008), which a
    guided filter fits by box filters (He et al., PAMI 2013) and which can be trained through (Wu et
    al., "Fast End-to-End Trainable Guided Filter", CVPR 2018). Ours is conditioned,
    pixel by pixel, on the decoder's features: a shift of the colors, the confidence in alpha,
    weights of the window sizes, and how far alpha is replaced. It starts as a plain guided filter.

    Parameters
    ----------
    channels : dict
        Width of the decoder's features at each stride (pixels of the input) at which windows are
        fitted, coarse to fine: the coarser, the wider they are in the photo.
    """

    def __init__(self, channels: dict[int, int]) -> None:
        super().__init__()
        self.strides = tuple(channels)
        # The names of these modules are keys of weights files: steer is the conditioning, short the
        # range shrinkage.
        #: Color shift (3 channels), confidence in alpha, and logit of this scale.
        self.steer = nn.ModuleList(nn.Conv2d(width, 5, 3, padding=1) for width in channels.values())
        self.gate = nn.Conv2d(channels[self.strides[-1]], 1, 3, padding=1)
        for conv in (*self.steer, self.gate):
            nn.init.zeros_(conv.weight)
            nn.init.zeros_(conv.bias)
        nn.init.constant_(self.gate.bias, 3.0)
        #: Range shrinkage: how far fits, being averages, fall short of 0 and 1.
        self.short = nn.Parameter(torch.tensor(0.05))

    def forward(self, alpha: Tensor, image: Tensor, features: dict[int, Tensor]) -> Tensor:
        """Re-estimate the alpha of a photo.

        Parameters
        ----------
        alpha, image : Tensor, Bx1xHxW and Bx3xHxW
            In [0, 1], with sides that are multiples of the strides.
        features : dict of Tensor, BxCxhxw
            By stride.

        Returns
        -------
        Tensor, Bx1xHxW
            In [0, 1], float32.
        """
        conditioning = [conv(features[s]) for s, conv in zip(self.strides, self.steer, strict=True)]
        gate = self.gate(features[self.strides[-1]])
        size = conditioning[-1].shape[-2:]
        # Variances are small differences of large numbers, for which half precision will not do.
        with torch.autocast(alpha.device.type, enabled=False):
            image = image.float() - 0.5
            fits, scale_logits = [], []
            for stride, condition in zip(self.strides, conditioning, strict=True):
                shift, confidence, logit = condition.float().split([3, 1, 1], dim=1)
                shift = _SHIFT_SCALE * shift
                colors = functional.avg_pool2d(image, stride)
                reduced = functional.avg_pool2d(alpha, stride)
                fit = _fit(
                    colors + shift,
                    reduced,
                    torch.sigmoid(confidence) + 1e-3,
                    trainable=self.training,
                )
                slope, offset = fit.split([3, 1], dim=1)
                # At full size the fit then meets the photo's own colors.
                offset = offset + (slope * shift).sum(dim=1, keepdim=True)
                fits.append(resize(torch.cat([slope, offset], dim=1), size))
                scale_logits.append(resize(logit, size))
            weights = torch.softmax(torch.stack(scale_logits), dim=0)
            fit = (torch.stack(fits) * weights).sum(dim=0)
            wide = resize(torch.cat([fit, torch.sigmoid(gate.float())], dim=1), image.shape[-2:])
            slope, offset, gate = wide.split([3, 1, 1], dim=1)
            estimate = (slope * image).sum(dim=1, keepdim=True) + offset
            estimate = ((estimate - self.short) / (1 - 2 * self.short)).clamp(0, 1)
            uncertainty = (alpha * (1 - alpha) / _FULL_UNCERTAINTY).clamp(max=1)
            return alpha + gate * uncertainty * (estimate - alpha)


def _fit(guide: Tensor, alpha: Tensor, confidence: Tensor, *, trainable: bool) -> Tensor:
    """Fit Bx1xhxw `alpha` to Bx3xhxw `guide` in every window, weighted by Bx1xhxw `confidence`.

    Returns
    -------
    Tensor, Bx4xhxw
        Slope and offset for every pixel, averaged over the windows that it lies in.
    """
    r, g, b = guide.split(1, dim=1)
    products = torch.cat([r * r, g * g, b * b, r * g, r * b, g * b, guide * alpha], dim=1)
    layers = torch.cat([torch.ones_like(confidence), guide, alpha, products], dim=1) * confidence
    sums = _box(layers, trainable=trainable)
    total, means = sums[:, :1], sums[:, 1:] / sums[:, :1]
    color, mean, products, mixed = means.split([3, 1, 6, 3], dim=1)
    mr, mg, mb = color.split(1, dim=1)
    own = torch.cat([mr * mr, mg * mg, mb * mb, mr * mg, mr * mb, mg * mb], dim=1)
    rr, gg, bb, rg, rb, gb = (products - own).split(1, dim=1)
    cr, cg, cb = (mixed - color * mean).split(1, dim=1)
    # LDL decomposition of the symmetric 3x3 matrix. Its pivots are at least the ridge term, which
    # rounding in single precision would not guarantee.
    rr = rr.clamp(min=0) + _RIDGE
    lg, lb = rg / rr, rb / rr
    gg = (gg - lg * rg).clamp(min=0) + _RIDGE
    gb = gb - lg * rb
    lgb = gb / gg
    bb = (bb - lb * rb - lgb * gb).clamp(min=0) + _RIDGE
    cg = cg - lg * cr
    sb = (cb - lb * cr - lgb * cg) / bb
    sg = cg / gg - lgb * sb
    sr = cr / rr - lg * sg - lb * sb
    slope = torch.cat([sr, sg, sb], dim=1)
    offset = mean - (slope * color).sum(dim=1, keepdim=True)
    averaged = _box(
        torch.cat([slope, offset, torch.ones_like(total)], dim=1) * total, trainable=trainable
    )
    return averaged[:, :4] / averaged[:, 4:]


def _box(features: Tensor, *, trainable: bool) -> Tensor:
    """Mean of every window, where what lies outside of the picture counts as 0."""
    side, channels = 2 * _RADIUS + 1, features.shape[1]
    for kernel in ((1, side), (side, 1)):
        padding = (kernel[0] // 2, kernel[1] // 2)
        if trainable:
            # Forward and backward together, 5 times as fast on a CPU as pooling.
            features = features.contiguous(memory_format=torch.channels_last)
            ones = features.new_full((channels, 1, *kernel), 1 / side)
            features = functional.conv2d(features, ones, padding=padding, groups=channels)
        else:
            features = functional.avg_pool2d(features, kernel, stride=1, padding=padding)
    return features
