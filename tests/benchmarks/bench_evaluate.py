"""Scoring speed against a plain NumPy/SciPy port of the same definitions.

    python tests/benchmarks/bench_evaluate.py [--images 1000] [--port-images 20] [--workers 2]

Makes mattes of 1 megapixel (a body with hair-like soft strands; the prediction is blurred, shifted
and noisy in the soft band), scores all of them with ``matte evaluate`` and some of them with the
port, in turns so that other load on the machine hits both alike, and prints images per second,
processor time, and the ratios: that of the processor time holds on a busy machine too. Both read
the same PNG files; the port reads them with OpenCV in one process, and its start-up is not counted,
while that of ``matte evaluate`` and its workers is.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import scipy.ndimage as ndi

SIDE = 1000


def port(p: np.ndarray, t: np.ndarray, separable: bool) -> dict[str, float]:
    """The definitions written down line by line, in float32 and float64 arrays."""
    p, t = p.astype(np.float32) / 255, t.astype(np.float32) / 255
    difference = np.abs(p - t)

    x = np.arange(-4, 5)
    smooth = np.exp(-(x**2) / (2 * 1.4**2))
    slope = -x * smooth
    smooth, slope = smooth / np.linalg.norm(smooth), slope / np.linalg.norm(slope)

    def amplitude(matte: np.ndarray) -> np.ndarray:
        matte = matte.astype(np.float64)
        matte = (matte - matte.min()) / (matte.max() - matte.min())
        parts = []
        for rows, columns in ((smooth, slope), (slope, smooth)):
            if separable:
                part = ndi.convolve1d(matte, rows, axis=0, mode="nearest")
                part = ndi.convolve1d(part, columns, axis=1, mode="nearest")
            else:
                part = ndi.convolve(matte, np.outer(rows, columns), mode="nearest")
            parts.append(part)
        return np.sqrt(parts[0] ** 2 + parts[1] ** 2)

    l_map = np.full(p.shape, -1, np.float32)
    for step in range(1, 11):
        threshold = np.float32(step / 10)
        labels, count = ndi.label((p >= threshold) & (t >= threshold))
        largest = np.zeros(p.shape, bool)
        if count:
            largest = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
        l_map[(l_map == -1) & ~largest] = np.float32((step - 1) / 10)
    l_map[l_map == -1] = 1
    distances = [matte - l_map for matte in (p, t)]
    phi = [1 - distance * (distance >= 0.15) for distance in distances]

    return {
        "sad": difference.sum(dtype=np.float64) / 1000,
        "mse": (difference**2).mean(dtype=np.float64),
        "mad": difference.mean(dtype=np.float64),
        "grad": ((amplitude(p) - amplitude(t)) ** 2).sum() / 1000,
        "conn": np.abs(phi[0] - phi[1]).sum(dtype=np.float64) / 1000,
    }


def make_pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A true matte with a solid body, soft strands and clear surroundings, and a prediction."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((SIDE, SIDE), np.float32) / SIDE
    angle = np.arctan2(y - 0.55, x - 0.5)
    waves = rng.normal(size=(6, 2)) * 0.015
    radius = 0.33 + sum(
        a * np.sin((k + 2) * angle) + b * np.cos((k + 2) * angle) for k, (a, b) in enumerate(waves)
    )
    depth = radius - np.hypot((x - 0.5) * 1.2, y - 0.55)
    strands = cv2.GaussianBlur(rng.random((SIDE, SIDE), np.float32), (0, 0), 2.5) - 0.5
    hair = np.clip(0.5 + strands * 12, 0, 1) * np.clip(1 + depth / 0.06, 0, 1)
    truth = np.clip(np.where(depth > 0.012, 1, np.maximum(depth / 0.012, 0) + hair), 0, 1)
    moved = np.roll(cv2.GaussianBlur(truth, (0, 0), 2), rng.integers(-2, 3, 2), (0, 1))
    soft = cv2.GaussianBlur(((truth > 0) & (truth < 1)).astype(np.float32), (0, 0), 4)
    prediction = np.clip(moved + soft * rng.normal(0, 0.05, truth.shape), 0, 1)
    return tuple(np.rint(matte * 255).astype(np.uint8) for matte in (prediction, truth))


def clocks(who: int) -> np.ndarray:
    used = resource.getrusage(who)
    return np.array([time.perf_counter(), used.ru_utime + used.ru_stime])


def time_port(folder: Path, names: list[str], separable: bool) -> tuple[np.ndarray, dict]:
    """Seconds of wall clock and of processor for each image, and the scores."""
    scores, start = {}, clocks(resource.RUSAGE_SELF)
    for name in names:
        p, t = (cv2.imread(str(folder / kind / name), cv2.IMREAD_UNCHANGED) for kind in "pt")
        scores[Path(name).stem] = port(p, t, separable)
    return (clocks(resource.RUSAGE_SELF) - start) / len(names), scores


def time_matte(folder: Path, workers: int) -> tuple[np.ndarray, dict]:
    """Seconds of wall clock and of processor for each image, start-up and all, and the scores."""
    result = folder / "scores.json"
    command = [sys.executable, "-m", "mattecli", "evaluate", folder / "p", folder / "t"]
    start = clocks(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [*command, "--json", result, "--workers", str(workers)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = clocks(resource.RUSAGE_CHILDREN) - start
    images = json.loads(result.read_text())["images"]
    return seconds / len(images), {image.pop("name"): image for image in images}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--different", type=int, default=20, help="pairs made; the rest are links")
    parser.add_argument("--port-images", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for kind in "pt":
            (folder / kind).mkdir()
        for number in range(arguments.images):
            name, source = f"{number:04d}.png", f"{number % arguments.different:04d}.png"
            pair = make_pair(number) if name == source else (None, None)
            for kind, matte in zip("pt", pair, strict=True):
                if matte is None:
                    (folder / kind / name).hardlink_to(folder / kind / source)
                else:
                    cv2.imwrite(str(folder / kind / name), matte)
        names = [f"{number:04d}.png" for number in range(arguments.port_images)]
        half = (len(names) + 1) // 2

        seconds = {"9x9": np.zeros(2), "9+9": np.zeros(2)}
        scores: dict[str, dict] = {}
        matte_seconds = np.zeros(2)
        for part in (names[:half], names[half:]):
            for label in seconds:
                each, part_scores = time_port(folder, part, separable=label == "9+9")
                seconds[label] += each / 2
                scores |= part_scores
            each, matte_scores = time_matte(folder, arguments.workers)
            matte_seconds += each / 2

    apart = max(
        abs(matte_scores[name][key] - value) / value
        for name, row in scores.items()
        for key, value in row.items()
    )
    print(f"{arguments.images} pairs of {SIDE}x{SIDE}, largest relative difference {apart:.1e}")
    print(
        f"matte evaluate, {arguments.workers} workers: {1 / matte_seconds[0]:.2f} images/s, "
        f"{matte_seconds[1] * 1000:.0f} ms of processor an image"
    )
    for label, each in seconds.items():
        clock, processor = each / matte_seconds
        print(
            f"port with {label} derivative filters: {1 / each[0]:.2f} images/s, "
            f"{each[1] * 1000:.0f} ms of processor an image; "
            f"matte evaluate is {clock:.1f} times as fast, and takes 1/{processor:.1f} of the work"
        )


if __name__ == "__main__":
    main()
