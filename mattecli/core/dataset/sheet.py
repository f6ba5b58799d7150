"""A contact sheet of a set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mattecli.core.dataset.checking import find_files
from mattecli.core.errors import MatteError
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.pixels import to_unit
from mattecli.core.imaging.reading import read_color
from mattecli.core.inference.preview import contact_sheet, preview_row


def dataset_sheet(root: Path, rows: int = 12, columns: int = 2, seed: int = 0) -> np.ndarray:
    """Show samples drawn at random: image, alpha, and the subject on a chequered ground.

    Returns
    -------
    uint8 ndarray of shape (H, W, 3)

    Raises
    ------
    MatteError
        If `root` is no set, or one of its pictures cannot be read.
    """
    files = find_files(root)
    images, alphas = files["image"], files["alpha"]
    names = sorted(set(images) & set(alphas))
    if not names:
        raise MatteError(f"{root} holds no image with a matte of its name")
    count = min(len(names), rows * columns)
    chosen = np.random.default_rng(seed).choice(len(names), count, replace=False)
    tiles = [
        preview_row(read_color(images[name]), to_unit(read_mask(alphas[name]).alpha))
        for name in (names[i] for i in sorted(chosen))
    ]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    gap = np.full((tiles[0].shape[0], 24, 3), 255, np.uint8)
    lines = []
    for start in range(0, len(tiles), columns):
        parts = [part for tile in tiles[start : start + columns] for part in (tile, gap)]
        lines.append(np.hstack(parts[:-1]))
    return contact_sheet(lines)
