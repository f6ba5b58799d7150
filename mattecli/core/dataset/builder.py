"""Building a set: samples shared out to processes, written whole, and taken up again."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

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
        planned = {sample.name: sample.key(self.recipe) for sample in samples}
        records = manifest.read_finished(self.out)
        changed = self._changed([sample for sample in samples if sample.name in records])
        finished = {}
        size_of = _sizes_in(self.out)
        for name, record in records.items():
            if planned.get(name) != record["key"]:
                raise MatteError(
                    f"{self.out} holds another set ({name} differs from what is planned): "
                    "choose another folder, or the same recipe, seed and material"
                )
            if name in changed:
                continue
            if set(record["files"]) == set(self.recipe.outputs) and all(
                size_of(self.path(name, output)) == file["bytes"]
                for output, file in record["files"].items()
            ):
                finished[name] = record
        return finished

    def _changed(self, samples: list[Sample]) -> set[str]:
        """Give the names of samples that are older than a file that they are made of."""
        if isinstance(self.out, ObjectPath):
            return set()
        # What claims to come from the future would be newer for ever.
        now = time.time_ns()
        changed_at: dict[str, int] = {}
        names = set()
        for sample in samples:
            files = [sample.background]
            for foreground in sample.foregrounds:
                files += [foreground.color, *filter(None, [foreground.alpha])]
            for reference in files:
                if reference not in changed_at:
                    at = _changed_at(resolve(reference, self.roots))
                    changed_at[reference] = 0 if at > now else at
            newest = max(changed_at[reference] for reference in files)
            made = [_changed_at(self.path(sample.name, output)) for output in self.recipe.outputs]
            if newest > min(made):
                names.add(sample.name)
        return names

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


def _sizes_in(out: Path) -> Callable[[Path], int]:
    """Give what tells how long a file of a set is, -1 of one that is not there."""
    if isinstance(out, ObjectPath):
        # One listing, where a question for each would take hours.
        sizes: dict[Path, int] = {out / found.name: found.size for found in list_objects(out)}
        return lambda path: sizes.get(path, -1)
    return _size


def _changed_at(path: Path) -> int:
    """Tell when a file was changed last, in nanoseconds; 0 of what is not there or in a store."""
    try:
        return 0 if isinstance(path, ObjectPath) else os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1
