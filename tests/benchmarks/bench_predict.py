"""Time and memory of ``matte predict`` beside the bare network, and of its cold start.

Wall time of whole runs beside the bare network's forward passes over the same photos, which take
turns (the quickest round counts); where the processor's time goes; peak memory of a folder of 2,000
photos beside one of 200, and of one photo of 100 megapixels.

    python tests/benchmarks/bench_predict.py [--weights FILE] [--photos 24] [--megapixels 1]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from mattecli.core.device import usable_cores
from mattecli.core.imaging.reading import read_color, read_picture
from mattecli.core.imaging.walking import find_images
from mattecli.core.imaging.writing import encode, write_image
from mattecli.core.matting.placing import resize

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


def bench_pipeline(
    photos: Path, weights: Path | None, device: str, levels: list[str], rounds: int
) -> None:
    """Print the time of whole runs beside that of the network alone on the same photos."""
    from mattecli.core.inference.inputs import gather
    from mattecli.core.inference.options import PredictOptions
    from mattecli.core.inference.planning import plan_jobs
    from mattecli.core.inference.run import Settings, predict_all
    from mattecli.core.inference.run_options import RunOptions
    from mattecli.core.matting.outputs import OutputSpec
    from mattecli.core.runtime.loading import load_model
    from mattecli.core.runtime.model import MattingModel

    model = load_model(weights, device)
    floats = load_model(weights, device, "fp32")
    inputs = [model.prepare(read_color(path)) for path in find_images(photos)]
    model.infer(inputs[:1])
    floats.infer(inputs[:1])

    def bare(model: MattingModel) -> None:
        for image in inputs:
            model.infer([image])

    def whole(kind: str, level: str, two_pass: bool = True) -> None:
        with tempfile.TemporaryDirectory() as out:
            settings = Settings(OutputSpec((kind,)), level)
            jobs = plan_jobs(gather([str(photos)]), Path(out), (kind,), ".png", into_folder=True)
            options = PredictOptions(weights=weights, device=device, two_pass=two_pass)
            for outcome in predict_all([jobs], settings, options, RunOptions()):
                assert outcome.status == "ok", outcome.reason

    tasks: dict[str, Callable[[], None]] = {
        "bare network": partial(bare, model),
        "the same in fp32": partial(bare, floats),
    }
    for kind in ("alpha", "cutout"):
        for level in levels:
            tasks[f"{kind}, refine {level}"] = partial(whole, kind, level)
        tasks[f"{kind}, single pass"] = partial(whole, kind, levels[-1], two_pass=False)
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            times[name].append(time.perf_counter() - start)
    first = min(times["bare network"])
    for name, measured in times.items():
        per_photo, ratio = min(measured) / len(inputs), min(measured) / first
        print(f"{name:22} {per_photo:.3f} s a photo, {ratio:.2f} x the bare network")


def bench_stages(photos: Path, weights: Path | None, device: str) -> None:
    """Print the processor's time of every stage on one thread."""
    from mattecli.core.inference.predictor import Predictor
    from mattecli.core.matting.outputs import OutputSpec, render_outputs
    from mattecli.core.matting.refinement import refine

    predictor = Predictor.load(weights, device, max_concurrency=usable_cores())
    paths = find_images(photos)[: len(find_images(EXAMPLES))]
    spent: dict[str, float] = defaultdict(float)

    def timed(stage: str, task: Callable, *arguments: Any) -> Any:
        start = time.process_time()
        result = task(*arguments)
        spent[stage] += time.process_time() - start
        return result

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    for path in paths:
        color = timed("decode", read_picture, path).color
        ((network_input, matte),) = timed("network", predictor.network_mattes, [color])
        alpha = timed("refine fast", refine, color, matte, "fast", network_input)
        for kind in ("alpha", "cutout"):
            result = timed(f"make {kind}", render_outputs, color, alpha, OutputSpec((kind,)))[kind]
            timed(f"encode {kind}", encode, result, ".png")
    cv2.setNumThreads(threads)
    for stage, seconds in spent.items():
        share = seconds / spent["network"]
        print(f"{stage:22} {1000 * seconds / len(paths):6.1f} ms of a core, {share:.2f} x network")


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


def bench_memory(counts: list[int], megapixels: float, arguments: list[str]) -> None:
    """Print the peak memory of folders of small photos, and of one large photo."""
    peaks = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            make_photos(Path(folder), count, 0.1)
            peaks.append(peak_memory(Path(folder), arguments))
        print(f"{count} photos: peak memory {peaks[-1]:.0f} MB, {peaks[-1] / peaks[0]:.2f} x")
    if megapixels:
        with tempfile.TemporaryDirectory() as folder:
            make_photos(Path(folder), 1, megapixels)
            peak = peak_memory(Path(folder), arguments)
        print(f"one photo of {megapixels:g} megapixels: peak memory {peak:.0f} MB")


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--megapixels", type=float, default=1.0)
    parser.add_argument("--levels", nargs="+", default=["none", "fast"], help="of --refine")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs="*", default=[200, 2000], metavar="COUNT")
    parser.add_argument("--large", type=float, default=100.0, help="megapixels; 0 leaves it out")
    options = parser.parse_args()
    arguments = ["--weights", str(options.weights)] if options.weights else []
    arguments += ["--device", options.device]
    print(f"{usable_cores()} cores")
    # First: Linux counts what this process holds when it starts another as that one's peak.
    bench_memory(options.memory, options.large, arguments)
    if options.photos:
        with tempfile.TemporaryDirectory() as folder:
            paths = make_photos(Path(folder), options.photos, options.megapixels)
            bench_cold_start(paths[0], arguments)
            bench_stages(Path(folder), options.weights, options.device)
            bench_pipeline(
                Path(folder), options.weights, options.device, options.levels, options.rounds
            )


if __name__ == "__main__":
    main()
