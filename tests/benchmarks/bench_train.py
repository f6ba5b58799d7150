"""Images per second of `matte train` against the bare forward and backward pass.

    python tests/benchmarks/bench_train.py DATA... [--backgrounds DIR] [--steps 40]

Both run the network `matte` at the same batch and crop size in turns; the bare pass takes random
tensors and the mean of alpha as its loss. The cache of decoded samples is filled by the first turn,
which is not counted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from mattecli.core.device import choose_device
from mattecli.core.network.building import build_network
from mattecli.core.network.config import network_config
from mattecli.core.training.config import load_config
from mattecli.core.training.trainer import train


def bare(config, device: torch.device) -> float:
    """Images per second of forward and backward alone."""
    network = build_network(network_config("matte")).train()
    network = network.to(device, memory_format=torch.channels_last)
    image = torch.rand(config.batch_size, 3, config.crop_size, config.crop_size, device=device)
    image = image.contiguous(memory_format=torch.channels_last)
    started = time.perf_counter()
    for step in range(config.steps // 2 + 1):
        if step == 1:
            started = time.perf_counter()
        network.zero_grad(set_to_none=True)
        alpha, intermediate = network(image)
        total = alpha.mean() + sum(coarse.mean() for coarse in intermediate)
        total.backward()
        total.item()
    return config.steps // 2 * config.batch_size / (time.perf_counter() - started)


def trained(config, run: Path, cache: Path, device: str) -> float:
    """Images per second that the trainer logs for the second half of a run."""
    train(config, run, pretrained=False, device=device, cache=cache, quiet=True)
    lines = (run / "log.jsonl").read_text().splitlines()
    return json.loads(lines[-1])["images_per_s"]


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+")
    parser.add_argument("--backgrounds", action="append", default=[])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=12)
    parser.add_argument("--crop-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    config = load_config(
        "default",
        data=options.data,
        backgrounds=options.backgrounds,
        steps=options.steps,
        batch_size=options.batch_size,
        crop_size=options.crop_size,
        workers=options.workers,
        log_every=options.steps // 2,
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rates = []
        for turn in range(options.rounds + 1):
            alone = bare(config, choose_device(options.device))
            whole = trained(config, root / f"run{turn}", root / "cache", options.device)
            print(f"bare {alone:.2f} images/s, trainer {whole:.2f}, ratio {whole / alone:.3f}")
            rates.append((alone, whole))
    bare_rate, train_rate = (sum(column) for column in zip(*rates[1:], strict=True))
    print(f"trainer / bare pass: {train_rate / bare_rate:.3f} (first turn left out)")


if __name__ == "__main__":
    main()
