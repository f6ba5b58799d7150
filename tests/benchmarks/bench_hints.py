"""Simulated users correct mattes by points: how fast errors fall, how far points reach, how long.

BENCHMARK has `dev/GROUP/` and `test/GROUP/`, see `bench_weights.py`. After each matte the user
puts a point into the middle of the largest region that is wrong (alpha off by more than a half),
on the subject or on the background, up to five. Printed are mean SAD after 0, 1, 2, 3 and 5
points; the same of photos with a real mistake, of which more than 2 % of the subject's area
is wrong; the share of these whose SAD is halved after two; what a perfect tool would reach that
replaces the marked regions by the truth; and the mean change of alpha farther than 15 % of the
diagonal from all points where the first matte was right. A second table is of users who begin with
a box around the subject, a little too large, and go on with points. `--without-guidance` leaves the
network out of it. Last comes the time of a further stroke in a photo of 12 megapixels, in times of
the first matte.

    python tests/benchmarks/bench_hints.py BENCHMARK --split dev test
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

import mattecli as matte
from mattecli.core.imaging.reading import read_alpha, read_color
from mattecli.core.imaging.walking import pair_by_stem
from mattecli.core.inference.options import PredictOptions
from mattecli.core.inference.session import shared_predictor

CLICKS = 5
#: SAD is given after so many points.
SHOWN = (0, 1, 2, 3, 5)
#: A photo has a real mistake if this share of its subject's area is wrong.
REAL = 0.02
#: Far is beyond this share of the diagonal.
FAR = 0.15
#: A user's box is larger than the subject by this share of the photo's sides, on each of its own.
LOOSE = 0.02
#: The user looks at a photo of this size.
SCREEN = 512
#: Photos are reduced to this long side, or the benchmark takes hours.
SIDE = 800


class Click(NamedTuple):
    """A point in the middle of a wrong region."""

    place: tuple[float, float]
    is_subject: bool
    region: np.ndarray


class Photo(NamedTuple):
    """What a user achieved with one photo.

    SAD after each point, what was perfect, and SAD in a box alone and after each point.
    """

    group: str
    sad: list[float]
    perfect: list[float]
    boxed: list[float]
    wrong: float
    far: float


def click(alpha: np.ndarray, true: np.ndarray) -> Click | None:
    """Find the largest wrong region."""
    scale = min(1.0, SCREEN / max(true.shape))
    size = [max(1, round(side * scale)) for side in true.shape[::-1]]
    off = cv2.resize(true - alpha, size, interpolation=cv2.INTER_AREA)
    largest: tuple[int, bool, np.ndarray] | None = None
    for sign in (1, -1):
        _, pieces, stats, _ = cv2.connectedComponentsWithStats((sign * off > 0.5).astype(np.uint8))
        if len(stats) > 1:
            number = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
            area = int(stats[number, cv2.CC_STAT_AREA])
            if largest is None or area > largest[0]:
                largest = area, sign > 0, pieces == number
    if largest is None:
        return None
    inside = np.pad(largest[2].astype(np.uint8), 1)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    place = (column + 0.5) / size[0] * true.shape[1], (row + 0.5) / size[1] * true.shape[0]
    region = cv2.resize(
        largest[2].astype(np.uint8), true.shape[::-1], interpolation=cv2.INTER_NEAREST
    )
    return Click((float(place[0]), float(place[1])), largest[1], region > 0)


def sad(alpha: np.ndarray, true: np.ndarray) -> float:
    """Sum of absolute differences, in thousands."""
    return float(np.abs(alpha - true).sum()) / 1000


def far_change(
    alpha: np.ndarray, first: np.ndarray, true: np.ndarray, places: list[tuple[float, float]]
) -> float:
    """Mean change of alpha far from all points, where the first matte was right."""
    away = np.ones(true.shape, np.uint8)
    for x, y in places:
        away[min(int(y), true.shape[0] - 1), min(int(x), true.shape[1] - 1)] = 0
    distance = cv2.distanceTransform(away, cv2.DIST_L2, 5)
    counted = (distance > FAR * np.hypot(*true.shape)) & (np.abs(first - true) < 0.5)
    return float(np.abs(alpha - first)[counted].mean()) if counted.any() else 0.0


def box_around(true: np.ndarray) -> tuple[int, int, int, int]:
    """Draw a box around the subject, as (x, y, width, height)."""
    height, width = true.shape
    x, y, w, h = cv2.boundingRect((true > 0.5).astype(np.uint8))
    left, top = max(0, int(x - LOOSE * width)), max(0, int(y - LOOSE * height))
    right = min(width, int(x + w + LOOSE * width))
    return left, top, right - left, min(height, int(y + h + LOOSE * height)) - top


def in_box(session: matte.Session, true: np.ndarray) -> list[float]:
    """Let a user draw a box, and then put two points into it."""
    box = box_around(true)
    points: dict[str, list[tuple[float, float]]] = {"points": [], "not_points": []}
    found = []
    for _ in range(3):
        alpha = session.alpha(box=box, **points)
        found.append(sad(alpha, true))
        inside = np.zeros(true.shape, bool)
        inside[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = True
        if miss := click(alpha, np.where(inside, true, alpha)):
            points["points" if miss.is_subject else "not_points"].append(miss.place)
    return found


def correct(image: Path, truth: Path) -> Photo:
    """Let a user correct a photo."""
    color, true = read_color(image), read_alpha(truth) / np.float32(255)
    if (scale := SIDE / max(true.shape)) < 1:
        size = [max(1, round(side * scale)) for side in true.shape[::-1]]
        color, true = (
            cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (color, true)
        )
    session = matte.Session(color)
    alpha = first = session.alpha()
    perfect = first.copy()
    found, best, far = [sad(first, true)], [sad(first, true)], [0.0]
    points: dict[str, list[tuple[float, float]]] = {"points": [], "not_points": []}
    for _ in range(CLICKS):
        if miss := click(perfect, true):
            perfect[miss.region] = true[miss.region]
        if miss := click(alpha, true):
            points["points" if miss.is_subject else "not_points"].append(miss.place)
            alpha = session.alpha(**points)
            far.append(far_change(alpha, first, true, [*points["points"], *points["not_points"]]))
        found.append(sad(alpha, true))
        best.append(sad(perfect, true))
    area = max(1, np.count_nonzero(true > 0.5))
    wrong = np.count_nonzero(np.abs(first - true) > 0.5) / area
    moved = float(np.mean(far[1:])) if len(far) > 1 else 0.0
    return Photo(image.parent.parent.name, found, best, in_box(session, true), wrong, moved)


def line(name: str, photos: list[Photo]) -> str:
    """Give a line of the table."""
    found, best = (
        np.array(values) for values in ([p.sad for p in photos], [p.perfect for p in photos])
    )
    cells = [f"{found[:, count].mean():.2f}" for count in SHOWN]
    cells.append(f"{best[:, 2].mean():.2f}")
    cells.append(f"{(found[:, 2] <= found[:, 0] / 2).mean():.2f}")
    cells.append(f"{(found[:, 1] > 1.02 * found[:, 0]).mean():.2f}")
    cells.append(f"{np.mean([photo.far for photo in photos]):.4f}")
    return f"| {name} | {len(photos)} | {' | '.join(cells)} |"


def box_lines(split: str, photos: list[Photo]) -> Iterator[str]:
    """Give the lines of the table of boxes."""
    for group in dict.fromkeys([photo.group for photo in photos]):
        of_it = [photo for photo in photos if photo.group == group]
        cells = [np.mean([photo.sad[0] for photo in of_it])]
        cells += list(np.mean([photo.boxed for photo in of_it], axis=0))
        yield f"| {split}, {group} | {len(of_it)} | {' | '.join(f'{c:.2f}' for c in cells)} |"


def latency(photo: Path) -> None:
    """Time strokes in a photo of 12 megapixels."""
    color = cv2.resize(read_color(photo), (4000, 3000), interpolation=cv2.INTER_CUBIC)
    stroke = np.zeros((3000, 4000), bool)
    stroke[1480:1520, 1500:1900] = True
    matte.Session(color[:600, :600]).alpha()
    session = matte.Session(color)
    tasks = {
        "the first matte": lambda: session.alpha(),
        "a point": lambda: session.alpha(points=[(2000, 1500)]),
        "a stroke, and a point": lambda: session.alpha(keep=stroke, not_points=[(300, 300)]),
        "the same, 1200 px to look at": lambda: session.alpha(
            keep=stroke, not_points=[(300, 2700)], long_side=1200
        ),
    }
    seconds = {}
    for name, task in tasks.items():
        start = time.perf_counter(), time.process_time()
        task()
        seconds[name] = time.perf_counter() - start[0], time.process_time() - start[1]
    whole = seconds["the first matte"][1]
    print("\n| 12 megapixels | s | CPU s | CPU, of the first matte's |\n|---|---|---|---|")
    for name, (wall, cpu) in seconds.items():
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {cpu / whole:.2f} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("--split", nargs="+", default=["dev"])
    parser.add_argument("--every", type=int, default=1, help="only every so many photos")
    parser.add_argument("--without-guidance", action="store_true")
    arguments = parser.parse_args()
    if arguments.without_guidance:
        shared_predictor(PredictOptions()).model.takes_guidance = False
    numbers = " | ".join(str(count) for count in SHOWN)
    print(f"| | photos | {numbers} | perfect after 2 | halved after 2 | worse after 1 | far |")
    print("|---|---|" + "---|" * (len(SHOWN) + 4), flush=True)
    boxes = []
    for split in arguments.split:
        groups = sorted(path for path in (arguments.benchmark / split).iterdir() if path.is_dir())
        pairs = [
            pair
            for group in groups
            for pair in pair_by_stem(group / "image", group / "alpha").pairs
        ]
        photos = [correct(*pair) for pair in pairs[:: arguments.every]]
        print(line(split, photos))
        print(line(f"{split}, real mistakes", [p for p in photos if p.wrong > REAL]), flush=True)
        boxes += [*box_lines(split, photos)]
    print("\n| | photos | no box | box | box, 1 point | box, 2 points |\n|---|---|---|---|---|---|")
    print("\n".join(boxes))
    latency(pairs[0][0])


if __name__ == "__main__":
    main()
