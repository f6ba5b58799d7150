"""Going through a large picture block by block: only where there is work, and in little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

Block = tuple[slice, slice]

# Rows that are mixed at once.
_STRIP = 64


def blocks(shape: tuple[int, int], height: int, width: int) -> Iterator[Block]:
    """Divide a picture of `shape` (rows, columns) into blocks; those at its end may be smaller."""
    for top in range(0, shape[0], height):
        for left in range(0, shape[1], width):
            yield (
                slice(top, min(top + height, shape[0])),
                slice(left, min(left + width, shape[1])),
            )


def strips(shape: tuple[int, ...]) -> Iterator[Block]:
    """Go through a picture in strips of whole rows, as no picture of floats need be held whole."""
    return blocks((shape[0], shape[1]), _STRIP, shape[1])


def busy_blocks(mask: np.ndarray, side: int) -> Iterator[Block]:
    """Cover all pixels of a uint8 H×W `mask` that are not 0, in rows of `side` pixels.

    Columns come in steps of `side` too; neighbors in a row are given as one block.
    """
    height, width = mask.shape
    for top in range(0, height, side):
        rows = slice(top, min(top + side, height))
        columns = cv2.reduce(mask[rows], 0, cv2.REDUCE_MAX)[0]
        starts = np.arange(0, width, side)
        busy = np.maximum.reduceat(columns, starts) > 0
        # Where runs of busy steps begin and end.
        edges = np.flatnonzero(np.diff(busy, prepend=False, append=False))
        for first, last in edges.reshape(-1, 2):
            yield rows, slice(int(first) * side, min(int(last) * side, width))


def grown(block: Block, margin: int, shape: tuple[int, ...]) -> tuple[Block, Block]:
    """Grow a block by `margin` within a picture of `shape`.

    Returns
    -------
    outer : the grown block in the picture
    inner : the block itself within the grown one
    """
    outer = pair(
        slice(max(0, part.start - margin), min(length, part.stop + margin))
        for part, length in zip(block, shape, strict=False)
    )
    inner = pair(
        slice(part.start - wide.start, part.stop - wide.start)
        for part, wide in zip(block, outer, strict=True)
    )
    return outer, inner


def scaled(block: Block, shape: tuple[int, int], of: tuple[int, int]) -> Block:
    """Give the same block, of a picture of the shape `of`, in its copy of `shape`."""
    return pair(
        slice(
            min(length - 1, round(part.start * length / whole)),
            max(1, round(part.stop * length / whole)),
        )
        for part, length, whole in zip(block, shape, of, strict=True)
    )


def pair(parts: Iterable[slice]) -> Block:
    """Give a block of its rows and columns."""
    rows, columns = parts
    return rows, columns
