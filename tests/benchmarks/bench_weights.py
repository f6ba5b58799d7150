"""How good weights are: the protocol behind every figure of weights/README.md.

BENCHMARK holds `image/` and `alpha/` (lab photos with true mattes) and, where there, `peers/NAME/`
(mattes of other networks for them), `dev/GROUP/` and `test/GROUP/` (photos of one kind with mattes
or masks in `image/` and `alpha/`; choose on dev, report on test), `peers/dev-test.csv` (other
networks' figures on those, photo by photo), `people/image` and `people/mask` (hand-drawn masks) and
`empty/` (scenes without a subject). Everything is measured over whole images at the photos' own
size, on mattes rounded to 8 bits as `matte predict --save alpha` writes them.

    python tests/benchmarks/bench_weights.py BENCHMARK --split dev test --sheets worst
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mattecli.core.imaging.pixels import to_bits
from mattecli.core.imaging.reading import read_alpha, read_color
from mattecli.core.imaging.walking import find_images, pair_by_stem
from mattecli.core.imaging.writing import write_image
from mattecli.core.inference.predictor import Predictor
from mattecli.core.inference.preview import preview_row
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


class Photo(NamedTuple):
    """What one network makes of one photo."""

    sad: float
    grad: float
    iou: float


def overlap(found: np.ndarray, true: np.ndarray) -> float:
    """Give the intersection over union of two masks; 1 where both are empty."""
    union = (found | true).sum()
    return float((found & true).sum() / union) if union else 1.0


def group_row(photos: list[Photo]) -> str:
    """Give mean SAD, Grad and IoU of a group, and in how many photos IoU is below 0.8."""
    sad, grad, iou = (np.array(values) for values in zip(*photos, strict=True))
    return f"{sad.mean():.1f} / {grad.mean():.1f}, {iou.mean():.3f} ({(iou < 0.8).sum()})"


def bench_groups(
    root: Path, split: str, predictors: dict[str, Predictor], sheets: Path | None, level: str
) -> None:
    """Print SAD / Grad, IoU (photos below 0.8) of every group of a split beside the peers'."""
    peers: dict[str, dict[str, list[Photo]]] = defaultdict(lambda: defaultdict(list))
    if (figures := root / "peers" / "dev-test.csv").is_file():
        for line in csv.DictReader(figures.open(encoding="utf-8")):
            if line["group"] == split:
                photo = Photo(float(line["sad"]), float(line["grad"]), float(line["iou"]))
                peers[line["set"]][line["network"]].append(photo)
    groups = sorted(path for path in (root / split).iterdir() if path.is_dir())
    names = [*predictors, *sorted({name for group in peers.values() for name in group})]
    print(f"\n{split}: SAD / Grad, IoU (below .8)")
    print(f"| | {' | '.join(names)} |\n|---{'|---' * len(names)}|")
    for group in groups:
        rows = dict(peers[group.name])
        for name, predictor in predictors.items():
            into = sheets and sheets / f"{name}-{split}"
            rows[name] = bench_group(group, predictor, into, level)
        cells = [group_row(rows[name]) if name in rows else "" for name in names]
        print(f"| {group.name}, {len(rows[names[0]])} | {' | '.join(cells)} |", flush=True)


def bench_group(
    group: Path, predictor: Predictor, sheets: Path | None, level: str = "fast"
) -> list[Photo]:
    """Measure the photos of a group; `sheets` receives the twelve worst as one picture."""
    photos, shown = [], []
    for image, truth in pair_by_stem(group / "image", group / "alpha").pairs:
        color, true = read_color(image), read_alpha(truth)
        alpha = to_bits(predictor.predict([color], level)[0], 8)
        scores = score(alpha, true)
        photos.append(Photo(scores.sad, scores.grad, overlap(alpha > 127, true > 127)))
        if sheets:
            shown.append((scores.mad, preview_row(color, alpha / np.float32(255))))
    if sheets:
        write_sheet(sheets / f"{group.name}.jpg", shown)
    return photos


def write_sheet(path: Path, shown: list[tuple[float, np.ndarray]]) -> None:
    """Write the previews of the twelve photos with the largest errors, in three columns."""
    worst = [row for _, row in sorted(shown, key=lambda entry: -entry[0])[:12]]
    width, height = (max(row.shape[axis] for row in worst) for axis in (1, 0))
    cells = [
        cv2.copyMakeBorder(
            row, 0, height - row.shape[0], 0, width - row.shape[1], cv2.BORDER_CONSTANT
        )
        for row in worst
    ]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % 3)
    lines = [np.concatenate(cells[i : i + 3], axis=1) for i in range(0, len(cells), 3)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.concatenate(lines))


def bench_mattes(root: Path, predictors: dict[str, Predictor]) -> None:
    """Print errors against the lab photos' true mattes, ours and the peers'."""
    pairs = pair_by_stem(root / "image", root / "alpha").pairs
    print("| | SAD | MSE | Grad | Conn | median SAD / Grad |\n|---|---|---|---|---|---|")
    for name, predictor in predictors.items():
        scores: dict[str, list] = {level: [] for level in LEVELS}
        for image, truth in pairs:
            color, true = read_color(image), read_alpha(truth)
            for level in LEVELS:
                scores[level].append(score(to_bits(predictor.predict([color], level)[0], 8), true))
        for level in LEVELS:
            print(row(f"{name}, --refine {level}", scores[level]))
    for folder in sorted(path for path in (root / "peers").glob("*/") if path.is_dir()):
        mattes = {path.stem: path for path in find_images(folder)}
        scores = [score(read_alpha(mattes[t.stem]), read_alpha(t)) for _, t in pairs]
        print(row(folder.name, scores))


def bench_people(root: Path, predictor: Predictor) -> None:
    """Print how well the area of people is found, against hand-drawn masks."""
    overlaps = []
    for image, mask in pair_by_stem(root / "image", root / "mask").pairs:
        color = read_color(image)
        (alpha,) = predictor.predict([color])
        overlaps.append(overlap(alpha > 0.5, read_alpha(mask) > 127))
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
    parser.add_argument("--precision", default="auto", help="as for matte predict")
    parser.add_argument("--split", nargs="*", default=["dev"], choices=["dev", "test"])
    parser.add_argument("--refine", default="fast", choices=LEVELS, help="of the splits' mattes")
    parser.add_argument("--sheets", type=Path, help="folder for pictures of each group's worst")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    predictors = {
        Path(name).stem: Predictor.load(name, "cpu", arguments.precision, arguments.size)
        for name in arguments.weights
    }
    bench_mattes(arguments.benchmark, predictors)
    for split in arguments.split:
        bench_groups(arguments.benchmark, split, predictors, arguments.sheets, arguments.refine)
    for name, predictor in predictors.items():
        print(f"{name}, --refine fast:")
        if (people := arguments.benchmark / "people").is_dir():
            bench_people(people, predictor)
        if (scenes := arguments.benchmark / "empty").is_dir():
            bench_empty(scenes, predictor)


if __name__ == "__main__":
    main()
