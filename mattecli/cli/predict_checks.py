"""Options of ``matte predict`` that do not go together."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import typer

from mattecli.cli.destination import clip_suffix, is_folder, result_suffix
from mattecli.core.inference.options import (
    Format,
    Kind,
    OutputOptions,
    SourceOptions,
    SubjectChoice,
)


class Usage(NamedTuple):
    """What the options mean together: whether IN is a clip, format and place of the results."""

    of_clip: bool
    suffix: str
    into_folder: bool


def usage_of(
    source: str,
    out: str,
    save: list[Kind],
    image_format: Format | None,
    bits: int,
    background: str | None,
    crop: bool,
    trimap: Path | None,
    watch: bool,
    preview: Path | None,
    box: list[str],
    point: list[str],
    not_point: list[str],
    keep: Path | None,
    drop: Path | None,
    hints: Path | None,
    guide: Path | None,
    subject: SubjectChoice,
) -> Usage:
    """Understand what is wanted, or refuse at once what could only fail later.

    Raises
    ------
    typer.BadParameter
        If options contradict one another, or IN or OUT.
    """
    from mattecli.core.imaging.clip_writing import CONTAINERS
    from mattecli.core.imaging.clips import is_clip

    of_clip = is_clip(source)
    if of_clip:
        suffix = clip_suffix(out, image_format)
        into_folder = suffix not in CONTAINERS
    else:
        into_folder = is_folder(source, out)
        suffix = result_suffix(out, image_format, into_folder)
    kinds = [Kind(kind) for kind in save]
    output = OutputOptions(kinds, image_format, bits, background=background, crop=crop)
    check_usage(output, suffix, preview and Path(preview), into_folder)
    inputs = SourceOptions(
        box=box,
        point=point,
        not_point=not_point,
        keep=keep,
        drop=drop,
        hints=hints,
        trimap=trimap,
        guide=guide,
        subject=subject,
        watch=watch,
    )
    check_source(Path(source), of_clip, inputs, crop or preview is not None)
    return Usage(of_clip, suffix, into_folder)


def check_usage(
    options: OutputOptions, suffix: str, preview: Path | None, into_folder: bool
) -> None:
    """Refuse at once what could only fail photo by photo, or at the end.

    Raises
    ------
    typer.BadParameter
        If options contradict one another, or a format cannot hold what it shall.
    """
    from mattecli.core.errors import MatteError
    from mattecli.core.imaging.clip_writing import CONTAINERS, check_clip_format
    from mattecli.core.imaging.writing import check_format

    kinds = options.kinds
    if ("composite" in kinds) != (options.background is not None):
        raise typer.BadParameter("--save composite and --background need one another")
    if len(kinds) > 1 and not into_folder:
        raise typer.BadParameter("several kinds need a folder for results")
    try:
        if suffix in CONTAINERS:
            check_clip_format(suffix, transparent="cutout" in kinds)
        else:
            check_format(suffix, options.bits, transparent="cutout" in kinds)
        if preview is not None:
            check_format(preview.suffix.lower(), 8, transparent=False)
    except MatteError as error:
        raise typer.BadParameter(str(error)) from None


def check_source(source: Path, of_clip: bool, options: SourceOptions, photos_only: bool) -> None:
    """Refuse what does not go with clips, or with a folder that is watched.

    Parameters
    ----------
    photos_only : bool
        Whether there are other options that only photos know.

    Raises
    ------
    typer.BadParameter
        If there is any.
    """
    from mattecli.core.errors import MatteError
    from mattecli.core.inference.hint_values import check_places
    from mattecli.core.ranks import rank_and_world

    several = rank_and_world()[1] > 1
    named = ("keep", "drop", "hints", "trimap", "guide")
    beside = [f"--{name}" for name in named if getattr(options, name) is not None]
    places = options.box or options.point or options.not_point
    hinted = beside or places or options.subject != "all"
    if of_clip and (photos_only or hinted or options.watch or several):
        raise typer.BadParameter(
            "a clip is cut without --crop, --watch, --preview and hints such as --trimap, by a "
            "single process"
        )
    if options.watch and (beside or not source.is_dir() or several):
        raise typer.BadParameter(
            f"--watch takes a folder, no {beside[0] if beside else '--trimap'}, and a single "
            "process"
        )
    try:
        check_places(options.box, options.point, options.not_point)
    except MatteError as error:
        raise typer.BadParameter(str(error)) from None
