"""Images per second of `matte train` against the bare forward and backward pass.

    python tests/benchmarks/bench_train.py DATA... [--backgrounds DIR] [--steps 40]

All run the same recipe's network at the same batch and crop size in turns. "network" is its forward
and backward pass alone, on random tensors, with the mean of alpha as loss; "pass" is the same with
the recipe's losses, which no training goes without; "guided" is that with what guidance needs as
well, a guidance map and a coarse pass for those samples whose guidance is made of one. The trainer
does all the rest, too: it decodes, composes and moves samples, draws guidance, clips, optimizes,
averages and logs. The first turn, which fills the cache of decoded samples and in which memory is
fresh, is not counted.

On a machine that does other work at the same time `--cpu-time` counts seconds of the CPU instead of
the clock's; with OMP_NUM_THREADS=1, since threads that wait for one another count as well.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from torch.nn import functional

from mattecli.core.device import autocast, choose_device
from mattecli.core.network.building import build_network
from mattecli.core.network.config import GUIDANCE_CHANNELS, MULTIPLE
from mattecli.core.network.networks import network_config
from mattecli.core.training.batches import build_dataset
from mattecli.core.training.config import load_config
from mattecli.core.training.fitting import leave_out_losses, with_sentries
from mattecli.core.training.losses import loss_values, weighted_sum
from mattecli.core.training.options import RunOptions, StartOptions
from mattecli.core.training.processes import training_precision
from mattecli.core.training.trainer import train

# What `mattecli.core.training.guidance` draws on average: the share of the guided samples that a
# coarse pass is made for, and its size (0.4 to 0.7 times the sample's), by the number of pixels.
COARSE_SHARE, COARSE_SIZE = 0.65, 0.557


class Bare:
    """The network of a recipe as it is trained, and a random batch; nothing else.

    Attributes
    ----------
    config : TrainingConfig
        Without the losses that the data cannot serve, which the trainer leaves out as well.
    """

    def __init__(self, config, device: torch.device) -> None:
        leave_out_losses(config, build_dataset(config, None))
        self.config, self.device = config, device
        self.precision = training_precision(config.precision, device)
        chosen = with_sentries(network_config(**config.network), config)
        self.network = build_network(chosen).to(device, memory_format=torch.channels_last)
        count, side = config.batch_size, config.crop_size
        self.batch = {
            name: torch.rand(count, channels, side, side, device=device)
            for name, channels in {"image": 3, "alpha": 1, "foreground": 3, "background": 3}.items()
        }
        self.batch["composed"] = torch.ones(count, device=device)
        self.image = self.batch["image"].contiguous(memory_format=torch.channels_last)
        coarse = max(1, round(side * COARSE_SIZE / MULTIPLE)) * MULTIPLE
        self.reduced = functional.interpolate(self.image, (coarse, coarse))
        shape = (count, GUIDANCE_CHANNELS, side, side)
        self.guidance = 2 * torch.rand(shape, device=device) - 1

    def speed(self, *, losses: bool, guided: bool = False) -> float:
        """Images per second of forward and backward."""
        started = time.perf_counter()
        steps = self.config.steps // 2
        for step in range(steps + 1):
            if step == 1:
                started = time.perf_counter()
            self._pass(step, losses, guided)
        return steps * self.config.batch_size / (time.perf_counter() - started)

    def _pass(self, step: int, losses: bool, guided: bool) -> None:
        self.network.zero_grad(set_to_none=True)
        more = []
        if guided and self.network.config.guidance:
            # In the first pass all kinds of guidance take their memory, then as many as on average.
            share = self.config.guided * COARSE_SHARE * self.config.batch_size
            count = round((step + 1) * share) - round(step * share)
            if count:
                with torch.no_grad(), autocast(self.device, self.precision):
                    self.network.eval()(self.reduced[:count])
            more = [self.guidance]
        with autocast(self.device, self.precision):
            alpha, intermediate = self.network.train()(self.image, *more)
        if losses:
            values = loss_values(alpha, intermediate, self.batch, self.config.loss)
            total = weighted_sum(values, self.config.loss)
        else:
            total = alpha.mean() + sum(coarse.mean() for coarse in intermediate)
        total.backward()
        total.item()


def trained(config, run: Path, cache: Path, device: str) -> float:
    """Images per second that the trainer logs for the second half of a run."""
    options = RunOptions(device=device, cache=cache, quiet=True)
    train(config, run, start=StartOptions(pretrained=False), options=options)
    lines = (run / "log.jsonl").read_text().splitlines()
    return json.loads(lines[-1])["images_per_s"]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+")
    parser.add_argument("--backgrounds", action="append", default=[])
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--network")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=12)
    parser.add_argument("--crop-size", type=int)
    parser.add_argument("--guided", type=float)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--cache", type=Path, help="one that a run has filled")
    parser.add_argument("--cpu-time", action="store_true", help="for a machine that is not idle")
    return parser.parse_args()


def main() -> None:
    """Print the ratios."""
    options = parse()
    if options.cpu_time:
        time.perf_counter = time.monotonic = time.process_time

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
            guided=options.guided,
            workers=options.workers,
            log_every=options.steps // 2,
        )

    labels = "network", "pass", "guided"
    turns = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for turn in range(options.rounds + 1):
            bare = Bare(config(), choose_device(options.device))
            speeds = [
                bare.speed(losses=losses, guided=guided)
                for losses, guided in ((False, False), (True, False), (True, True))
            ]
            cache = options.cache or root / "cache"
            whole = trained(config(), root / f"run{turn}", cache, options.device)
            said = [f"{n} {s:.2f}" for n, s in zip(labels, speeds, strict=True)]
            ratios = [f"{whole / speed:.3f}" for speed in speeds]
            text = f"{', '.join(said)}, trainer {whole:.2f}; ratios {' '.join(ratios)}"
            print(f"images/s: {text}", flush=True)
            turns.append((*speeds, whole))
    *columns, wholes = zip(*turns[1:], strict=True)
    for label, speeds in zip(labels, columns, strict=True):
        print(f"trainer / {label}: {sum(wholes) / sum(speeds):.3f}")


if __name__ == "__main__":
    main()
