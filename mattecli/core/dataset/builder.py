"""Building a set: samples shared out to processes, written whole, and taken up again."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from mattecli import __version__
from mattecli.core.dataset import manifest
from mattecli.core.dataset.layers import LayerReader
from mattecli.core.dataset.material import Roots
from mattecli.core.dataset.plan import Sample
from mattecli.core.dataset.recipe import Recipe, save_recipe
from mattecli.core.dataset.render import render
from mattecli.core.dataset.scene import draw
from mattecli.core.errors import MatteError
from mattecli.core.imaging.writing import OutputUnusable, encode, write_atomically
from mattecli.core.progress import progress

# Samples that a worker takes at a time: those of one foreground share its decoding.
_CHUNK = 10
# A run stops while there is still room for its notes and for other programs.
_RESERVED_BYTES = 100_000_000

# The record of a finished sample, a line about a failed one, or what stops the whole run.
Result = dict | str | OutputUnusable


@dataclass
class Outcome:
    """How a build ended: counts, and a line for each sample that could not be made."""

    made: int = 0
    kept: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Builder:
    """What every process needs to make samples. `out` is the folder of the set."""

    recipe: Recipe
    roots: Roots
    seed: int
    out: Path

    def build(
        self,
        samples: list[Sample],
        workers: int,
        rank: int = 0,
        ranks: int = 1,
        quiet: bool = False,
    ) -> Outcome:
        """Make all samples that are not there yet, and write the manifest when none is missing.

        The files do not depend on the number of workers, nor on that of the ranks: each rank
        takes its share of the foregrounds, and the last one to finish writes the manifest.

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
            for results in self._run(chunks, workers):
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
        worker, start = _Worker(self), time.process_time()
        size = sum(
            len(data) for sample in tried for data, _ in worker.make_pictures(sample)[1].values()
        )
        share = len(samples) / len(tried)
        return size * share, (time.process_time() - start) * share

    def _finished(self, samples: list[Sample]) -> dict[str, dict]:
        """Give the records of planned samples whose files are all there in full length."""
        planned = {sample.name: sample.key(self.recipe) for sample in samples}
        finished = {}
        for name, record in manifest.read_finished(self.out).items():
            if planned.get(name) != record["key"]:
                raise MatteError(
                    f"{self.out} holds another set ({name} differs from what is planned): "
                    "choose another folder, or the same recipe, seed and material"
                )
            if set(record["files"]) == set(self.recipe.outputs) and all(
                _size(self.path(name, output)) == file["bytes"]
                for output, file in record["files"].items()
            ):
                finished[name] = record
        return finished

    def _write_manifest(self, samples: list[Sample], partial: bool) -> None:
        finished = self._finished(samples)
        if partial or len(finished) == len(samples):
            records = [finished[sample.name] for sample in samples if sample.name in finished]
            manifest.write(self.out, records)

    def path(self, name: str, output: str) -> Path:
        """Say where an output of a sample lies: of several splits each has a folder of its own."""
        folder = self.out
        if len(self.recipe.splits) > 1:
            split, _, name = name.partition("/")
            folder = self.out / split
        return folder / output / f"{name}.png"

    def _run(self, chunks: list[list[Sample]], workers: int) -> Iterator[list[Result]]:
        """Give the results of the chunks as they are done."""
        if workers == 1:
            worker = _Worker(self)
            for sample in itertools.chain.from_iterable(chunks):
                yield worker.make_all([sample])
            return
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, context, _start_worker, (self,))
        running: set[Future] = set()
        try:
            todo = iter(chunks)
            while True:
                # Few in advance, so that stopping takes no longer than what is in flight.
                running |= {
                    pool.submit(_make_all, chunk)
                    for chunk in itertools.islice(todo, 2 * workers - len(running))
                }
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool:
            raise MatteError(
                "a worker process was killed, most likely for want of memory: use fewer --workers"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


class _Worker:
    """Makes samples one after the other."""

    def __init__(self, builder: Builder) -> None:
        # The processes share the cores already.
        cv2.setNumThreads(1)
        self._builder = builder
        self._reader = LayerReader(builder.recipe, builder.roots)
        self._encoded: dict[str, tuple[np.ndarray, bytes, str]] = {}

    def make_all(self, samples: list[Sample]) -> list[Result]:
        results = []
        for sample in samples:
            try:
                results.append(self._make(sample))
            except OutputUnusable as error:
                # Given back, not raised, so that what is finished is noted first.
                return [*results, error]
            except MatteError as error:
                results.append(f"{sample.name}: {error}")
        return results

    def make_pictures(self, sample: Sample) -> tuple[dict, dict[str, tuple[bytes, str]]]:
        """Give what was drawn, and the outputs as PNG with their SHA-256, without writing them."""
        recipe = self._builder.recipe
        drawn = draw(sample, recipe, self._reader)
        pictures = render(drawn, recipe, self._reader)
        return drawn, {output: self._encode(output, array) for output, array in pictures.items()}

    def _make(self, sample: Sample) -> dict:
        drawn, encoded = self.make_pictures(sample)
        _check_room(self._builder.out, sum(len(data) for data, _ in encoded.values()))
        paths = {output: self._builder.path(sample.name, output) for output in encoded}
        try:
            for output, (data, _) in encoded.items():
                write_atomically(paths[output], data)
        except BaseException:
            for path in paths.values():
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            raise
        return {
            "name": sample.name,
            "split": sample.split,
            "key": sample.key(self._builder.recipe),
            "recipe": self._builder.recipe.name,
            "version": __version__,
            "seed": self._builder.seed,
            "sample_seed": sample.seed,
            **drawn,
            "files": {
                output: {"sha256": digest, "bytes": len(data)}
                for output, (data, digest) in encoded.items()
            },
        }

    def _encode(self, output: str, array: np.ndarray) -> tuple[bytes, str]:
        """Encode as PNG; a foreground placed as it is comes again and again as the same array."""
        known, data, digest = self._encoded.get(output, (None, b"", ""))
        if known is not array:
            data = encode(array, ".png", compression=None)
            digest = hashlib.sha256(data).hexdigest()
            self._encoded[output] = (array, data, digest)
        return data, digest


_worker: _Worker


def _start_worker(builder: Builder) -> None:
    global _worker
    # Ctrl-C reaches the whole group: the parent alone answers it, workers finish what they have.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = _Worker(builder)


def _end_with_parent() -> None:
    """Do not wait for work for ever when the parent was killed."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _make_all(samples: list[Sample]) -> list[Result]:
    return _worker.make_all(samples)


def _chunks(samples: list[Sample]) -> Iterator[list[Sample]]:
    """Cut the list into short runs of samples with the same subject."""
    for _, group in itertools.groupby(samples, key=lambda sample: sample.foregrounds[0]):
        rest = list(group)
        for start in range(0, len(rest), _CHUNK):
            yield rest[start : start + _CHUNK]


def free_bytes(out: Path) -> int:
    """Say how much room the disk has that `out` lies on, or will lie on."""
    folder = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    return shutil.disk_usage(folder).free


def _check_room(out: Path, needed: int) -> None:
    free = free_bytes(out)
    if free - needed < _RESERVED_BYTES:
        raise OutputUnusable(
            f"only {free / 1e6:.0f} MB are left on the disk of {out}: make room and run again, "
            "finished samples are kept"
        )


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1
