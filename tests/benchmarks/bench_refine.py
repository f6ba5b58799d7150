"""Levels of ``--refine``: error and time of each, where the true matte is known.

On photos with their mattes, and on pictures of many megapixels composed here: four cutouts side by
side on a background, so that at full size their detail is hardly enlarged. Refinement starts from
what the network gives, and from the true matte at the size of the network's, which shows what
refinement can do where the network makes no mistake (``best`` is closed-form matting there, as for
networks without a detail pass). SAD and Grad are those of ``matte evaluate``, divided by
megapixels; time is the processor's on one thread, with that of the network in its rows.

    python tests/benchmarks/bench_refine.py --photos DIR --alphas DIR \\
        --cutouts DIR --cutouts DIR --backgrounds DIR [--weights FILE]
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from mattecli.core.imaging.pixels import to_bits, to_unit
from mattecli.core.imaging.reading import read_alpha, read_color, read_picture
from mattecli.core.imaging.walking import find_images, pair_by_stem
from mattecli.core.inference.predictor import Predictor
from mattecli.core.matting.compositing import composite
from mattecli.core.matting.placing import fill_frame, resize
from mattecli.core.matting.refinement import refine
from mattecli.core.metrics.gradient import gradient_error
from mattecli.core.metrics.pointwise import sad

LEVELS = ("none", "fast", "best")


def predicted(predictor: Predictor, color: np.ndarray, level: str) -> np.ndarray:
    """Give the matte of a photo."""
    return predictor.predict([color], level)[0]


def photos(images: Path, alphas: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give photos (uint8) and their true mattes (float32)."""
    for image, alpha in pair_by_stem(images, alphas).pairs:
        yield read_color(image), to_unit(read_alpha(alpha))


def composites(
    cutouts: list[Path], backgrounds: Path, megapixels: float, count: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Compose pictures (uint8) and give their true mattes (float32)."""
    rng = np.random.default_rng(0)
    paths = [path for folder in cutouts for path in find_images(folder)]
    scenes = find_images(backgrounds)
    half = round((megapixels * 1e6 / 1.5) ** 0.5 / 2), round((megapixels * 1e6 * 1.5) ** 0.5 / 2)
    for _ in range(count):
        scene = read_color(scenes[rng.integers(len(scenes))])
        canvas = to_unit(fill_frame(scene, (2 * half[0], 2 * half[1])))
        truth = np.zeros(canvas.shape[:2], np.float32)
        for place in np.ndindex(2, 2):
            picture = read_picture(paths[rng.integers(len(paths))])
            scale = min(
                0.9 * room / side for room, side in zip(half, picture.alpha.shape, strict=True)
            )
            size = [round(side * scale) for side in picture.alpha.shape]
            color, alpha = (resize(to_unit(a), *size) for a in (picture.color, picture.alpha))
            part = tuple(
                slice(p * room + (room - side) // 2, p * room + (room - side) // 2 + side)
                for p, room, side in zip(place, half, size, strict=True)
            )
            canvas[part] = composite(alpha, color, canvas[part])
            truth[part] = alpha
        yield to_bits(canvas, 8), truth


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--alphas", type=Path)
    parser.add_argument("--cutouts", type=Path, action="append", default=[])
    parser.add_argument("--backgrounds", type=Path)
    parser.add_argument("--megapixels", type=float, default=8.0)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args()
    sets = {}
    if options.photos:
        sets["photos"] = photos(options.photos, options.alphas)
    if options.cutouts:
        made = composites(options.cutouts, options.backgrounds, options.megapixels, options.count)
        sets[f"composites of {options.megapixels:g} MP"] = made
    cv2.setNumThreads(1)
    predictor = Predictor.load(options.weights, device="cpu")
    print("| pictures | matte | level | SAD/MP | Grad/MP | s/picture |\n|---|---|---|---|---|---|")
    for name, pictures in sets.items():
        figures: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
        for color, truth in pictures:
            small = resize(truth, *predictor.planner.sizes(*truth.shape).last)
            for level in LEVELS:
                ways = {
                    "network's": partial(predicted, predictor, color, level),
                    "true, small": partial(refine, color, small, level),
                }
                for of, way in ways.items():
                    start = time.process_time()
                    alpha = way()
                    seconds = time.process_time() - start
                    megapixels = truth.size / 1e6
                    errors = sad(alpha, truth), gradient_error(alpha, truth)
                    figures[of, level].append((*(e / megapixels for e in errors), seconds))
        for (of, level), measured in figures.items():
            mean = np.mean(measured, axis=0)
            row = f"{name} ({len(measured)}) | {of} | {level}"
            print(f"| {row} | {mean[0]:.2f} | {mean[1]:.2f} | {mean[2]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
