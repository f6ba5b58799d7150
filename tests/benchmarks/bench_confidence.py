"""Calibrate the confidence of `--report`, and measure how well it is calibrated.

BENCHMARK has `dev/GROUP/` and `test/GROUP/`, see `bench_weights.py`. A logistic regression on dev
gives the constants of `mattecli/core/inference/confidence.py`, which are printed to be put there;
on test it is measured: the calibration error (how far the mean confidence of five bins of equal
size is from the share of their mattes that are right, weighted), how much of what is wrong lies
below the threshold, and how well confidence sorts.

    python tests/benchmarks/bench_confidence.py BENCHMARK
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mattecli.core.imaging.reading import read_alpha, read_color
from mattecli.core.imaging.walking import pair_by_stem
from mattecli.core.inference.confidence import DOUBTFUL, signs_of
from mattecli.core.inference.passes import blend
from mattecli.core.inference.predictor import Predictor
from mattecli.core.matting.refinement import refine

#: Intersection over union from which on a matte is right.
RIGHT = 0.95
#: Bins of the calibration error, and the weight decay of the regression.
BINS, DECAY = 5, 0.1


class Photo(NamedTuple):
    """The signs of a photo's matte, its intersection over union, and whether it is large."""

    signs: list[float]
    iou: float
    is_large: bool


def measure(root: Path, predictor: Predictor) -> list[Photo]:
    """Look at all photos of a split."""
    photos = []
    for group in sorted(path for path in root.iterdir() if path.is_dir()):
        for image, truth in pair_by_stem(group / "image", group / "alpha").pairs:
            color, true = read_color(image), read_alpha(truth) > 127
            passes = predictor.planner.start(color)
            predictor.complete([passes])
            matte = blend(passes)
            found = refine(color, matte, "fast", passes.network_input) > 0.5
            union = np.count_nonzero(found | true)
            iou = np.count_nonzero(found & true) / union if union else 1.0
            is_large = passes.sizes.large is not None
            photos.append(Photo(signs_of(matte, passes.network_input).values(), iou, is_large))
    return photos


def fit(photos: list[Photo]) -> np.ndarray:
    """Fit a logistic regression by Newton's method, with weight decay on all but the constant."""
    x = np.array([photo.signs for photo in photos])
    y = np.array([photo.iou >= RIGHT for photo in photos], float)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    mean[0], spread[0] = 0, 1
    scaled = (x - mean) / spread
    decay = DECAY * np.eye(x.shape[1]) * len(x) / 100
    decay[0, 0] = 0
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-scaled @ weights))
        slope = scaled.T @ (y - chance) - decay @ weights
        curve = (scaled * (chance * (1 - chance))[:, None]).T @ scaled + decay
        weights += np.linalg.solve(curve, slope)
    weights /= spread
    weights[0] -= (weights[1:] * mean[1:]).sum()
    return weights


def report(name: str, photos: list[Photo], weights: np.ndarray) -> None:
    """Print a line of the table."""
    x = np.array([photo.signs for photo in photos])
    iou = np.array([photo.iou for photo in photos])
    right, chance = iou >= RIGHT, 1 / (1 + np.exp(-x @ weights))
    order = np.argsort(chance)
    error = sum(
        len(part) / len(order) * abs(chance[part].mean() - right[part].mean())
        for part in np.array_split(order, BINS)
    )
    pairs = chance[right][:, None] - chance[~right]
    sorts = float((pairs > 0).mean() + (pairs == 0).mean() / 2)
    flagged = chance < DOUBTFUL
    print(
        f"| {name} | {len(photos)} | {right.mean():.2f} | {chance.mean():.2f} | {error:.3f} "
        f"| {sorts:.3f} | {flagged.mean():.2f} | {flagged[~right].mean():.2f} "
        f"| {(flagged & (iou < 0.8)).sum()} of {(iou < 0.8).sum()} |",
        flush=True,
    )


def main() -> None:
    """Print constants and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("--weights")
    arguments = parser.parse_args()
    head = "IoU ≥ .95 | mean confidence | calibration error | AUC"
    tail = "below threshold | of those with IoU < .95 | with IoU < .8"
    predictor = Predictor.load(arguments.weights)
    splits = {split: measure(arguments.benchmark / split, predictor) for split in ("dev", "test")}
    weights = fit(splits["dev"])
    print(f"CONSTANTS = ({', '.join(f'{weight:.3f}' for weight in weights)})\n")
    print(f"| | photos | {head} | {tail} |\n|---|" + "---|" * 8)
    for split, photos in splits.items():
        report(split, photos, weights)
        report(f"{split}, large", [photo for photo in photos if photo.is_large], weights)


if __name__ == "__main__":
    main()
