"""How good weights are: the protocol behind every figure of weights/README.md.

BENCHMARK holds `image/` and `alpha/` (photos with true mattes), and, where there, `peers/NAME/`
(mattes of other networks for them), `people/image` and `people/mask` (hand-drawn masks) and
`empty/` (scenes without a subject). Everything is measured over whole images at the photos' own
size, on mattes rounded to 8 bits as `matte predict --save alpha` writes them.

    python tests/benchmarks/bench_weights.py BENCHMARK --weights default fast --sheet worst.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from mattecli.core.imaging.pixels import to_bits
from mattecli.core.imaging.reading import read_alpha, read_color
from mattecli.core.imaging.walking import find_images, pair_by_stem
from mattecli.core.imaging.writing import write_image
from mattecli.core.inference.predictor import Predictor
from mattecli.core.inference.preview import preview_row
from mattecli.core.matting.refinement import refine
from mattecli.core.metrics import score

LEVELS = ("none", "fast", "best")
#: An empty scene may have this share of its area in the matte.
EMPTY = 0.02


def matte(predictor: Predictor, color: np.ndarray) -> np.ndarray:
    """Give the network's matte of a photo, at the size of its last pass."""
    ((_, alpha),) = predictor.network_mattes([color])
    return alpha


def row(name: str, scores: list) -> str:
    """Give a line of the table: means, and medians of SAD and Grad."""
    figures = {k: np.array([getattr(s, k) for s in scores]) for k in ("sad", "mse", "grad", "conn")}
    sad, mse, grad, conn = (values.mean() for values in figures.values())
    return (
        f"| {name} | {sad:.1f} | {mse:.4f} | {grad:.1f} | {conn:.1f} "
        f"| {np.median(figures['sad']):.1f} / {np.median(figures['grad']):.1f} |"
    )


def bench_mattes(root: Path, predictors: dict[str, Predictor], sheet: Path | None) -> None:
    """Print errors against true mattes, ours and the peers'."""
    pairs = pair_by_stem(root / "image", root / "alpha").pairs
    print("| | SAD | MSE | Grad | Conn | median SAD / Grad |\n|---|---|---|---|---|---|")
    for name, predictor in predictors.items():
        scores: dict[str, list] = {level: [] for level in LEVELS}
        shown = []
        for image, truth in pairs:
            color, true = read_color(image), read_alpha(truth)
            small = matte(predictor, color)
            for level in LEVELS:
                alpha = to_bits(refine(color, small, level), 8)
                scores[level].append(score(alpha, true))
                if level == "fast":
                    shown.append((scores[level][-1].sad, color, alpha))
        for level in LEVELS:
            print(row(f"{name}, --refine {level}", scores[level]))
        if sheet:
            shown.sort(key=lambda entry: -entry[0])
            # Best and worst alike.
            rows = [preview_row(color, alpha / np.float32(255)) for _, color, alpha in shown]
            width = min(part.shape[1] for part in rows)
            rows = [part[:, :width] for part in rows]
            height = min(part.shape[0] for part in rows)
            picked = [*rows[:4], *rows[-4:]]
            write_image(
                sheet.with_stem(f"{sheet.stem}-{name}"),
                np.concatenate([part[:height] for part in picked]),
            )
    for folder in sorted((root / "peers").glob("*/")):
        mattes = {path.stem: path for path in find_images(folder)}
        scores = [score(read_alpha(mattes[t.stem]), read_alpha(t)) for _, t in pairs]
        print(row(folder.name, scores))


def bench_people(root: Path, predictor: Predictor) -> None:
    """Print how well the area of people is found, against hand-drawn masks."""
    overlaps = []
    for image, mask in pair_by_stem(root / "image", root / "mask").pairs:
        color = read_color(image)
        (alpha,) = predictor.predict([color])
        found, true = alpha > 0.5, read_alpha(mask) > 127
        overlaps.append((found & true).sum() / max(1, (found | true).sum()))
    low = sorted(overlaps)[:3]
    print(
        f"  {len(overlaps)} people: mean IoU {np.mean(overlaps):.3f}, "
        f"lowest {', '.join(f'{value:.3f}' for value in low)}"
    )


def bench_empty(root: Path, predictor: Predictor) -> None:
    """Print in how many scenes without a subject the matte stays empty."""
    areas = [float(matte(predictor, read_color(path)).mean()) for path in find_images(root)]
    empty = sum(area < EMPTY for area in areas)
    high = sorted(areas)[-3:]
    print(
        f"  {empty} of {len(areas)} empty scenes under {EMPTY:.0%} "
        f"(largest {', '.join(f'{value:.1%}' for value in high)})"
    )


def main() -> None:
    """Run the protocol."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("--weights", nargs="+", default=["default"], help="names or files")
    parser.add_argument("--size", type=int, help="long side at which the network sees a photo")
    parser.add_argument("--sheet", type=Path, help="picture of the worst and the best, by weights")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    predictors = {
        Path(name).stem: Predictor.load(name, device="cpu", size=arguments.size)
        for name in arguments.weights
    }
    bench_mattes(arguments.benchmark, predictors, arguments.sheet)
    for name, predictor in predictors.items():
        print(f"{name}, --refine fast:")
        if (people := arguments.benchmark / "people").is_dir():
            bench_people(people, predictor)
        if (scenes := arguments.benchmark / "empty").is_dir():
            bench_empty(scenes, predictor)


if __name__ == "__main__":
    main()
