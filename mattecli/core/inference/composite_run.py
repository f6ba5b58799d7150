"""One run of ``matte composite``: which files, and where the results go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mattecli.core.device import usable_cores
from mattecli.core.errors import MatteError, OutputUnusable, reason_of
from mattecli.core.executing.tasks import OneByOne
from mattecli.core.imaging.colors import is_color
from mattecli.core.imaging.naming import distinct_stems, fill_pattern, with_suffix
from mattecli.core.imaging.opening import name_of
from mattecli.core.imaging.piping import read_standard_input
from mattecli.core.imaging.pixels import to_bits
from mattecli.core.imaging.reading import read_picture, to_srgb
from mattecli.core.imaging.walking import check_apart, require_images, stands_for_folder
from mattecli.core.imaging.writing import SIXTEEN_BIT, encode, write_result
from mattecli.core.inference.inputs import check_is_no_original
from mattecli.core.matting.backgrounds import load_background
from mattecli.core.matting.layout import Layout, check_transparent, compose
from mattecli.core.objects.paths import located
from mattecli.core.objects.stores import check_writable
from mattecli.core.storage import check_folder


@dataclass(frozen=True)
class CompositeJob:
    """One cutout on one background, and where the result goes; ``-`` is standard output."""

    cutout: Path | bytes
    background: str
    output: Path


def plan_composites(
    foreground: Path, background: str, out: Path, suffix: str, pattern: str | None
) -> list[CompositeJob]:
    """Pair every cutout with every background and name the results.

    Parameters
    ----------
    foreground : Path
        A cutout, a folder of them, or ``-`` for standard input.
    background : str
        A color, a picture, or a folder of pictures.
    pattern : str or None
        Relative path of a result in the folder `out`, with ``{fg}`` and ``{bg}`` for the names of
        its parts; None where `out` is the one result itself.

    Raises
    ------
    MatteError
        If there is nothing to do, two results would share a name, or one would replace an input or
        a photo, or become one of the next run.
    """
    check_writable(out)
    if pattern is None:
        check_is_no_original(out)
    if str(foreground) == "-":
        return [CompositeJob(read_standard_input(), background, out)]
    # Results of an earlier run that lie inside a folder of inputs are none.
    results = None if pattern is None else out
    cutouts = require_images(foreground, results)
    in_folder = not is_color(background) and stands_for_folder(background)
    backgrounds = (
        [str(path) for path in require_images(located(background), results)]
        if in_folder
        else [background]
    )
    inputs = {path.resolve() for path in [*cutouts, *map(located, backgrounds)]}
    if pattern is None:
        _check_harmless(out, inputs)
        return [CompositeJob(cutouts[0], backgrounds[0], out)]

    background_names = (
        distinct_stems([located(text) for text in backgrounds], located(background))
        if in_folder
        else [located(background).stem]
    )
    cutout_names = distinct_stems(cutouts, foreground, suffix)
    jobs: dict[Path, CompositeJob] = {}
    # Background by background, so that each is decoded once.
    for text, background_name in zip(backgrounds, background_names, strict=True):
        for path, cutout_name in zip(cutouts, cutout_names, strict=True):
            fields = {"fg": cutout_name, "bg": background_name}
            output = with_suffix(out / fill_pattern(pattern, out, fields), suffix)
            if output in jobs:
                raise MatteError(f"pattern '{pattern}' names several results {output}")
            _check_harmless(output, inputs)
            jobs[output] = CompositeJob(path, text, output)
    check_folder(out)
    for folder in (foreground, located(background)) if in_folder else (foreground,):
        check_apart(jobs, folder, out)
    return list(jobs.values())


class Composed(NamedTuple):
    """How a composite ended: what went wrong, if anything, and what has to be said of it."""

    error: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CompositeTask:
    """What is made of each pair of a run; see `Task`."""

    layout: Layout
    suffix: str
    quality: int | None

    def run_here(
        self, items: Iterable[CompositeJob], stopped: Callable[[], bool]
    ) -> Iterator[Composed]:
        """Make composites by the threads of this process."""
        # Threads share the decoded background, and the next one while both are in use.
        work = self._worker(backgrounds=2)
        with ThreadPoolExecutor(min(usable_cores(), 8)) as threads:
            try:
                yield from threads.map(work, items)
            finally:
                threads.shutdown(cancel_futures=True)

    def open(self, cpus: int) -> OneByOne[CompositeJob, Composed]:
        """Make ready for single composites."""
        return OneByOne(self._worker(backgrounds=1))

    def lost(self, item: CompositeJob, reason: str) -> Composed:
        """Give the end of a composite that ended its process."""
        return Composed(f"{name_of(item.cutout)}: {reason}")

    def received(self, item: CompositeJob, answer: Composed) -> Composed:
        """Give the answer as it is."""
        return answer

    def _worker(self, backgrounds: int) -> Callable[[CompositeJob], Composed]:
        background_of = lru_cache(maxsize=backgrounds)(load_background)

        def work(job: CompositeJob) -> Composed:
            try:
                notes = _write_composite(job, background_of(job.background), self)
            except OutputUnusable:
                raise
            # Anything at all that goes wrong with one composite must not stop the others.
            except Exception as error:
                name = "-" if isinstance(job.cutout, bytes) else job.cutout
                return Composed(reason_of(error, name))
            return Composed(notes=tuple(f"{name_of(job.cutout)}: {note}" for note in notes))

        return work


def _write_composite(
    job: CompositeJob, background: np.ndarray, task: CompositeTask
) -> tuple[str, ...]:
    cutout = to_srgb(read_picture(job.cutout))
    check_transparent(cutout, name_of(job.cutout))
    bits = 16 if cutout.color.dtype == np.uint16 and task.suffix in SIXTEEN_BIT else 8
    result = to_bits(compose(cutout, background, task.layout), bits)
    # A result in the cutout's frame is as large on paper as the cutout.
    dpi = cutout.dpi if task.layout.canvas == "foreground" else None
    data = encode(result, task.suffix, quality=task.quality, dpi=dpi, is_result=True)
    write_result(job.output, data)
    return cutout.notes


def _check_harmless(output: Path, inputs: set[Path]) -> None:
    if output.resolve() in inputs:
        raise MatteError(f"{output} would overwrite an input: choose another place for output")
