"""What the options of ``matte predict`` may be, and mean together."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import NamedTuple

import typer

from mattecli.cli.destination import Format, clip_suffix, is_folder, result_suffix


class Kind(str, Enum):
    """What can be saved of a photo."""

    cutout = "cutout"
    alpha = "alpha"
    foreground = "foreground"
    composite = "composite"


class Refine(str, Enum):
    """Ways to bring the matte to full size."""

    none = "none"
    fast = "fast"
    best = "best"


class Precision(str, Enum):
    """Number formats of the network."""

    auto = "auto"
    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"
    int8 = "int8"


def eight_or_sixteen(bits: int) -> int:
    """Refuse other depths."""
    if bits not in (8, 16):
        raise typer.BadParameter(f"{bits} is neither 8 nor 16")
    return bits


class Usage(NamedTuple):
    """What the options mean together: kinds to save, whether IN is a clip, format and place."""

    kinds: tuple[str, ...]
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
) -> Usage:
    """Understand what is wanted, or refuse at once what could only fail later.

    Raises
    ------
    typer.BadParameter
        If options contradict one another, or IN or OUT.
    """
    from mattecli.core.imaging.clip_writing import CONTAINERS
    from mattecli.core.imaging.clips import is_clip

    kinds = tuple(dict.fromkeys(kind.value for kind in save))
    kinds = kinds or (("composite",) if background else ("cutout",))
    of_clip = is_clip(source)
    if of_clip:
        suffix = clip_suffix(out, image_format)
        into_folder = suffix not in CONTAINERS
    else:
        into_folder = is_folder(source, out)
        suffix = result_suffix(out, image_format, into_folder)
    check_usage(kinds, background, bits, suffix, preview, into_folder)
    check_source(Path(source), of_clip, watch, crop or preview is not None, trimap)
    return Usage(kinds, of_clip, suffix, into_folder)


def check_usage(
    kinds: tuple[str, ...],
    background: str | None,
    bits: int,
    suffix: str,
    preview: Path | None,
    into_folder: bool,
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

    if ("composite" in kinds) != (background is not None):
        raise typer.BadParameter("--save composite and --background need one another")
    if len(kinds) > 1 and not into_folder:
        raise typer.BadParameter("several kinds need a folder for results")
    try:
        if suffix in CONTAINERS:
            check_clip_format(suffix, transparent="cutout" in kinds)
        else:
            check_format(suffix, bits, transparent="cutout" in kinds)
        if preview is not None:
            check_format(preview.suffix.lower(), 8, transparent=False)
    except MatteError as error:
        raise typer.BadParameter(str(error)) from None


def check_source(
    source: Path, of_clip: bool, watch: bool, of_photos: bool, trimap: Path | None
) -> None:
    """Refuse what does not go with clips, or with a folder that is watched.

    Parameters
    ----------
    of_photos : bool
        Whether there are other options that only photos know.

    Raises
    ------
    typer.BadParameter
        If there is any.
    """
    from mattecli.core.ranks import rank_and_world

    several = rank_and_world()[1] > 1
    if of_clip and (of_photos or trimap or watch or several):
        raise typer.BadParameter(
            "a clip is cut without --crop, --trimap, --watch and --preview, by a single process"
        )
    if watch and (trimap or not source.is_dir() or several):
        raise typer.BadParameter("--watch takes a folder, no --trimap, and a single process")
