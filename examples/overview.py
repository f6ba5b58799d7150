"""Draw the README's picture with the program itself: photo, alpha, cutout, new background.

python examples/overview.py BACKGROUND OUT.jpg
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from mattecli.core.dataset.compositing import composite
from mattecli.core.imaging.placing import fill_frame
from mattecli.core.imaging.reading import read_color, read_picture, to_bits, to_unit
from mattecli.core.imaging.writing import write_image

PHOTOS = ["raccoon", "grace-hopper"]
HEIGHT, GAP = 300, 8


def checkers(height: int, width: int) -> np.ndarray:
    """The pattern that stands for transparency, float32 HxWx3."""
    rows, columns = np.mgrid[:height, :width] // 12
    shades = np.where((rows + columns) % 2, 0.93, 0.78).astype(np.float32)
    return np.repeat(shades[..., None], 3, axis=2)


def matte(*arguments: object) -> None:
    """Run a command of the program."""
    subprocess.run([sys.executable, "-m", "mattecli", *map(str, arguments)], check=True)


def main(background: Path, out: Path) -> None:
    """Predict, compose and lay four pictures a photo side by side."""
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        matte("predict", here, work, "--save", "alpha", "--save", "cutout", "--quiet")
        matte("composite", work / "cutout", background, "-o", work / "new", "--quiet")
        rows = []
        for name in PHOTOS:
            cutout = read_picture(work / "cutout" / f"{name}.png")
            alpha = to_unit(cutout.alpha)
            shown = composite(alpha, to_unit(cutout.color), checkers(*alpha.shape))
            pictures = [
                to_unit(read_color(here / f"{name}.jpg")),
                np.repeat(alpha[..., None], 3, axis=2),
                shown,
                to_unit(read_color(work / "new" / f"{name}.png")),
            ]
            tiles = [fill_frame(picture, (HEIGHT, HEIGHT)) for picture in pictures]
            gap = np.ones((HEIGHT, GAP, 3), np.float32)
            row = [part for tile in tiles for part in (tile, gap)][:-1]
            rows += [np.hstack(row), np.ones((GAP, 4 * HEIGHT + 3 * GAP, 3), np.float32)]
    write_image(out, to_bits(np.vstack(rows[:-1]), 8), quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
