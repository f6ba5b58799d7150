"""The data set of a run and the stream of this process's batches."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count, islice
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from mattecli.core.dataset.sample_cache import SampleCache
from mattecli.core.dataset.sources import Source, find_backgrounds, find_sources, find_unlabeled
from mattecli.core.dataset.training_set import Mixture, TrainingSet
from mattecli.core.device import usable_cores
from mattecli.core.errors import MatteError, reason_of
from mattecli.core.executing.starting import started_anew
from mattecli.core.network.config import MULTIPLE
from mattecli.core.ranks import local_world
from mattecli.core.toml import from_table
from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.processes import Processes
from mattecli.core.training.sample_workers import prepare_worker, working
from mattecli.core.training.stopping import Stopped, never_asked

# Share of the samples that may be skipped, once there are more than a few.
_MOST_SKIPPED, _FEW = 0.01, 3
# Sample numbers in a row that are tried.
_TRIES = 12
# What samples say about the layers of their images.
_LAYERS = ("foreground", "background", "composed")


@dataclass
class Skipped:
    """Samples that were left out of the batches of this process, and why.

    Attributes
    ----------
    samples : int
        How many there were.
    tried : int
        Samples that were made or skipped.
    reasons : list of str
        Every reason once, in the order in which they came up.
    """

    samples: int = 0
    tried: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, reasons: list[str], tried: int) -> None:
        """Take note of a batch.

        Raises
        ------
        MatteError
            If more samples were left out than a few damaged files explain.
        """
        self.samples += len(reasons)
        self.tried += tried
        self.reasons += [r for r in dict.fromkeys(reasons) if r not in self.reasons]
        if self.samples <= max(_FEW, _MOST_SKIPPED * self.tried):
            return
        if len(self.reasons) > 1:
            raise MatteError(
                f"{self.samples} of {self.tried} training samples cannot be made, which is more "
                f"than {_MOST_SKIPPED:.0%}: {'; '.join(self.reasons[:3])}"
            )
        # In a small set a single photo is more than that share, and no reason to stop; but it may
        # be all there is, or no photo be at fault but, say, a disk.
        if self.samples > self.tried / 2:
            raise MatteError(self.reasons[0])


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
    sources += [find_unlabeled(folder) for folder in config.unlabeled]
    backgrounds = [
        file for folder in config.backgrounds for file in find_backgrounds(Path(folder)).files
    ]
    if not backgrounds and any(source.kind == "cutouts" for source in sources):
        raise MatteError("training on cutouts needs --backgrounds to put them on")
    sizes = tuple(config.sides or [config.crop_size])
    dataset = TrainingSet(
        sources,
        Source("backgrounds", backgrounds) if backgrounds else None,
        sizes=sizes,
        batch_group_size=config.batch_size,
        seed=config.seed,
        mixture=mixture,
        crops=tuple(config.crops),
        cache=SampleCache(cache, max(640, 3 * max(sizes) // 2)),
    )
    dataset.varies_colors = config.augment_on == "host"
    return dataset


def check_shares(config: TrainingConfig, processes: Processes) -> None:
    """Refuse a batch size that is no multiple of processes times parts, and a batch of one pixel.

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
    side = min(config.sides or [config.crop_size])
    if config.batch_size == parts and side == MULTIPLE and not config.freeze_batch_norm:
        raise MatteError(
            f"one sample of {side} px at a time leaves a single pixel at the deepest features, of "
            f"which batch norm has no statistics: use at least {2 * MULTIPLE} px, or more samples"
        )


def batches(
    dataset: TrainingSet,
    config: TrainingConfig,
    first_step: int,
    processes: Processes,
    skipped: Skipped | None = None,
    asked: Callable[[], bool] = never_asked,
) -> Generator[dict[str, Tensor], None, None]:
    """Yield the batches of this process from `first_step` on, `config.accumulate` of them a step.

    Sample numbers run on, so a resumed run sees the same ones, and all processes together see in
    each step what a single one would. In the place of a sample whose files are damaged comes the
    next one that can be made; `skipped` takes note of it. Worker processes end when it is closed.

    Raises
    ------
    MatteError
        If these are more than 1% of the samples, and not a single file's.
    Stopped
        Once `asked` returns True, if samples are made in this process and there is no other.
    """
    skipped = skipped or Skipped()
    workers = _workers(processes) if config.workers < 0 else config.workers
    first, end = (step * config.batch_size for step in (first_step, config.steps))
    # What worker processes have is copied, so it would never change there. Several processes come
    # to an agreement between passes: one that left alone would let the others wait forever.
    alone = processes.world == 1 and not workers
    loader = DataLoader(
        _Samples(dataset, asked if alone else never_asked),
        batch_size=config.batch_size // (processes.world * config.accumulate),
        sampler=range(first + processes.rank, end, processes.world),
        num_workers=workers,
        collate_fn=partial(_collate, layers=_wants_layers(config)),
        pin_memory=processes.device.type == "cuda",
        drop_last=True,
        worker_init_fn=prepare_worker,
        multiprocessing_context=started_anew() if workers else None,
    )
    with working(loader) as stream:
        for batch, reasons, tried in stream:
            if batch is None:
                raise MatteError("; ".join(list(dict.fromkeys(reasons))[:3]))
            skipped.add(reasons, tried)
            yield batch


def _wants_layers(config: TrainingConfig) -> bool:
    """Tell whether batches need the layers that their images are composed of."""
    return config.uses("composition") or config.augment_on == "device"


def _workers(processes: Processes) -> int:
    """Choose the number of worker processes where the configuration leaves it open."""
    # On a CPU the step itself keeps all cores busy.
    if processes.device.type == "cpu":
        return 0
    return min(16, max(1, usable_cores() // local_world() - 1))


# A sample, or None if so many in a row cannot be made, and the reasons why those before it cannot.
_Made = tuple[dict[str, Tensor] | None, list[str]]


class _Samples(Dataset):
    """Samples, each with what was skipped on the way to it: errors of files are no tracebacks."""

    def __init__(self, dataset: TrainingSet, asked: Callable[[], bool]) -> None:
        self.dataset = dataset
        self.asked = asked

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, numbers: list[int]) -> list[_Made]:
        # A worker process has one thread of torch; without workers, all of the step's are free now.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return list(pool.map(self.__getitem__, numbers))

    def __getitem__(self, number: int) -> _Made:
        if self.asked():
            raise Stopped
        size = self.dataset.size_of(number)
        # All samples of a batch have one size.
        fitting = (n for n in count(number) if self.dataset.size_of(n) == size)
        reasons: list[str] = []
        for candidate in islice(fitting, _TRIES):
            try:
                return self.dataset[candidate], reasons
            # Decoders, a disk, a file that is gone by now: whatever it is, one file must not end
            # a run of days. What goes wrong often does end it, in `Skipped`.
            except Exception as error:
                # A file at fault is named by its error: with the number it would be told each time.
                named = isinstance(error, MatteError)
                reasons.append(
                    str(error) if named else reason_of(error, f"training sample {candidate}")
                )
        return None, reasons


def _collate(made: list[_Made], *, layers: bool) -> tuple[dict[str, Tensor] | None, list[str], int]:
    """Stack samples, their layers only where a loss asks for them; with what was skipped."""
    reasons = [reason for _, reasons in made for reason in reasons]
    tensors = [sample for sample, _ in made if sample is not None]
    if len(tensors) < len(made):
        return None, reasons, len(made) + len(reasons)
    # Not all samples have an image before its colors vary.
    names = {name for sample in tensors for name in sample if layers or name not in _LAYERS}
    batch = {name: _stacked([s[name] for s in tensors if name in s]) for name in names}
    return batch, reasons, len(made) + len(reasons)


def _stacked(values: list[Tensor]) -> Tensor:
    """Stack planes with the channels last, as pictures are made and networks want them."""
    if values[0].ndim == 0:
        return default_collate(values)
    return default_collate([value.movedim(0, -1) for value in values]).movedim(-1, 1)
