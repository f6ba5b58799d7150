"""Options of ``matte predict`` that do not go together."""

from __future__ import annotations

from pathlib import Path

import typer

from mattecli.core.inference.options import OutputOptions, SourceOptions


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
    if options.bits not in (8, 16):
        raise typer.BadParameter("--bits is 8 or 16")
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
    from mattecli.core.ranks import rank_and_world

    several = rank_and_world()[1] > 1
    if of_clip and (photos_only or options.trimap or options.watch or several):
        raise typer.BadParameter(
            "a clip is cut without --crop, --trimap, --watch and --preview, by a single process"
        )
    if options.watch and (options.trimap or not source.is_dir() or several):
        raise typer.BadParameter("--watch takes a folder, no --trimap, and a single process")
