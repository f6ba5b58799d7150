"""Time and memory of ``matte predict`` beside the bare network, and of its cold start.

Run: python tests/benchmarks/bench_predict.py [--weights FILE] [--photos 24] [--megapixels 1]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mattecli.core.imaging.placing import resize
from mattecli.core.imaging.reading import read_color
from mattecli.core.imaging.walking import find_images
from mattecli.core.imaging.writing import write_image

EXAMPLES = Path(__file__).parents[2] / "examples"


def make_photos(folder: Path, count: int, megapixels: float) -> list[Path]:
    """Write the example photos over and over, as JPEGs of a size."""
    photos = [read_color(path) for path in find_images(EXAMPLES)]
    paths = []
    for i in range(count):
        photo = photos[i % len(photos)]
        scale = (megapixels * 1e6 / (photo.shape[0] * photo.shape[1])) ** 0.5
        path = folder / f"{i:05}.jpg"
        if i < len(photos):
            write_image(path, resize(photo, *(round(side * scale) for side in photo.shape[:2])))
        else:
            path.write_bytes(paths[i % len(photos)].read_bytes())
        paths.append(path)
    return paths


def bench_pipeline(photos: Path, weights: Path | None, device: str) -> None:
    """Print the wall time of whole runs as multiples of the network's own."""
    from mattecli.core.inference.cutting import Cut
    from mattecli.core.inference.predictor import Predictor
    from mattecli.core.inference.run import Settings, plan_jobs, predict_all

    predictor = Predictor.load(weights, device)
    inputs = [predictor.shrink(read_color(path)) for path in find_images(photos)]
    predictor.run(inputs[:1])
    start = time.perf_counter()
    for image in inputs:
        predictor.run([image])
    bare = time.perf_counter() - start
    print(f"bare network: {bare / len(inputs):.3f} s a photo")
    for kinds in (("alpha",), ("cutout",)):
        for level in ("none", "fast", "best"):
            with tempfile.TemporaryDirectory() as out:
                settings = Settings(Cut(kinds), level)
                jobs, _ = plan_jobs(photos, Path(out), kinds, ".png", into_folder=True)
                start = time.perf_counter()
                for outcome in predict_all([jobs], settings, weights=weights, device=device):
                    assert outcome.status == "ok", outcome.reason
                wall = time.perf_counter() - start
            print(
                f"{kinds[0]}, refine {level}: {wall / len(jobs):.3f} s a photo, "
                f"{wall / bare:.2f} x the bare network"
            )


def peak_memory(photos: Path, arguments: list[str]) -> float:
    """Run the command over a folder in a process of its own; give its peak memory in MB."""
    code = (
        "import resource, sys\n"
        "from mattecli.cli.app import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", code, "predict", str(photos), out, "-q", *arguments]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(run.stdout.split()[-1])


def bench_cold_start(photo: Path, arguments: list[str]) -> None:
    """Print the time of one photo, process start to end, beside that of importing torch."""

    def best_of_three(command: list[str]) -> float:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - start)
        return min(times)

    torch_alone = best_of_three([sys.executable, "-c", "import torch"])
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "mattecli", "predict", str(photo), out, *arguments]
        whole = best_of_three(command)
    print(f"cold start, one photo: {whole:.2f} s, {whole / torch_alone:.2f} x importing torch")


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--megapixels", type=float, default=1.0)
    parser.add_argument("--memory", type=int, nargs=2, default=(200, 2000), metavar="COUNT")
    options = parser.parse_args()
    arguments = ["--weights", str(options.weights)] if options.weights else []
    arguments += ["--device", options.device]
    print(f"{os.cpu_count()} cores, numpy {np.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        paths = make_photos(Path(folder), options.photos, options.megapixels)
        bench_cold_start(paths[0], arguments)
        bench_pipeline(Path(folder), options.weights, options.device)
    peaks = []
    for count in options.memory:
        with tempfile.TemporaryDirectory() as folder:
            make_photos(Path(folder), count, 0.1)
            peaks.append(peak_memory(Path(folder), [*arguments, "--size", "128"]))
        print(f"{count} photos: peak memory {peaks[-1]:.0f} MB, {peaks[-1] / peaks[0]:.2f} x")


if __name__ == "__main__":
    main()
