"""The jobs of a run: which photos become which files, and who does them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from mattecli.core.imaging.naming import distinct, name_outputs
from mattecli.core.imaging.piping import read_standard_input
from mattecli.core.inference.inputs import Inputs, check_apart_from, check_is_no_original
from mattecli.core.inference.jobs import Job
from mattecli.core.ranks import rank_and_world
from mattecli.core.storage import check_folder, followed


def plan_jobs(
    inputs: Inputs,
    out: Path,
    kinds: tuple[str, ...],
    suffix: str,
    *,
    into_folder: bool,
    name: str | None = None,
) -> list[Job]:
    """Name the outputs of photos.

    Parameters
    ----------
    inputs : Inputs
        See `gather`.
    out : Path
        A folder, or a file for the one photo that there is.
    into_folder : bool
        Whether `out` is a folder for results or the one result itself.
    name : str, optional
        Pattern for names in the folder, see `name_outputs`.

    Raises
    ------
    MatteError
        If a photo would be overwritten by its own result, results would lie among the photos, or
        two would share a name.
    """
    if not into_folder:
        outputs = [{kinds[0]: followed(out)}] * len(inputs.photos)
    else:
        outputs = name_outputs(distinct(inputs.places, suffix), out, list(kinds), suffix, name)
    results = out if into_folder else out.parent
    check_apart_from(inputs, [path for paths in outputs for path in paths.values()], results)
    if into_folder:
        check_folder(out)
    else:
        check_is_no_original(out)
    return [
        Job(photo, paths, place)
        for photo, paths, place in zip(inputs.photos, outputs, inputs.places, strict=True)
    ]


def merge_jobs(names: list[str], planned: list[list[Job]]) -> list[Job]:
    """Make one job of the jobs of a photo; kinds get the name of their output in front, if any."""
    return [
        Job(
            jobs[0].source,
            {
                f"{name}/{kind}" if name else kind: path
                for name, job in zip(names, jobs, strict=True)
                for kind, path in job.outputs.items()
            },
            jobs[0].place,
        )
        for jobs in zip(*planned, strict=True)
    ]


def piped_job(out: Path, kind: str) -> Job:
    """Take the photo that comes through standard input; `MatteError` as by `plan_jobs`."""
    check_is_no_original(out)
    return Job(read_standard_input(), {kind: out})


def shard_jobs(jobs: Iterable[Job]) -> Iterator[Job]:
    """Give this process its share, where a launcher such as torchrun started several."""
    rank, world = rank_and_world()
    return islice(jobs, rank, None, world)
