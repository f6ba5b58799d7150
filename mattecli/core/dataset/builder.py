"""Building a set: samples shared out to processes, written whole, and taken up again."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mattecli.core.dataset import manifest
from mattecli.core.dataset.material import resolve
from mattecli.core.dataset.plan import Sample
from mattecli.core.dataset.recipe import save_recipe
from mattecli.core.dataset.sample_task import SampleTask
from mattecli.core.dataset.worker import BuildSpec, Worker
from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.executing.executor import executor_for
from mattecli.core.executing.tasks import Executor
from mattecli.core.objects.listing import list_objects
from mattecli.core.objects.paths import ObjectPath
from mattecli.core.progress import progress

# Samples that a worker takes at a time: those of one foreground share its decoding.
_CHUNK = 10


@dataclass
class Outcome:
    """How a build ended: counts, and a line for each sample that could not be made."""

    made: int = 0
    kept: int = 0
    failures: list[str] = field(default_factory=list)


class _Look(NamedTuple):
    """How long a file of a set is, and when it was written, in nanoseconds."""

    bytes: int
    made_at: float


_NOTHING = _Look(-1, 0)


class Builder(BuildSpec):
    """Makes the samples of a set, in one process or several."""

    def build(
        self,
        samples: list[Sample],
        workers: int,
        rank: int = 0,
        ranks: int = 1,
        quiet: bool = False,
        executor: Executor | None = None,
    ) -> Outcome:
        """Make all samples that are not there yet, and write the manifest when none is missing.

        The files do not depend on the workers, nor on the number of ranks: each rank takes its
        share of the foregrounds, and the last one to finish writes the manifest.

        Raises
        ------
        MatteError
            If `out` holds another set.
        OutputUnusable
            If the disk is full or cannot be written to; what is finished stays.
        """
        finished = self._finished(samples)
        chunks = [
            [sample for sample in chunk if sample.name not in finished]
            for i, chunk in enumerate(_chunks(samples))
            if i % ranks == rank
        ]
        outcome = Outcome(kept=len(finished))
        total = sum(map(len, chunks))
        with (
            manifest.Notes(manifest.part_path(self.out, rank)) as notes,
            progress(total=total, label="building", quiet=quiet) as bar,
        ):
            if rank == 0:
                save_recipe(self.recipe, self.out / manifest.RECIPE_NAME)
            task = SampleTask(self, workers, 1 if self.device == "cpu" else _CHUNK)
            for results in (executor or executor_for(None)).run(task, filter(None, chunks)):
                for result in results:
                    if isinstance(result, OutputUnusable):
                        raise result
                    if isinstance(result, str):
                        outcome.failures.append(result)
                        bar.set_postfix(failed=len(outcome.failures))
                    else:
                        notes.add(result)
                        outcome.made += 1
                bar.update(len(results))
        self._write_manifest(samples, partial=bool(outcome.failures) and ranks == 1)
        return outcome

    def estimate(self, samples: list[Sample], tries: int = 8) -> tuple[float, float]:
        """Make a few samples in memory, to foretell what all of them will need.

        Returns
        -------
        bytes, seconds : float
            Of disk, and of one core.

        Raises
        ------
        MatteError
            If one of the tried samples cannot be made.
        """
        tried = samples[:: max(1, len(samples) // tries)]
        worker, start = Worker(self), time.process_time()
        size = sum(
            len(data) for sample in tried for data, _ in worker.make_pictures(sample)[1].values()
        )
        share = len(samples) / len(tried)
        return size * share, (time.process_time() - start) * share

    def _finished(self, samples: list[Sample]) -> dict[str, dict]:
        """Give the records of planned samples whose files are all there, whole and up to date."""
        planned = {sample.name: sample for sample in samples}
        look = _look_in(self.out)
        changed_at = cache(lambda reference: _material_changed_at(resolve(reference, self.roots)))
        finished = {}
        for name, record in manifest.read_finished(self.out).items():
            sample = planned.get(name)
            if sample is None or sample.key(self.recipe) != record["key"]:
                raise MatteError(
                    f"{self.out} holds another set ({name} differs from what is planned): "
                    "choose another folder, or the same recipe, seed and material"
                )
            if set(record["files"]) != set(self.recipe.outputs):
                continue
            newest = max(map(changed_at, sample.material))
            looks = {output: look(self.path(name, output)) for output in record["files"]}
            if all(
                looks[output].bytes == file["bytes"] and looks[output].made_at >= newest
                for output, file in record["files"].items()
            ):
                finished[name] = record
        return finished

    def _write_manifest(self, samples: list[Sample], partial: bool) -> None:
        finished = self._finished(samples)
        if partial or len(finished) == len(samples):
            records = [finished[sample.name] for sample in samples if sample.name in finished]
            manifest.write(self.out, records)


def _chunks(samples: list[Sample]) -> Iterator[list[Sample]]:
    """Cut the list into short runs of samples with the same subject."""
    for _, group in itertools.groupby(samples, key=lambda sample: sample.foregrounds[0]):
        rest = list(group)
        for start in range(0, len(rest), _CHUNK):
            yield rest[start : start + _CHUNK]


def _look_in(out: Path) -> Callable[[Path], _Look]:
    """Give what looks at files of a set, which has -1 bytes of one that is not there."""
    if isinstance(out, ObjectPath):
        # One listing, where a question for each would take hours; it is not compared by time.
        found: dict[Path, _Look] = {
            out / file.name: _Look(file.size, math.inf) for file in list_objects(out)
        }
        return lambda path: found.get(path, _NOTHING)
    return _look


def _look(path: Path) -> _Look:
    try:
        seen = os.stat(path)
    except OSError:
        return _NOTHING
    return _Look(seen.st_size, seen.st_mtime_ns)


def _material_changed_at(path: Path) -> float:
    """Tell when a file was changed last, in nanoseconds; 0 of what does not say so."""
    at = 0 if isinstance(path, ObjectPath) else _look(path).made_at
    # What claims to come from the future would be newer for ever.
    return at if at <= time.time_ns() else 0
