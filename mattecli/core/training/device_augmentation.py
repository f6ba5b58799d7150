"""Colors, softness and noise of training samples, drawn for whole batches on the device.

The counterpart of :mod:`mattecli.core.dataset.augmentation` for cores too few to feed a fast GPU:
they decode and place, which is geometry, and this is done where the network runs. The draws are
other ones, their distributions the same, except that a second subject varies together with the
first.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mattecli.core.matting.compositing import composite

# As in `mattecli.core.dataset.augmentation`: shares of samples, and ranges.
_GREY, _DIM, _SOFT, _NOISY, _JPEG, _GAMMA = 0.12, 0.08, 0.15, 0.25, 0.3, 0.3
_QUALITIES = (35, 95)
# Layers of composites vary less, as both of them do.
_LAYER_STRENGTH = 0.6

# JPEG (ITU-T T.81): quantization of Annex K, and the conversion of JFIF from RGB.
_LUMA = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56
14 17 22 29 51 87 80 62 18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92
49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""
_CHROMA = """17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99
47 66 99 99 99 99 99 99"""
_LUMA_STEPS = tuple(map(float, _LUMA.split()))
_CHROMA_STEPS = (*map(float, _CHROMA.split()), *32 * (99.0,))
_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def augment(batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Vary a batch of samples whose colors are as they were read.

    Parameters
    ----------
    batch : dict of Tensor
        ``image``, ``alpha`` and, of all samples or of none, ``foreground``, ``background`` and
        ``composed``; on any device.
    generator : torch.Generator
        On the CPU, so that the draws are the same on every device.

    Returns
    -------
    dict of Tensor
        The same with other images and layers. Of composites both layers vary, each by itself, and
        the image is composed anew, and then perhaps degraded.
    """
    batch = dict(batch)
    image = _jitter(batch["image"], 1.0, generator)
    if "composed" in batch:
        foreground = _jitter(batch["foreground"], _LAYER_STRENGTH, generator)
        background = _jitter(batch["background"], 1.0, generator)
        composed = (batch["composed"] > 0).view(-1, 1, 1, 1)
        image = torch.where(composed, composite(batch["alpha"], foreground, background), image)
        batch["foreground"] = torch.where(composed, foreground, image)
        batch["background"] = torch.where(composed, background, image)
    batch["image"] = _degrade(image.clamp(0, 1), generator)
    return batch


def _draw(count: int, low: float, high: float, like: Tensor, generator: torch.Generator) -> Tensor:
    values = low + (high - low) * torch.rand(count, generator=generator)
    return values.to(like.device).view(-1, 1, 1, 1)


def _happens(share: float, like: Tensor, generator: torch.Generator) -> Tensor:
    return _draw(len(like), 0, 1, like, generator) < share


def _jitter(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Random gain a channel, brightness, contrast, gamma and saturation; BxCxHxW in [0, 1]."""
    count = len(image)

    def draw(reach: float, number: int = count) -> Tensor:
        return _draw(number, -strength * reach, strength * reach, image, generator)

    gain = 1 + draw(0.08, 3 * count).view(count, 3, 1, 1)
    contrast, brightness, saturation = 1 + draw(0.25), draw(0.12), 1 + draw(0.4)
    luma = image.new_tensor(_YCC[0]).view(1, 3, 1, 1)
    grey = (image * luma).sum(dim=1, keepdim=True)
    image = contrast * gain * (saturation * image + (1 - saturation) * grey)
    image = (image + 0.5 - 0.5 * contrast + brightness).clamp(0, 1)
    gamma = torch.exp(draw(0.4))
    return torch.where(_happens(_GAMMA, image, generator), image.pow(gamma), image)


def _degrade(image: Tensor, generator: torch.Generator) -> Tensor:
    """Grey, dim, soften, add noise, JPEG now and then."""
    grey, dim, soft, noisy, packed = (
        _happens(share, image, generator) for share in (_GREY, _DIM, _SOFT, _NOISY, _JPEG)
    )
    image = torch.where(grey, image.mean(dim=1, keepdim=True), image)
    power, light = (
        _draw(len(image), 1, 1.8, image, generator),
        _draw(len(image), 0.15, 0.6, image, generator),
    )
    image = torch.where(dim, image.pow(power) * light, image)
    image = torch.where(soft, _blur(image, _draw(len(image), 0.4, 1.2, image, generator)), image)
    sigma = _draw(len(image), 0.005, 0.03, image, generator)
    # Drawn on the device, as whole pictures of noise are; its seed is drawn with the rest.
    seed = int(torch.randint(2**31, (), generator=generator))
    noise = torch.randn(
        image.shape, device=image.device, generator=torch.Generator(image.device).manual_seed(seed)
    )
    image = torch.where(noisy, (image + sigma * noise).clamp(0, 1), image)
    quality = _draw(len(image), *_QUALITIES, image, generator)
    return torch.where(packed, _jpeg(image, quality), image)


def _jpeg(image: Tensor, quality: Tensor) -> Tensor:
    """Put Bx3xHxW in [0, 1] through JPEG's losses at each sample's quality, Bx1x1x1.

    Colors are halved (4:2:0) and quantized in blocks, with libjpeg's meaning of quality. H and W
    are multiples of 16, as all sizes of training are.
    """
    matrix = torch.tensor(_YCC)
    # Inverted on the CPU: a GPU's solver is a library of its own to load, and to wait for.
    to_ycc, to_rgb = (part.to(image) for part in (matrix, torch.linalg.inv(matrix)))
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality) / 100
    ycc = torch.einsum("ij,bjhw->bihw", to_ycc, 255 * image)
    light = _quantize(ycc[:, :1] - 128, _LUMA_STEPS, scale) + 128
    halved = _quantize(functional.avg_pool2d(ycc[:, 1:], 2), _CHROMA_STEPS, scale)
    color = functional.interpolate(halved, scale_factor=2.0, mode="bilinear", align_corners=False)
    rgb = torch.einsum("ij,bjhw->bihw", to_rgb, torch.cat([light, color], 1))
    return (rgb / 255).clamp(0, 1)


def _quantize(planes: Tensor, table: tuple[float, ...], scale: Tensor) -> Tensor:
    """Round the cosine transforms of the 8x8 blocks of BxCxHxW to multiples of a table."""
    count, channels, height, width = planes.shape
    at = torch.arange(8, device=planes.device, dtype=planes.dtype)
    basis = torch.cos((2 * at + 1) * at[:, None] * (torch.pi / 16)) / 2
    basis[0] /= 2**0.5
    steps = planes.new_tensor(table).view(1, 1, 1, 8, 1, 8)
    steps = (steps * scale[..., None, None]).round().clamp(1, 255)
    blocks = planes.reshape(count, channels, height // 8, 8, width // 8, 8)
    waves = torch.einsum("ij,bchjwk,lk->bchiwl", basis, blocks, basis)
    waves = (waves / steps).round() * steps
    blocks = torch.einsum("ij,bchiwl,lk->bchjwk", basis, waves, basis)
    return blocks.reshape(planes.shape)


def _blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Blur BxCxHxW by a Gaussian of each sample's own sigma, Bx1x1x1, of at most 1.3."""
    count, channels, height, width = image.shape
    offsets = torch.arange(-4, 5, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-(offsets**2) / (2 * sigma.view(-1, 1) ** 2))
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    lines = image.reshape(1, count * channels, height, width)
    for shape, padding in (((-1, 1, 9, 1), (0, 0, 4, 4)), ((-1, 1, 1, 9), (4, 4, 0, 0))):
        padded = functional.pad(lines, padding, mode="reflect")
        lines = functional.conv2d(padded, kernel.view(shape), groups=count * channels)
    return lines.reshape(image.shape)
