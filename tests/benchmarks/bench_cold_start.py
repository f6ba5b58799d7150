"""One photo of a megapixel from a cold start, beside rembg with U²-Net-p; and U²-Net-p alone.

Whole processes, start to end, taking turns; the quickest of several runs counts. rembg should live
in an environment of its own, with `u2netp.onnx` where it looks for it (`~/.u2net`).

    python tests/benchmarks/bench_cold_start.py --rembg ENV/bin/rembg --u2netp ~/.u2net/u2netp.onnx
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from mattecli.core.device import usable_cores
from mattecli.core.imaging.reading import read_color, read_picture
from mattecli.core.imaging.writing import encode, write_image
from mattecli.core.inference.predictor import Predictor
from mattecli.core.matting.outputs import OutputSpec, render_outputs
from mattecli.core.matting.placing import resize
from mattecli.core.matting.refinement import refine

EXAMPLES = Path(__file__).parents[2] / "examples"
# A square photo, of which the network sees the most, and one of three to two.
SQUARE, PHOTO = EXAMPLES / "astronaut.jpg", EXAMPLES / "coffee.jpg"


def seconds(command: list[str]) -> np.ndarray:
    """Give the wall time and the processor time of a command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    # Bytecode is kept, as where a program was installed.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, check=True, capture_output=True, env=kept)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return np.array([wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime])


def bench_processes(commands: dict[str, list[str]], rounds: int) -> None:
    """Print the times of commands that take turns, and their ratios to the first one's."""
    times = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            times[name].append(seconds(command))
    first = None
    for name, measured in times.items():
        best = np.min(measured, axis=0)
        first = best if first is None else first
        (wall, processor), (more_wall, more_processor) = best, best / first
        print(
            f"{name:28} wall {wall:5.2f} s (× {more_wall:.2f})  "
            f"processor {processor:5.2f} s (× {more_processor:.2f})"
        )


def bench_forward(photos: list[Path], u2netp: Path, rounds: int) -> None:
    """Print our time from decoding to encoding beside U²-Net-p's forward pass alone, one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(u2netp), options, ["CPUExecutionProvider"])
    given, data = session.get_inputs()[0].name, np.zeros((1, 3, 320, 320), np.float32)
    # As in a folder of photos: a core for each, and all threads are this one.
    cv2.setNumThreads(1)
    predictor = Predictor.load(device="cpu", max_concurrency=usable_cores())

    def ours(photo: Path, kind: str) -> None:
        color = read_picture(photo).color
        ((network_input, matte),) = predictor.network_mattes([color])
        alpha = refine(color, matte, network_input=network_input)
        encode(render_outputs(color, alpha, OutputSpec((kind,)))[kind], ".png")

    tasks = {"U²-Net-p, forward alone": lambda: session.run(None, {given: data})}
    for photo in photos:
        for kind in ("alpha", "cutout"):
            tasks[f"{photo.stem} to {kind}"] = partial(ours, photo, kind)
    times = {task: [] for task in tasks}
    for _ in range(rounds + 1):
        for task, run in tasks.items():
            start = time.process_time()
            run()
            times[task].append(time.process_time() - start)
    first = min(times["U²-Net-p, forward alone"])
    for task, measured in times.items():
        print(f"{task:28} processor {min(measured):.3f} s  (× {min(measured) / first:.2f})")


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rembg", help="rembg's executable")
    parser.add_argument("--u2netp", type=Path, help="u2netp.onnx")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos = [Path(folder) / path.name for path in (SQUARE, PHOTO)]
        for path in photos:
            color = read_color(EXAMPLES / path.name)
            scale = (1e6 / (color.shape[0] * color.shape[1])) ** 0.5
            write_image(path, resize(color, *(round(side * scale) for side in color.shape[:2])))
        photo, out = photos[0], str(Path(folder) / "out.png")
        commands = {
            "matte predict": [sys.executable, "-m", "mattecli", "predict", str(photo), out],
            "import torch alone": [sys.executable, "-c", "import torch"],
        }
        if options.rembg:
            commands["rembg i -m u2netp"] = [options.rembg, "i", "-m", "u2netp", str(photo), out]
        bench_processes(commands, options.rounds)
        if options.u2netp:
            bench_forward(photos, options.u2netp, options.rounds)


if __name__ == "__main__":
    main()
