"""What comes before the first step: looking at data and disk, building or loading the state."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from mattecli.core.dataset.probing import probe
from mattecli.core.dataset.sources import Source, find_sources
from mattecli.core.dataset.training_set import TrainingSet
from mattecli.core.errors import MatteError
from mattecli.core.plain_text import in_one_line
from mattecli.core.training.batches import Skipped, check_shares
from mattecli.core.training.checkpoint import load_checkpoint
from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.needs import note_of_needs
from mattecli.core.training.options import StartOptions
from mattecli.core.training.processes import Processes
from mattecli.core.training.resuming import changed_settings, continue_from, fingerprint
from mattecli.core.training.run_files import bytes_of_run, check_room, checkpoint_of
from mattecli.core.training.run_log import RunLog
from mattecli.core.training.state import TrainingState, build_state


def say(line: str) -> None:
    """Print a line on standard error, above the progress bar where there is one."""
    tqdm.write(in_one_line(f"matte: {line}"), file=sys.stderr)


@dataclass
class Run:
    """What the parts of the training loop share."""

    config: TrainingConfig
    out: Path
    processes: Processes
    dataset: TrainingSet
    steps_per_epoch: int
    validation_sources: list[Source] = field(init=False)
    #: Fingerprint of the training files.
    files: str = field(init=False)
    skipped: Skipped = field(default_factory=Skipped)
    #: What was said once and need not be again.
    said: set[str] = field(default_factory=set)
    #: None in processes that write no files.
    log: RunLog | None = None

    def __post_init__(self) -> None:
        self.validation_sources = _find_validation_sources(self.config)
        self.files = fingerprint(self.dataset)

    def say(self, line: str) -> None:
        """Print a line, in the first process."""
        if self.processes.first:
            say(line)

    def say_once(self, line: str) -> None:
        """Print a line that was not printed before."""
        if line not in self.said:
            self.said.add(line)
            self.say(line)


def prepare(run: Run, start: StartOptions, *, quiet: bool, resume: bool) -> TrainingState:
    """Build or load all that a step changes, and say what can be said before the first one.

    Raises
    ------
    MatteError
        On what would not work, or not to the end: see `mattecli.core.training.trainer.train`.
    """
    config, processes = run.config, run.processes
    check_shares(config, processes)
    stored = load_checkpoint(checkpoint_of(run.out)) if resume else None
    changes = changed_settings(stored, config, run.files) if stored else []
    if processes.first and stored is None:
        _probe(run, quiet=quiet)
    state = build_state(config, processes, start, resume=resume)
    # What the run was built with, for config.toml.
    config.network = {"name": config.network["name"], **state.network.config.to_dict()}
    if stored is not None:
        run.say(continue_from(state, stored, config, changes))
    run.dataset.cache.reserved = bytes_of_run(state)
    if processes.first:
        check_room(state, run.out)
        on_cpu = processes.device.type == "cpu"
        if on_cpu and not quiet and (note := note_of_needs(state, config, processes.world)):
            run.say(note)
    return state


def _probe(run: Run, *, quiet: bool) -> None:
    """Name the damaged files before training begins."""
    backgrounds = run.dataset.backgrounds
    damaged = [
        *probe("training files", run.dataset.sources, quiet=quiet),
        *probe("backgrounds", [backgrounds] if backgrounds else [], quiet=quiet),
        *probe("validation files", run.validation_sources, quiet=quiet),
    ]
    for reason in damaged:
        run.say(f"cannot be used, and will be left out: {reason}")


def _find_validation_sources(config: TrainingConfig) -> list[Source]:
    sources = [source for folder in config.validation for source in find_sources(folder)]
    if any(source.kind != "pairs" for source in sources):
        raise MatteError("validation needs folders of image/ and alpha/ pairs, not cutouts")
    return sources
