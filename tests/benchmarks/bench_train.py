"""Images per second of `matte train` against the bare forward and backward pass.

    python tests/benchmarks/bench_train.py DATA... [--backgrounds DIR] [--steps 40]

All run the same recipe's network at the same batch and crop size in turns. "network" is its forward
and backward pass alone, on random tensors, with the mean of alpha as loss; "pass" is the same with
the recipe's losses, which no training goes without. The trainer does all the rest as well: it
decodes, composes and moves samples, clips, optimizes, averages and logs. The first turn, which
fills the cache of decoded samples and in which memory is fresh, is not counted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from mattecli.core.device import autocast, choose_device, choose_precision
from mattecli.core.network.building import build_network
from mattecli.core.network.networks import network_config
from mattecli.core.training.config import load_config
from mattecli.core.training.losses import loss_values, weighted_sum
from mattecli.core.training.options import RunOptions, StartOptions
from mattecli.core.training.trainer import train


def bare(config, device: torch.device, losses: bool) -> float:
    """Images per second of forward and backward alone."""
    network = build_network(network_config(**config.network)).train()
    network = network.to(device, memory_format=torch.channels_last)
    precision = choose_precision(config.precision, device)
    batch = {
        name: torch.rand(config.batch_size, channels, *2 * [config.crop_size], device=device)
        for name, channels in {"image": 3, "alpha": 1, "foreground": 3, "background": 3}.items()
    }
    batch["composed"] = torch.ones(config.batch_size, device=device)
    image = batch["image"].contiguous(memory_format=torch.channels_last)

    started = time.perf_counter()
    for step in range(config.steps // 2 + 1):
        if step == 1:
            started = time.perf_counter()
        network.zero_grad(set_to_none=True)
        with autocast(device, precision):
            alpha, intermediate = network(image)
        if losses:
            values = loss_values(alpha, intermediate, batch, config.loss)
            total = weighted_sum(values, config.loss)
        else:
            total = alpha.mean() + sum(coarse.mean() for coarse in intermediate)
        total.backward()
        total.item()
    return config.steps // 2 * config.batch_size / (time.perf_counter() - started)


def trained(config, run: Path, cache: Path, device: str) -> float:
    """Images per second that the trainer logs for the second half of a run."""
    options = RunOptions(device=device, cache=cache, quiet=True)
    train(config, run, start=StartOptions(pretrained=False), options=options)
    lines = (run / "log.jsonl").read_text().splitlines()
    return json.loads(lines[-1])["images_per_s"]


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+")
    parser.add_argument("--backgrounds", action="append", default=[])
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--network")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=12)
    parser.add_argument("--crop-size", type=int)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--cache", type=Path, help="one that a run has filled")
    options = parser.parse_args()

    def config():
        # Made anew for every turn, since a run settles what its config leaves open.
        return load_config(
            options.recipe,
            data=options.data,
            backgrounds=options.backgrounds,
            network={"name": options.network} if options.network else {},
            steps=options.steps,
            batch_size=options.batch_size,
            crop_size=options.crop_size,
            workers=options.workers,
            log_every=options.steps // 2,
        )

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        turns = []
        for turn in range(options.rounds + 1):
            network, whole_pass = (
                bare(config(), choose_device(options.device), losses) for losses in (False, True)
            )
            cache = options.cache or root / "cache"
            whole = trained(config(), root / f"run{turn}", cache, options.device)
            print(
                f"images/s: network {network:.2f}, pass {whole_pass:.2f}, trainer {whole:.2f}; "
                f"ratios {whole / network:.3f} and {whole / whole_pass:.3f}",
                flush=True,
            )
            turns.append((network, whole_pass, whole))
    network, whole_pass, whole = (sum(column) for column in zip(*turns[1:], strict=True))
    print(f"trainer / network alone: {whole / network:.3f}")
    print(f"trainer / network with losses: {whole / whole_pass:.3f}")


if __name__ == "__main__":
    main()
