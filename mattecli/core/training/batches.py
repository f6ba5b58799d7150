"""The data set of a run and the stream of this process's batches."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from mattecli.core.dataset.sample_cache import SampleCache
from mattecli.core.dataset.sources import Source, find_backgrounds, find_sources
from mattecli.core.dataset.training_set import Mixture, TrainingSet
from mattecli.core.device import usable_cores
from mattecli.core.errors import MatteError
from mattecli.core.ranks import local_world
from mattecli.core.toml import from_table
from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.processes import Processes


def build_dataset(config: TrainingConfig, cache: Path | None) -> TrainingSet:
    """Find the training material that `config` names.

    Raises
    ------
    MatteError
        On folders that are missing or empty, or do not fit together.
    """
    try:
        mixture = from_table(Mixture, config.mixture, "mixture.")
    except ValueError as error:
        raise MatteError(str(error)) from None
    sources = [source for folder in config.data for source in find_sources(folder)]
    backgrounds = [
        file for folder in config.backgrounds for file in find_backgrounds(Path(folder)).files
    ]
    if not backgrounds and any(source.kind == "cutouts" for source in sources):
        raise MatteError("training on cutouts needs --backgrounds to put them on")
    sizes = tuple(config.sides or [config.crop_size])
    return TrainingSet(
        sources,
        Source("backgrounds", backgrounds) if backgrounds else None,
        sizes=sizes,
        batch_group_size=config.batch_size,
        seed=config.seed,
        mixture=mixture,
        crops=tuple(config.crops),
        cache=SampleCache(cache, max(640, 3 * max(sizes) // 2)),
    )


def check_shares(config: TrainingConfig, processes: Processes) -> None:
    """Refuse a batch size that is no multiple of processes times parts.

    Raises
    ------
    MatteError
    """
    parts = processes.world * config.accumulate
    if config.batch_size % parts:
        raise MatteError(
            f"a batch of {config.batch_size} cannot be shared out: {processes.world} process(es) "
            f"with {config.accumulate} part(s) each need a multiple of {parts}"
        )


def batches(
    dataset: TrainingSet, config: TrainingConfig, first_step: int, processes: Processes
) -> Iterator[dict[str, Tensor]]:
    """Batches of this process from `first_step` on, `config.accumulate` of them a step.

    Sample numbers run on, so a resumed run sees the same ones, and all processes together see in
    each step what a single one would.
    """
    first, end = (step * config.batch_size for step in (first_step, config.steps))
    loader = DataLoader(
        _Samples(dataset),
        batch_size=config.batch_size // (processes.world * config.accumulate),
        sampler=range(first + processes.rank, end, processes.world),
        num_workers=_workers(processes) if config.workers < 0 else config.workers,
        collate_fn=partial(_collate, layers=config.uses("composition")),
        pin_memory=processes.device.type == "cuda",
        drop_last=True,
    )
    # Samples are the parallelism, in threads or in worker processes. To be set before those are
    # forked: OpenCV's threads do not come along, and they would wait for them for ever.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        for batch in loader:
            if isinstance(batch, MatteError):
                raise batch
            yield batch
    finally:
        cv2.setNumThreads(threads)


def _workers(processes: Processes) -> int:
    """Number of worker processes where the configuration leaves it open."""
    # On a CPU the step itself keeps all cores busy.
    if processes.device.type == "cpu":
        return 0
    return min(16, max(1, usable_cores() // local_world() - 1))


class _Samples(Dataset):
    """Samples, or what a file is refused for: torch wraps a worker's errors in tracebacks."""

    def __init__(self, dataset: TrainingSet) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, numbers: list[int]) -> list[dict[str, Tensor] | MatteError]:
        # A worker process has one thread of torch; without workers, all of the step's are free now.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return list(pool.map(self.__getitem__, numbers))

    def __getitem__(self, number: int) -> dict[str, Tensor] | MatteError:
        try:
            return self.dataset[number]
        except MatteError as error:
            return error


def _collate(
    samples: list[dict[str, Tensor] | MatteError], *, layers: bool
) -> dict[str, Tensor] | MatteError:
    """Stack samples, their layers only where a loss asks for them."""
    tensors = []
    for sample in samples:
        if isinstance(sample, MatteError):
            return sample
        tensors.append(sample)
    batch = {}
    for name in tensors[0]:
        values = [sample[name] for sample in tensors]
        if values[0].ndim == 3 and (layers or name in ("image", "alpha", "known")):
            # Stacked with the channels last, as pictures are made and networks want them.
            batch[name] = default_collate([v.movedim(0, -1) for v in values]).movedim(-1, 1)
        elif layers:
            batch[name] = default_collate(values)
    return batch
