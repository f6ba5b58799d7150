"""The losses by name, and their weighted sum. All take alpha Bx1xHxW in [0, 1], float32."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from mattecli.core.errors import MatteError

Batch = dict[str, Tensor]


def mse(alpha: Tensor, batch: Batch) -> Tensor:
    """Mean squared error over all pixels (L_MSE of HAttMatting)."""
    return functional.mse_loss(alpha, batch["alpha"])


def l1(alpha: Tensor, batch: Batch) -> Tensor:
    """Mean absolute error over all pixels."""
    return functional.l1_loss(alpha, batch["alpha"])


def bce(alpha: Tensor, batch: Batch) -> Tensor:
    """Binary cross entropy with soft targets: strong where a whole part is missed."""
    # Written out, since torch's own refuses NaN with an exception before the trainer can name it.
    # The clamp bounds the value only; its gradient passes, or what is wrong and sure never learns.
    inside, target = alpha + (alpha.clamp(1e-5, 1 - 1e-5) - alpha).detach(), batch["alpha"]
    return -(target * inside.log() + (1 - target) * (1 - inside).log()).mean()


def ssim(alpha: Tensor, batch: Batch) -> Tensor:
    """1 - SSIM (L_SSIM of HAttMatting)."""
    return 1 - structural_similarity(alpha, batch["alpha"])


def structural_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Mean SSIM of BxCxHxW images in [0, 1] (Wang et al., IEEE TIP 2004).

    An 11x11 Gaussian window with sigma 1.5, data range 1, population covariances, and only
    windows that lie inside the image: the mean scikit-image gives with ``gaussian_weights`` and
    ``use_sample_covariance=False``.
    """
    mean1, square1, product = _blur(torch.cat([first, first * first, first * second])).chunk(3)
    mean2, square2 = _blur(torch.cat([second, second * second])).chunk(2)
    variance1, variance2 = square1 - mean1**2, square2 - mean2**2
    covariance = product - mean1 * mean2
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean1 * mean2 + c1) / (mean1**2 + mean2**2 + c1)
    structure = (2 * covariance + c2) / (variance1 + variance2 + c2)
    return (luminance * structure).mean()


def _blur(image: Tensor) -> Tensor:
    """BxCxHxW under an 11x11 Gaussian window of sigma 1.5, where it lies inside the image."""
    offsets = torch.arange(-5, 6, device=image.device, dtype=image.dtype)
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = (window / window.sum()).view(1, 1, -1, 1)
    # Convolutions of a single channel are slow. What a blur along one axis does not mix are the
    # lines of the other axis: taken as channels they make it a depthwise convolution, 5 times as
    # fast on a CPU.
    for _ in range(2):
        batch, channels, height, width = image.shape
        lines = image.reshape(batch * channels, height, width, 1).permute(0, 2, 1, 3)
        kernel = window.expand(width, 1, -1, 1).contiguous()
        lines = functional.conv2d(lines, kernel, groups=width)
        image = lines.reshape(batch, channels, width, height - 10)
    return image


def gradient(alpha: Tensor, batch: Batch) -> Tensor:
    """Mean absolute difference of horizontal and of vertical first differences, summed."""
    target = batch["alpha"]
    return sum(functional.l1_loss(alpha.diff(dim=axis), target.diff(dim=axis)) for axis in (-1, -2))


def laplacian(alpha: Tensor, batch: Batch, levels: int = 5) -> Tensor:
    """L1 between Laplacian pyramids, level l (from 0, finest) weighted 2^l.

    Hou and Liu, "Context-Aware Image Matting", ICCV 2019; pyramids as in Burt and Adelson, "The
    Laplacian Pyramid as a Compact Image Code", 1983. Being linear, the pyramid of the difference is
    the difference of the pyramids.
    """
    difference = alpha - batch["alpha"]
    kernel = difference.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    kernel = (kernel[:, None] * kernel[None, :])[None, None]
    total = difference.new_zeros(())
    for level in range(levels):
        if min(difference.shape[-2:]) < 4:
            break
        padded = functional.pad(difference, (2, 2, 2, 2), mode="reflect")
        coarser = functional.conv2d(padded, kernel, stride=2)
        height, width = difference.shape[-2:]
        expanded = _expanded(_expanded(coarser).mT).mT[..., :height, :width]
        total = total + 2**level * (difference - expanded).abs().mean()
        difference = coarser
    return total


def _expanded(image: Tensor) -> Tensor:
    """Double the columns by the pyramid's own kernel; those that are there stay at even places."""
    # Reduced pictures have their first column at the border, but their last one mostly before it.
    wide = torch.cat([image[..., 1:2], image, image[..., -1:]], dim=-1)
    before, here, after = wide[..., :-2], wide[..., 1:-1], wide[..., 2:]
    even, odd = (before + 6 * here + after) / 8, (here + after) / 2
    return torch.stack([even, odd], dim=-1).flatten(-2)


def composition(alpha: Tensor, batch: Batch) -> Tensor:
    """Mean absolute color error of the composite with the true F and B.

    Xu et al., "Deep Image Matting", CVPR 2017. Both composites have the same layers, so they differ
    by (alpha - truth) * (F - B). The batch's ``composed``, B, weights the samples: 0 where layers
    are not known, else 1 divided by the share of those whose layers are, in the batch or in the
    larger one that it is a part of.
    """
    colors = (batch["foreground"] - batch["background"]).abs()
    error = (alpha - batch["alpha"]).abs() * colors
    return (error * batch["composed"].view(-1, 1, 1, 1)).mean()


LOSSES: dict[str, Callable[[Tensor, Batch], Tensor]] = {
    loss.__name__: loss for loss in (mse, l1, bce, ssim, gradient, laplacian, composition)
}


def check_losses(weights: dict[str, float]) -> None:
    """Refuse names that are no loss.

    Raises
    ------
    MatteError
    """
    known = [*LOSSES, "sentry", "adversarial"]
    if unknown := sorted(set(weights) - set(known)):
        raise MatteError(f"unknown loss {', '.join(unknown)}: choose from {', '.join(known)}")


def ignore_unknown(alpha: Tensor, truth: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Take the pixels whose true alpha is unknown out of all losses.

    Parameters
    ----------
    alpha, truth : Tensor, Bx1xhxw
        The network's alpha and the true one.
    known : bool Tensor, Bx1xhxw

    Returns
    -------
    alpha, truth : Tensor, Bx1xhxw
        Both the network's own alpha without a gradient where `known` is False. Losses that compare
        neighborhoods, such as SSIM, then have no gradient there either.
    """
    own = alpha.detach()
    return torch.where(known, alpha, own), torch.where(known, truth, own)


def loss_values(
    alpha: Tensor, intermediate: list[Tensor], batch: Batch, weights: dict[str, float]
) -> dict[str, Tensor]:
    """Every loss that has a weight, by name; all but ``adversarial``, which needs a discriminator.

    Pixels where the batch's ``known`` is 0 are ignored, see `ignore_unknown`; `alpha` and the
    batch's ``alpha`` are expected to have gone through it, intermediate alphas do so here.

    ``sentry`` is the mean over the intermediate alphas, each compared at its own resolution by
    BCE plus L1 (HAttMatting++ names the supervision, not its form: the form is ours).
    """
    values = {name: LOSSES[name](alpha, batch) for name in LOSSES if weights.get(name)}
    if weights.get("sentry") and intermediate:
        levels = [_at_level(level, batch) for level in intermediate]
        values["sentry"] = sum(bce(*pair) + l1(*pair) for pair in levels) / len(levels)
    return values


def weighted_sum(values: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """Sum losses by their weights."""
    return sum(weights[name] * value for name, value in values.items())


def _at_level(level: Tensor, batch: Batch) -> tuple[Tensor, Batch]:
    """Give an intermediate alpha, and the true alpha reduced to its size."""
    truth = _pooled(functional.adaptive_avg_pool2d, batch["alpha"], level)
    if "known" in batch:
        # What has any unknown part is unknown.
        unknown = (batch["known"] <= 0).float()
        unknown = _pooled(functional.adaptive_max_pool2d, unknown, level)
        level, truth = ignore_unknown(level, truth, unknown == 0)
    return level, {"alpha": truth}


def _pooled(pool: Callable[..., Tensor], values: Tensor, level: Tensor) -> Tensor:
    # The last level has the full size, at which pooling is a slow way to copy.
    size = level.shape[-2:]
    return values if values.shape[-2:] == size else pool(values, size)
