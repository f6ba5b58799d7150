"""Windows of a batch in which alpha is worked out and judged, where it is hard."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Windows lie on a grid of as many pixels, so that they can be cut out of features at stride 4.
_GRID = 8
# Share of the windows that lie anywhere.
_ANYWHERE = 0.2


def choose_windows(
    alpha: Tensor, count: int, side: int, generator: torch.Generator | None = None
) -> Tensor:
    """Draw square windows around edges and soft pixels, and some anywhere.

    Parameters
    ----------
    alpha : Bx1xHxW in [0, 1]; H and W at least `side`
    count : int
        Windows a picture.
    side : int
        In pixels, a multiple of 8.
    generator : torch.Generator, optional
        What chance comes from; torch's own by default.

    Returns
    -------
    int64 Tensor, (B * count)x4
        Index of the picture, top, left and side in pixels.
    """
    batch, _, height, width = alpha.shape
    highest = functional.max_pool2d(alpha, _GRID + 1, _GRID, _GRID // 2)
    lowest = -functional.max_pool2d(-alpha, _GRID + 1, _GRID, _GRID // 2)
    changes = (highest - lowest).flatten(1)
    total = changes.sum(dim=1, keepdim=True)
    even = torch.full_like(changes, 1 / changes.shape[1])
    chances = torch.where(
        total > 0, (1 - _ANYWHERE) * changes / total.clamp(min=1e-9) + _ANYWHERE * even, even
    )
    cells = torch.multinomial(chances, count, replacement=True, generator=generator).flatten()
    columns = width // _GRID
    # A change may lie anywhere in its window, not always in the middle.
    reach = (-(side // 4), side // 4 + 1)
    shift = torch.randint(*reach, (2, batch * count), generator=generator, device=alpha.device)
    corners = [
        ((cell * _GRID - side // 2 + offset).clamp(0, room - side) // _GRID * _GRID)
        for cell, offset, room in (
            (cells.div(columns, rounding_mode="floor"), shift[0], height),
            (cells % columns, shift[1], width),
        )
    ]
    index = torch.arange(batch, device=alpha.device).repeat_interleave(count)
    return torch.stack([index, *corners, torch.full_like(index, side)], dim=1)


def cut_windows(tensor: Tensor, windows: Tensor, stride: int = 1) -> Tensor:
    """Cut windows out of BxCxhxw whose pixels are `stride` pixels of the picture wide.

    Returns
    -------
    Tensor, NxCx(side / stride)x(side / stride)
    """
    parts = []
    for index, top, left, side in windows.tolist():
        rows = slice(top // stride, (top + side) // stride)
        columns = slice(left // stride, (left + side) // stride)
        parts.append(tensor[index, :, rows, columns])
    return torch.stack(parts)


def windows_of(batch: dict[str, Tensor], windows: Tensor) -> dict[str, Tensor]:
    """Cut every picture of a batch; what belongs to a picture as a whole goes to its windows."""
    return {
        name: cut_windows(value, windows) if value.ndim == 4 else value[windows[:, 0]]
        for name, value in batch.items()
    }
