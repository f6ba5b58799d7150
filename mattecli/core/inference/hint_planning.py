"""Which hints each photo of a run has: of the options, of files beside it, of a list."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, cast

from mattecli.core.errors import MatteError
from mattecli.core.imaging.naming import distinct
from mattecli.core.imaging.walking import by_stem
from mattecli.core.inference.hint_files import Line, read_hint_file
from mattecli.core.inference.jobs import Job, Source
from mattecli.core.inference.photo_hints import PICTURES, PhotoHints, RunHints
from mattecli.core.inference.source_options import SourceOptions

# Bytes that are no UTF-8, as they are read.
_NO_UTF_8 = re.compile("[\udc80-\udcff]")


def plan_hints(options: SourceOptions, source: str, jobs: list[Job]) -> RunHints:
    """Find what options say of each photo of a run.

    Parameters
    ----------
    source : str
        What errors call the place of the photos.

    Raises
    ------
    MatteError
        If files or a list have hints for no photo of the run, or cannot be read.
    """
    of_all = PhotoHints(
        tuple(options.box),
        tuple(options.point),
        tuple(options.not_point),
        subject=None if options.subject == "all" else options.subject,
    )
    own: dict[Source, PhotoHints] = {}
    for key, kind in PICTURES.items():
        place = getattr(options, key)
        if place is None:
            continue
        for photo, path in beside(place, source, jobs, kind, strict=key != "trimap").items():
            before = own.get(photo, of_all)
            own[photo] = replace(before, **cast(dict[str, Any], {key: path}))
    if options.hints is not None:
        for photo, line in match_lines(read_hint_file(options.hints), source, jobs).items():
            if not line.is_empty:
                own[photo] = line.over(own.get(photo, of_all))
    return RunHints(of_all, own)


def beside(
    place: Path, source: str, jobs: list[Job], kind: str, *, strict: bool
) -> dict[Source, Path]:
    """Find the pictures that go with photos: the same name in the same place below a folder.

    A picture may be called as the photo's results are, which keep its suffix (``x.jpg.png``) where
    several photos share the rest.

    Parameters
    ----------
    place : Path
        A folder, or one file for all photos.
    kind : str
        What errors call such a picture.
    strict : bool
        Whether every one of them must go with a photo.

    Raises
    ------
    MatteError
        If none goes with a photo, or one with several, or several with one; or, if `strict`, one
        with none.
    """
    if place.is_file():
        return {job.source: place for job in jobs}
    placed = [job for job in jobs if job.place]
    results = zip(distinct([job.place for job in placed]), placed, strict=True)
    names = _by_name(placed) | {name: [job] for name, job in results}
    found: dict[Source, Path] = {}
    left: list[Path] = []
    for name, path in by_stem(place).items():
        photos = names.get(name, [])
        if not photos:
            left.append(path)
            continue
        if len(photos) > 1:
            raise MatteError(
                f"{path}: {name} is the name of several photos: add the suffix, as in "
                f"{PurePosixPath(photos[0].place).name}{path.suffix}"
            )
        other = found.setdefault(photos[0].source, path)
        if other is not path:
            raise MatteError(f"{other} and {path} are of one photo: keep one of them")
    if not found:
        raise MatteError(f"no {kind} in {place} has the name of a photo in {source}")
    if strict and left:
        more = f", and {len(left) - 1} more are like it" if len(left) > 1 else ""
        raise MatteError(f"{left[0]} has the name of no photo in {source}{more}")
    return found


def match_lines(lines: list[Line], source: str, jobs: list[Job]) -> dict[Source, PhotoHints]:
    """Find the photos that lines are about, by their path in the run, or that without suffix.

    Blanks around a name count only where a photo's name has them.

    Raises
    ------
    MatteError
        If there is no such photo, or more than one.
    """
    names = _by_name(jobs)
    found: dict[Source, PhotoHints] = {}
    for line in lines:
        name = line.photo.removeprefix("./")
        photos = names.get(name) or names.get(name.strip().removeprefix("./"), [])
        if not photos:
            why = ": save the list in UTF-8" if _NO_UTF_8.search(name) else ""
            raise MatteError(f"{line.where}: {source} has no photo {line.photo}{why}")
        if len(photos) > 1:
            raise MatteError(
                f"{line.where}: {line.photo} is the name of several photos: add the suffix"
            )
        if photos[0].source in found:
            raise MatteError(f"{line.where}: {line.photo} has hints already")
        found[photos[0].source] = line.hints
    return found


def _by_name(jobs: list[Job]) -> dict[str, list[Job]]:
    """Index photos by their path in the run, and by that without suffix, which comes second."""
    stems: dict[str, list[Job]] = {}
    places: dict[str, list[Job]] = {}
    for job in jobs:
        if job.stem:
            stems.setdefault(job.stem, []).append(job)
        places.setdefault("-" if isinstance(job.source, bytes) else job.place, []).append(job)
    return stems | places
