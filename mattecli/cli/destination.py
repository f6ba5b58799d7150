"""Where results go and in what format: the rules that predict and composite share."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

from mattecli.cli.option_groups import option_of
from mattecli.core.inference.options import FlatFormat, Format, OutputOptions
from mattecli.core.objects.paths import is_object

#: Composites have no layers.
FormatOption = option_of(OutputOptions, "image_format", Optional[FlatFormat])  # noqa: UP045
QualityOption = option_of(OutputOptions, "quality")


def is_folder(source: str, out: str) -> bool:
    """Tell whether OUT is a folder for results, or the one result itself.

    Raises
    ------
    typer.BadParameter
        If IN and OUT do not go together.
    """
    from mattecli.core.imaging.walking import stands_for_folder
    from mattecli.core.imaging.writing import LAYERED, SUFFIXES

    path = Path(out)
    known = SUFFIXES + LAYERED
    is_bucket = is_object(path) and len(path.parts) == 2
    names_folder = path.is_dir() or out.endswith("/") or is_bucket
    names_file = path.suffix.lower() in known and not names_folder
    if source == "-":
        if out != "-" and not names_file:
            raise typer.BadParameter(f"a picture from stdin needs a file or -, {out} is neither")
        return False
    if stands_for_folder(source):
        if out == "-" or names_file:
            raise typer.BadParameter(f"a folder of pictures needs a folder for results, not {out}")
        return True
    if out == "-" or names_file:
        return False
    if path.suffix and not names_folder:
        raise typer.BadParameter(
            f"cannot write '{path.suffix}' files: use one of {', '.join(known)}; "
            "the name of a folder may end in /"
        )
    return True


def result_suffix(out: str, image_format: Format | None, into_folder: bool) -> str:
    """Choose the format: that of OUT if it is a file, --format otherwise.

    Raises
    ------
    typer.BadParameter
        If the two contradict one another.
    """
    chosen = f".{image_format}" if image_format else None
    if into_folder or out == "-":
        return chosen or ".png"
    suffix = Path(out).suffix.lower()
    alike = {".jpeg": ".jpg", ".tif": ".tiff"}
    if chosen and chosen != alike.get(suffix, suffix):
        raise typer.BadParameter(f"--format {chosen[1:]} contradicts {out}")
    return suffix


def clip_suffix(out: str, image_format: Format | None, *, bare: bool = False) -> str:
    """Choose what a clip becomes: another clip if OUT is one by its name, else pictures.

    Parameters
    ----------
    bare : bool
        Whether frames on standard output have no header, as those on standard input.

    Raises
    ------
    typer.BadParameter
        If OUT is neither a clip that can be written nor a folder.
    """
    from mattecli.core.imaging.animations import FORMATS, written_as
    from mattecli.core.imaging.clips.codecs import CONTAINERS
    from mattecli.core.imaging.clips.pipe_writing import NUT, RAW
    from mattecli.core.imaging.frame_folders import is_numbered
    from mattecli.core.imaging.writing import SUFFIXES

    path = Path(out)
    suffix = path.suffix.lower()
    if out == "-" and image_format is None:
        return RAW if bare else NUT
    if is_numbered(out):
        if suffix in FORMATS:
            known = ", ".join(SUFFIXES)
            raise typer.BadParameter(f"numbered pictures are {known} files, not {out}")
        return result_suffix(out, image_format, into_folder=False)
    if path.is_dir() or out.endswith("/") or not (suffix or out == "-"):
        return f".{image_format}" if image_format else ".png"
    moving = written_as(out)
    if suffix not in CONTAINERS and moving is None:
        raise typer.BadParameter(
            f"a clip becomes a {', '.join(CONTAINERS)}, .gif, .apng or .webp file, or pictures in "
            f"a folder, whose name may end in /, or frames on standard output (-), not {out}"
        )
    if image_format:
        raise typer.BadParameter(f"--format {image_format} contradicts {out}")
    return moving or suffix
