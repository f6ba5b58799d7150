"""Time ``matte build-dataset`` against a plain loop: OpenCV read, NumPy composite, OpenCV write.

Both make the same composites of the same made-up raw parts as PNG files: image, alpha, fg and bg of
each. Prints composites/s, processor seconds a composite, and the ratios.

    python tests/benchmarks/bench_build_dataset.py --foregrounds 4 --each 20 --workers 2
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from mattecli.core.dataset.builder import Builder
from mattecli.core.dataset.material import gather
from mattecli.core.dataset.plan import plan
from mattecli.core.dataset.recipe import Background, Recipe, Split


def make_raw(root: Path, foregrounds: int, backgrounds: int) -> None:
    """Write photograph-like parts: smooth shapes with fine noise, as JPEG, and soft mattes."""
    rng = np.random.default_rng(0)

    def photo(height: int, width: int) -> np.ndarray:
        image = np.zeros((height, width, 3), np.float32)
        for octave in range(2, 8):
            grid = rng.normal(0, 60 / octave, (2**octave, 2**octave, 3)).astype(np.float32)
            image += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.clip(image + 128 + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)

    for folder in ("fg", "alpha", "bg"):
        (root / folder).mkdir(parents=True)
    for i in range(foregrounds):
        height, width = (800, 1000) if i % 2 else (1000, 800)
        shape = photo(height, width)[..., 0].astype(np.float32)
        alpha = np.clip((cv2.GaussianBlur(shape, (0, 0), 3) - 110) * 8, 0, 255).astype(np.uint8)
        cv2.imwrite(str(root / f"fg/{i:03}.jpg"), photo(height, width))
        cv2.imwrite(str(root / f"alpha/{i:03}.png"), alpha)
    for i in range(backgrounds):
        cv2.imwrite(str(root / f"bg/{i:04}.jpg"), photo(480, 640))


def plain_loop(root: Path, out: Path, each: int) -> None:
    """What a script of one page does, foreground read once for all its backgrounds."""
    for folder in ("image", "alpha", "fg", "bg"):
        (out / folder).mkdir(parents=True)
    backgrounds = iter(sorted((root / "bg").iterdir()))
    for path in sorted((root / "fg").iterdir()):
        fg = cv2.imread(str(path))
        matte = cv2.imread(str(root / "alpha" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
        height, width = matte.shape
        alpha = matte.astype(np.float32)[..., None] / 255
        for n in range(each):
            bg = cv2.imread(str(next(backgrounds)))
            ratio = max(height / bg.shape[0], width / bg.shape[1])
            if ratio > 1:
                size = (int(np.ceil(bg.shape[1] * ratio)), int(np.ceil(bg.shape[0] * ratio)))
                bg = cv2.resize(bg, size, interpolation=cv2.INTER_CUBIC)
            bg = bg[:height, :width]
            image = np.rint(alpha * fg + (1 - alpha) * bg).astype(np.uint8)
            for folder, picture in (("image", image), ("alpha", matte), ("fg", fg), ("bg", bg)):
                cv2.imwrite(str(out / folder / f"{path.stem}_{n}.png"), picture)


def build(root: Path, out: Path, each: int, workers: int) -> None:
    """The same by the program."""
    recipe = Recipe(
        name="bench",
        splits={
            "all": Split(
                per_foreground=each, foregrounds=("fg",), alphas=("alpha",), backgrounds=("bg",)
            )
        },
        placement="as-is",
        background_order="running",
        naming="{stem}_{n}",
        background=Background(fit="enlarge", crop="top-left"),
    )
    roots = {"raw": root}
    samples = plan(recipe, gather(recipe, roots), seed=0)
    Builder(recipe, roots, 0, out).build(samples, workers, quiet=True)


def measure(work: Callable[[], None]) -> tuple[float, float]:
    """Give wall seconds, and processor seconds of this process and its children."""

    def used() -> float:
        kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        usages = [resource.getrusage(kind) for kind in kinds]
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    start, before = time.perf_counter(), used()
    work()
    return time.perf_counter() - start, used() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--foregrounds", type=int, default=4)
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    count = options.foregrounds * options.each
    print("round  way              wall s  composites/s  processor s/composite")
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_raw(root / "raw", options.foregrounds, count)
        for i in range(options.rounds):
            raw, each = root / "raw", options.each
            ways = {
                "plain loop": lambda out, raw=raw, each=each: plain_loop(raw, out, each),
                "1 worker": lambda out, raw=raw, each=each: build(raw, out, each, 1),
                f"{options.workers} workers": lambda out, raw=raw, each=each: build(
                    raw, out, each, options.workers
                ),
            }
            figures = {}
            for name, way in ways.items():
                out = root / f"{name.replace(' ', '-')}-{i}"
                wall, processor = figures[name] = measure(lambda way=way, out=out: way(out))
                speed, cost = count / wall, processor / count
                print(f"{i + 1:5}  {name:15} {wall:7.2f}  {speed:12.2f}  {cost:.3f}")
            plain, one, many = figures.values()
            ratios.append((plain[0] / many[0], plain[0] / one[0], plain[1] / one[1]))
    many, one, processor = np.median(ratios, axis=0)
    print(
        f"median ratios to the plain loop: {options.workers} workers {many:.2f}× its speed, "
        f"1 worker {one:.2f}×; per processor second 1 worker makes {processor:.2f}× as many"
    )


if __name__ == "__main__":
    main()
