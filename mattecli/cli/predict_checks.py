"""Options of ``matte predict`` that do not go together."""

from __future__ import annotations

from pathlib import Path

import typer

from mattecli.core.clips.options import ClipOptions
from mattecli.core.inference.options import FrameOptions, OutputOptions
from mattecli.core.inference.source_options import SourceOptions

_FPS = "--fps is for numbered pictures such as frames/%06d.png"


def check_usage(
    options: OutputOptions, clips: ClipOptions, suffix: str, preview: Path | None, into_folder: bool
) -> None:
    """Refuse at once what could only fail photo by photo, or at the end.

    Raises
    ------
    typer.BadParameter
        If options contradict one another, or a format cannot hold what it shall.
    """
    from mattecli.core.errors import MatteError
    from mattecli.core.imaging.writing import check_format

    kinds = options.kinds
    if ("composite" in kinds) != (options.background is not None):
        raise typer.BadParameter("--save composite and --background need one another")
    if len(kinds) > 1 and not into_folder:
        raise typer.BadParameter("several kinds need a folder for results")
    if options.name is not None and not into_folder:
        raise typer.BadParameter("--name is for results in a folder")
    try:
        _check_suffix(options, clips, suffix)
        if preview is not None:
            check_format(preview.suffix.lower(), 8, transparent=False)
    except MatteError as error:
        raise typer.BadParameter(str(error)) from None


def _check_suffix(options: OutputOptions, clips: ClipOptions, suffix: str) -> None:
    """Raise `MatteError` if a format cannot hold what it shall."""
    from mattecli.core.clips.specifying import encoding_of
    from mattecli.core.errors import MatteError
    from mattecli.core.imaging.animations import FORMATS
    from mattecli.core.imaging.clips.codecs import CONTAINERS
    from mattecli.core.imaging.clips.pipe_writing import PIPES
    from mattecli.core.imaging.layered import check_library
    from mattecli.core.imaging.writing import LAYERED, check_format
    from mattecli.core.matting.outputs import TRANSPARENT

    kinds = options.kinds
    transparent = bool(TRANSPARENT.intersection(kinds))
    if suffix in CONTAINERS:
        encoding_of(options, clips).check(suffix, transparent=transparent)
    elif suffix in FORMATS:
        if options.bits != 8:
            raise MatteError("animations and files of several pages have 8 bits")
    elif suffix not in PIPES:
        check_format(suffix, options.bits, transparent=transparent, layered=True)
        check_library(suffix)
        if suffix in LAYERED and not {"cutout", "composite"}.issuperset(kinds):
            raise MatteError(f"'{suffix}' files hold cutouts and composites, with their layers")


def is_piped_clip(sources: list[str], raw: str | None) -> bool:
    """Tell whether the input is frames that come through standard input.

    Raises
    ------
    typer.BadParameter
        If what is said of them is not understood, or the input is another.
    """
    from mattecli.core.errors import MatteError
    from mattecli.core.imaging.clips.pipes import RawFrames, standard_input_is_clip

    is_piped = sources == ["-"]
    if raw is None:
        return is_piped and standard_input_is_clip()
    if not is_piped:
        raise typer.BadParameter("--raw is for frames that come through standard input, from -")
    try:
        return bool(RawFrames.parse(raw))
    except MatteError as error:
        raise typer.BadParameter(str(error)) from None


def check_clips_of_folder(output: OutputOptions, options: ClipOptions) -> None:
    """Refuse what the clips among several inputs cannot become.

    Raises
    ------
    typer.BadParameter
        If there is any.
    """
    from mattecli.core.clips.specifying import clip_suffix_of, encoding_of
    from mattecli.core.errors import MatteError
    from mattecli.core.imaging.clips.parts import Range
    from mattecli.core.matting.outputs import TRANSPARENT

    if options.fps is not None:
        raise typer.BadParameter(_FPS)
    try:
        Range.parse(options.start, options.end)
        for kind in output.kinds:
            suffix = clip_suffix_of(kind, options.clip_format)
            encoding_of(output, options).check(suffix, transparent=kind in TRANSPARENT)
    except MatteError as error:
        raise typer.BadParameter(str(error)) from None


def check_clip_options(
    output: OutputOptions, options: ClipOptions, suffix: str, clip: list[str]
) -> None:
    """Refuse times that are none, and options of clips for what is none.

    Parameters
    ----------
    suffix : str
        Of what is written.
    clip : list of str
        The input where it is a clip.

    Raises
    ------
    typer.BadParameter
        If there is any.
    """
    from mattecli.core.errors import MatteError
    from mattecli.core.imaging.clips.codecs import CONTAINERS
    from mattecli.core.imaging.clips.parts import Range
    from mattecli.core.imaging.frame_folders import is_numbered

    try:
        part = Range.parse(options.start, options.end)
    except MatteError as error:
        raise typer.BadParameter(str(error)) from None
    if not part.is_all and not clip:
        raise typer.BadParameter("--start and --end are for clips")
    behind = is_numbered(output.background or "")
    if options.fps is not None and not (clip and (is_numbered(clip[0]) or behind)):
        raise typer.BadParameter(_FPS)
    if options.clip_format is not None:
        raise typer.BadParameter("--clip-format is for the clips of a folder")
    encoded = (options.codec, options.crf, options.bitrate)
    if suffix not in CONTAINERS and any(value is not None for value in encoded):
        raise typer.BadParameter(
            f"--codec, --crf and --bitrate are for {', '.join(CONTAINERS)} files"
        )


def check_frame(output: OutputOptions, frame: FrameOptions) -> None:
    """Refuse what cannot be placed, or nowhere.

    Raises
    ------
    typer.BadParameter
        If options contradict one another, or are not understood.
    """
    from mattecli.core.errors import MatteError
    from mattecli.core.inference.specifying import framing_of

    try:
        framing_of(frame)
    except MatteError as error:
        raise typer.BadParameter(str(error)) from None
    if frame.align != "center" and not frame.places:
        raise typer.BadParameter("--align needs --canvas, --pad or --scale-subject")
    if frame.places and output.crop:
        raise typer.BadParameter("--crop and a canvas are two ways to frame the subject: take one")
    if frame.places and "background" in output.kinds:
        raise typer.BadParameter("--save background has no subject that goes on a canvas")
    if frame.shadow and not {"cutout", "composite"}.intersection(output.kinds):
        raise typer.BadParameter("--shadow is for cutouts and composites")


def check_source(
    sources: list[str], of_clip: bool, options: SourceOptions, photos_only: bool
) -> None:
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
    lists = options.hints is not None or options.trimap is not None or options.only_hinted
    if of_clip and (photos_only or lists or options.watch or several):
        raise typer.BadParameter(
            "a clip is cut without --crop, --canvas, --pad, --name, --watch, --preview, --review, "
            "--hints, --trimap and --only-hinted, by a single process"
        )
    if options.only_hinted and not beside:
        raise typer.BadParameter("--only-hinted needs --hints, --keep, --drop, --trimap or --guide")
    alone = len(sources) == 1 and options.from_list is None and Path(sources[0]).is_dir()
    if options.watch and (beside or not alone or several):
        raise typer.BadParameter(
            f"--watch takes a folder, no {beside[0] if beside else '--trimap'}, and a single "
            "process"
        )
    try:
        check_places(options.box, options.point, options.not_point)
    except MatteError as error:
        raise typer.BadParameter(str(error)) from None


def check_review(review: Path | None) -> None:
    """Refuse a review that several processes would write.

    Raises
    ------
    typer.BadParameter
    """
    from mattecli.core.ranks import rank_and_world

    if review is not None and rank_and_world()[1] > 1:
        raise typer.BadParameter("--review is written by a single process")
