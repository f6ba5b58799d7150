"""What the options of ``matte predict`` mean together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import typer

from mattecli.cli.destination import clip_suffix, is_folder, result_suffix
from mattecli.cli.predict_checks import (
    check_clip_options,
    check_clips_of_folder,
    check_frame,
    check_review,
    check_source,
    check_usage,
    is_piped_clip,
)
from mattecli.core.clips.options import ClipContainer, ClipOptions, Codec
from mattecli.core.inference.options import Align, Format, FrameOptions, Kind, OutputOptions
from mattecli.core.inference.source_options import SourceOptions, SubjectChoice


class Usage(NamedTuple):
    """What the options mean together: whether IN is a clip, format and place of the results."""

    of_clip: bool
    suffix: str
    into_folder: bool


def _takes_folder(sources: list[str], out: str, from_list: Path | None) -> bool:
    """Tell whether OUT is a folder for results; several inputs need one."""
    if not sources and from_list is None:
        raise typer.BadParameter("name what to cut and where it goes: matte predict IN… OUT")
    if len(sources) == 1 and from_list is None:
        return is_folder(sources[0], out)
    if "-" in sources:
        raise typer.BadParameter("stdin holds a single photo, and goes with no other input")
    try:
        return is_folder(os.curdir, out)
    except typer.BadParameter:
        raise typer.BadParameter(
            f"several inputs need a folder for results, behind them, not {out}"
        ) from None


def _place_of(
    sources: list[str],
    out: str,
    from_list: Path | None,
    image_format: Format | None,
    raw: str | None,
) -> Usage:
    """Tell by IN, OUT and --format alone what is made of a clip or photos, and where."""
    from mattecli.core.imaging.animations import FORMATS, has_several, moving_format
    from mattecli.core.imaging.clips.codecs import CONTAINERS
    from mattecli.core.imaging.clips.pipe_writing import PIPES
    from mattecli.core.imaging.clips.reading import is_clip
    from mattecli.core.imaging.frame_folders import is_numbered

    alone = len(sources) == 1 and from_list is None
    in_numbers = is_numbered(out)
    moving = moving_format(sources[0], out) if alone and not in_numbers else None
    clip = is_piped_clip(sources, raw) and from_list is None
    if alone:
        clip = clip or is_clip(sources[0]) or is_numbered(sources[0])
        clip = clip or (in_numbers and has_several(Path(sources[0])))
    if moving or clip:
        suffix = moving or clip_suffix(out, image_format, bare=raw is not None)
        if moving and image_format:
            raise typer.BadParameter(f"--format {image_format} contradicts {out}")
        return Usage(True, suffix, suffix not in (*CONTAINERS, *FORMATS, *PIPES))
    into_folder = _takes_folder(sources, out, from_list)
    return Usage(False, result_suffix(out, image_format, into_folder), into_folder)


def usage_of(
    sources: list[str] | None,
    out: str,
    from_list: Path | None,
    null: bool,
    name: str | None,
    save: list[Kind],
    image_format: Format | None,
    bits: int,
    background: str | None,
    crop: bool,
    canvas: str | None,
    pad: str | None,
    align: Align,
    scale_subject: str | None,
    shadow: bool,
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
    only_hinted: bool,
    review: Path | None,
    quality: int | None,
    start: str | None,
    end: str | None,
    fps: float | None,
    codec: Codec | None,
    crf: int | None,
    bitrate: str | None,
    clip_format: ClipContainer | None,
    raw: str | None,
) -> Usage:
    """Understand what is wanted, or refuse at once what could only fail later.

    Raises
    ------
    typer.BadParameter
        If options contradict one another, or IN or OUT.
    """
    if null and from_list is None:
        raise typer.BadParameter("-0 says how --from-list is to be read")
    sources = list(sources or ())
    usage = _place_of(sources, out, from_list, image_format, raw)
    of_clip, suffix, into_folder = usage
    kinds = [Kind(kind) for kind in save]
    output = OutputOptions(
        kinds,
        name=name,
        image_format=image_format,
        bits=bits,
        background=background,
        crop=crop,
        quality=quality,
    )
    clips = ClipOptions(
        start, end, fps, codec=codec, crf=crf, bitrate=bitrate, clip_format=clip_format
    )
    check_usage(output, clips, suffix, preview and Path(preview), into_folder)
    if not of_clip and into_folder and _are_given(clips) and _hold_clips(sources):
        check_clips_of_folder(output, clips)
    else:
        check_clip_options(output, clips, suffix, sources if of_clip else [])
    frame = FrameOptions(canvas, pad, align, scale_subject, shadow)
    check_frame(output, frame)
    inputs = SourceOptions(
        from_list=from_list,
        box=box,
        point=point,
        not_point=not_point,
        keep=keep,
        drop=drop,
        hints=hints,
        trimap=trimap,
        guide=guide,
        subject=subject,
        only_hinted=only_hinted,
        watch=watch,
    )
    of_photos = any((crop, frame.places, name is not None, preview, review))
    check_source(sources, of_clip, inputs, of_photos)
    check_review(review)
    return usage


def _are_given(options: ClipOptions) -> bool:
    """Tell whether there is an option that is for clips only."""
    given = (options.start, options.end, options.codec, options.crf, options.bitrate)
    return any(value is not None for value in (*given, options.clip_format))


def _hold_clips(sources: list[str]) -> bool:
    """Tell whether any of several inputs is a clip, or a folder with one."""
    from mattecli.core.imaging.clips.reading import is_clip

    return any(
        is_clip(source) or any(is_clip(name) for _, _, names in os.walk(source) for name in names)
        for source in sources
    )
