"""Simulated guidance for training, from the true alpha or the network's own coarse pass.

See :mod:`mattecli.core.network.guidance` for what a guidance map holds.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from mattecli.core.network.blocks import resize
from mattecli.core.network.config import MULTIPLE

# Shares among the samples that are guided: the network's own alpha of a coarser pass, a spoiled
# truth, hints alone, and hints over a spoiled alpha; the rest are hints over a coarse one.
_COARSE, _SPOILED, _HINTS, _HINTS_OVER_SPOILED = 0.45, 0.15, 0.1, 0.1
# Sizes of the coarse pass, as shares of the sample's, and what they are multiples of on a GPU,
# where all samples go through it: cuDNN compiles kernels for every shape of a batch, seconds each.
_COARSE_SIZES, _COARSE_STEP = (0.4, 0.7), 4 * MULTIPLE
# Where less than this share of a picture is wrong, points may stand anywhere.
_SMALLEST_MISTAKE = 0.002
# Of so many random places of a region, a point takes the one that is farthest from its border.
_CANDIDATES = 6


def simulate_guidance(
    image: Tensor,
    alpha: Tensor,
    known: Tensor,
    *,
    share: float,
    coarse: Callable[[Tensor], Tensor],
    generator: torch.Generator,
) -> Tensor:
    """Draw guidance for a batch.

    Parameters
    ----------
    image, alpha, known : Tensor, Bx3xHxW, Bx1xHxW and Bx1xHxW
        In [0, 1]; `known` is 0 where `alpha` is unknown.
    share : float
        Share of the samples that are guided at all; the maps of the others are zeros.
    coarse : callable
        Alpha of an image, without guidance and gradient.
    generator : torch.Generator
        On the CPU, so that the draws are the same on every device.

    Returns
    -------
    Tensor, Bx2xHxW
    """
    count, _, height, width = alpha.shape
    guidance = alpha.new_zeros((count, 2, height, width))
    draws = torch.rand((count, 2), generator=generator)
    guided = draws[:, 0] < share
    kind = draws[:, 1]
    first_hint = _COARSE + _SPOILED
    over_spoiled = kind >= 1 - _HINTS_OVER_SPOILED
    over_coarse = ~over_spoiled & (kind >= first_hint + _HINTS)
    from_coarse = guided & ((kind < _COARSE) | over_coarse)
    if from_coarse.any():
        low, high = _COARSE_SIZES
        scale = low + (high - low) * float(torch.rand((), generator=generator))
        index = from_coarse.nonzero()[:, 0].to(image.device)
        few_shapes = image.device.type == "cuda"
        reduced = _reduced(image if few_shapes else image[index], scale, few_shapes=few_shapes)
        found = resize(coarse(reduced).float(), (height, width))
        guidance[index, :1] = 2 * (found[index] if few_shapes else found) - 1
    for number in range(count):
        if not guided[number]:
            continue
        truth, mask = alpha[number, 0], known[number, 0]
        if _COARSE <= kind[number] < first_hint or over_spoiled[number]:
            guidance[number, 0] = 2 * _spoil(truth, generator) - 1
        if kind[number] >= first_hint:
            drawn = (guidance[number, 0] + 1) / 2 if kind[number] >= first_hint + _HINTS else None
            guidance[number, 1] = _hint(truth, mask, drawn, generator)
    return guidance


def _reduced(image: Tensor, scale: float, *, few_shapes: bool) -> Tensor:
    """Reduce a batch for the coarse pass."""
    step = _COARSE_STEP if few_shapes else MULTIPLE
    size = tuple(max(1, round(side * scale / step)) * step for side in image.shape[2:])
    return functional.interpolate(
        image, size=size, mode="bilinear", antialias=True, align_corners=False
    )


def _spoil(alpha: Tensor, generator: torch.Generator) -> Tensor:
    """Blur an HxW alpha, grow or shrink it, take parts away and add islands."""
    height, width = alpha.shape
    draws = torch.rand(4, generator=generator)
    factor = 2 ** (2 + int(3 * draws[0]))
    spoiled = alpha[None, None]
    reach = 1 + 2 * int(1 + 6 * draws[1])
    if draws[2] < 0.3:
        spoiled = _grown(spoiled, reach)
    elif draws[2] < 0.6:
        spoiled = -_grown(-spoiled, reach)
    spoiled = functional.avg_pool2d(spoiled, factor, ceil_mode=True, count_include_pad=False)
    spoiled = functional.interpolate(spoiled, size=(height, width), mode="bilinear")[0, 0]
    if draws[3] < 0.6:
        spoiled = torch.where(_blobs(alpha, generator), 0.0, spoiled)
    if draws[3] > 0.4:
        spoiled = torch.where(_blobs(alpha, generator), 1.0, spoiled)
    return spoiled


def _grown(values: Tensor, side: int) -> Tensor:
    """Give the largest value in a square of an odd side around every pixel of 1x1xHxW."""
    # Along one axis after the other, which is the same and takes 2 comparisons per unit of the side
    # where the square takes its area.
    for kernel in ((side, 1), (1, side)):
        around = (kernel[0] // 2, kernel[1] // 2)
        values = functional.max_pool2d(values, kernel, stride=1, padding=around)
    return values


def _blobs(alpha: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a mask of soft shapes that covers a tenth or so of an HxW picture."""
    noise = torch.rand((1, 1, 6, 6), generator=generator).to(alpha.device)
    noise = functional.interpolate(noise, size=alpha.shape, mode="bicubic")[0, 0]
    return noise > 0.85


def _hint(
    alpha: Tensor, known: Tensor, earlier: Tensor | None, generator: torch.Generator
) -> Tensor:
    """Mark points or a trimap of an HxW alpha, or what lies outside of a box around it.

    Where there is an `earlier` alpha, points stand where it is wrong, as people set them.
    """
    subject, background = (alpha > 0.95) & (known > 0), (alpha < 0.05) & (known > 0)
    hints = torch.zeros_like(alpha)
    kind = float(torch.rand((), generator=generator))
    boxes, trimaps = (0.2, 0.4) if earlier is None else (0.1, 0.15)
    if kind < boxes and subject.any():
        # Nothing soft and nothing unknown lies outside of the box.
        inside = ~background
        rows, columns = inside.any(dim=1).nonzero()[:, 0], inside.any(dim=0).nonzero()[:, 0]
        margin = (0.02 + 0.06 * torch.rand(4, generator=generator)) * max(alpha.shape)
        top, bottom = int(rows[0] - margin[0]), int(rows[-1] + margin[1])
        left, right = int(columns[0] - margin[2]), int(columns[-1] + margin[3])
        hints -= 1
        hints[max(0, top) : bottom + 1, max(0, left) : right + 1] = 0
        return hints
    if kind < trimaps:
        reach = 1 + 2 * int(
            (0.01 + 0.05 * float(torch.rand((), generator=generator))) * max(alpha.shape)
        )
        unknown = _grown((~(subject | background)).float()[None, None], reach)[0, 0]
        return (subject.float() - background.float()) * (1 - unknown)
    wrong = torch.ones_like(subject) if earlier is None else (earlier - alpha).abs() > 0.4
    if (wrong & (subject | background)).float().mean() < _SMALLEST_MISTAKE:
        wrong = torch.ones_like(subject)
    for where, value in ((subject, 1.0), (background, -1.0)):
        for _ in range(int(torch.randint(0, 4, (), generator=generator))):
            if not (where & wrong).any():
                break
            row, column = _middle(where & wrong, generator)
            radius = (0.01 + 0.03 * float(torch.rand((), generator=generator))) * max(alpha.shape)
            y = torch.arange(alpha.shape[0], device=alpha.device)[:, None] - row
            x = torch.arange(alpha.shape[1], device=alpha.device) - column
            hints = torch.where((y * y + x * x < radius**2) & where, value, hints)
    return hints


def _middle(where: Tensor, generator: torch.Generator) -> tuple[int, int]:
    """Draw a place (row, column) of an HxW mask, far from its border rather than near it."""
    places = where.nonzero()
    drawn = torch.randint(len(places), (_CANDIDATES,), generator=generator)
    candidates = places[drawn.to(places.device)]
    reach = max(where.shape) // 32
    windows = functional.pad(where.float(), 4 * [reach])
    for axis in (0, 1):
        windows = windows.unfold(axis, 1 + 2 * reach, 1)
    # Of all windows, which are views, only those around the candidates are made.
    depth = windows[tuple(candidates.T)].sum(dim=(1, 2))
    row, column = candidates[depth.argmax()].tolist()
    return row, column
