"""Foreground color estimation against the truth: error and time of every method.

Composites with a known foreground are made of cutouts (RGBA, or photos with --alphas, whose
foreground is then PyMatting's closed-form estimate) on backgrounds drawn at random, and rounded to
8 bits. Errors are means over pixels with alpha in (0.02, 0.98), weighted by alpha, × 1000.
PyMatting is measured as well where it is installed; its compilation is not counted.

    python tests/benchmarks/bench_foreground.py --cutouts DIR --backgrounds DIR
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from mattecli.core.imaging.pixels import to_unit
from mattecli.core.imaging.reading import read_alpha, read_color, read_picture
from mattecli.core.imaging.walking import find_images, pair_by_stem
from mattecli.core.matting.compositing import composite
from mattecli.core.matting.foreground import METHODS, estimate_foreground
from mattecli.core.matting.placing import resize

Estimator = Callable[[np.ndarray, np.ndarray], np.ndarray]


def estimators() -> dict[str, Estimator]:
    """All methods there are to compare."""
    found: dict[str, Estimator] = {"none": lambda image, alpha: image}
    for method in METHODS:
        found[method] = functools.partial(estimate_foreground, method=method)
    try:
        import pymatting
    except ImportError:
        return found

    def closed_form(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        return pymatting.estimate_foreground_cf(image.astype(float), alpha.astype(float))

    return found | {
        "PyMatting multilevel": pymatting.estimate_foreground_ml,
        "PyMatting closed form": closed_form,
    }


def subjects(
    cutouts: Path, alphas: Path | None, count: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give foregrounds (float32 H×W×3) and mattes (float32 H×W) in random order."""
    rng = np.random.default_rng(seed)
    if alphas is None:
        paths = find_images(cutouts)
        for i in rng.permutation(len(paths))[:count]:
            picture = read_picture(paths[i])
            yield to_unit(picture.color), to_unit(picture.alpha)
        return
    from pymatting import estimate_foreground_cf

    pairs = pair_by_stem(cutouts, alphas).pairs
    for i in rng.permutation(len(pairs))[:count]:
        image, alpha = to_unit(read_color(pairs[i][0])), to_unit(read_alpha(pairs[i][1]))
        foreground = estimate_foreground_cf(image.astype(float), alpha.astype(float))
        yield foreground.astype(np.float32), alpha


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cutouts", type=Path, required=True)
    parser.add_argument("--alphas", type=Path)
    parser.add_argument("--backgrounds", type=Path, required=True)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--enlarge", type=float, default=1.0, help="to time larger pictures")
    parser.add_argument("--threads", type=int, default=1, help="of OpenCV and numba")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    rng = np.random.default_rng(1)
    backgrounds = find_images(options.backgrounds)
    methods = estimators()
    if "PyMatting multilevel" in methods:
        import numba

        numba.set_num_threads(options.threads)
    errors: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
    seconds = dict.fromkeys(methods, 0.0)
    tiny = np.full((8, 8, 3), 0.5, np.float32), np.full((8, 8), 0.5, np.float32)
    for method in methods.values():
        method(*tiny)

    pixels = 0
    for foreground, alpha in subjects(options.cutouts, options.alphas, options.count, 0):
        size = [round(side * options.enlarge) for side in alpha.shape]
        foreground, alpha = resize(foreground, *size), resize(alpha, *size)
        path = backgrounds[rng.integers(len(backgrounds))]
        background = resize(to_unit(read_color(path)), *size)
        image = np.rint(composite(alpha, foreground, background) * 255).astype(np.uint8)
        image, pixels = to_unit(image), pixels + alpha.size
        weight = np.where((alpha > 0.02) & (alpha < 0.98), alpha, 0)
        for name, method in methods.items():
            start = time.process_time()
            estimate = method(image, alpha)
            seconds[name] += time.process_time() - start
            difference = np.abs(estimate - foreground)
            total = 3 * max(weight.sum(), 1e-9)
            absolute = (difference.sum(axis=2) * weight).sum() / total
            squared = ((difference**2).sum(axis=2) * weight).sum() / total
            errors[name].append((1000 * absolute, 1000 * squared**0.5))

    print("method                    MAE×1000  RMSE×1000  processor s/megapixel")
    for name in methods:
        mae, rmse = np.mean(errors[name], axis=0)
        print(f"{name:24} {mae:9.1f} {rmse:10.1f} {seconds[name] / pixels * 1e6:12.2f}")


if __name__ == "__main__":
    main()
