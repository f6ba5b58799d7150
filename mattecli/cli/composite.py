"""``matte composite``: cutouts onto new backgrounds."""

from __future__ import annotations

import sys
import time
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from mattecli.cli.cluster import check_cluster, chosen_executor
from mattecli.cli.commands import yields_to_what_is_typed
from mattecli.cli.composite_clip import compose_moving
from mattecli.cli.destination import (
    FormatOption,
    QualityOption,
    is_folder,
    result_suffix,
)
from mattecli.cli.option_groups import with_options
from mattecli.cli.status import ExitStatus
from mattecli.core.errors import MatteError
from mattecli.core.inference.options import Format
from mattecli.core.inference.run_options import ClusterOptions
from mattecli.core.objects.paths import located, located_results
from mattecli.core.plain_text import in_one_line

if TYPE_CHECKING:
    from mattecli.core.matting.layout import Layout

_RESULTS, _PLACE, _LIGHT = "Results", "Place", "Light"


class Fit(str, Enum):
    """Ways to fit one picture into the frame of another."""

    cover = "cover"
    contain = "contain"
    stretch = "stretch"


class Canvas(str, Enum):
    """Whose frame the composite has."""

    foreground = "foreground"
    background = "background"


def _default_out(foreground: str, background: str, image_format: Format | None) -> str:
    """Name the result after what it is made of; what came through a pipe leaves through one."""
    from mattecli.core.imaging.walking import stands_for_folder

    if foreground == "-":
        return "-"
    if stands_for_folder(foreground) or stands_for_folder(background):
        return "composites/"
    suffix = image_format if image_format else "png"
    return f"{located(foreground).stem}_{_stem_of(background)}.{suffix}"


def _stem_of(background: str) -> str:
    place = located(background)
    return place.stem if place.is_file() else background.lstrip("#")


def _layout_of(
    canvas: Canvas,
    fit: Fit | None,
    scale: float,
    position: str,
    linear: bool,
    match: bool,
    shadow: bool,
) -> Layout:
    from mattecli.core.matting.layout import Layout
    from mattecli.core.matting.placing import parse_position

    return Layout(
        canvas.value,
        fit.value if fit else None,
        scale,
        parse_position(position),
        linear,
        match,
        shadow,
    )


def _place_of(
    foreground: str, background: str, out: str | None, image_format: Format | None
) -> tuple[str, str, bool, bool]:
    """Give OUT, its format, whether there are several backgrounds, and whether OUT is a folder."""
    from mattecli.core.imaging.walking import stands_for_folder

    out = out or _default_out(foreground, background, image_format)
    several = stands_for_folder(background)
    into_folder = is_folder(background if several and foreground != "-" else foreground, out)
    if several and not into_folder:
        raise typer.BadParameter("several backgrounds need a folder for results")
    return out, result_suffix(out, image_format, into_folder), several, into_folder


def _check(foreground: str, background: str, out: str | None, image_format: Format | None) -> None:
    from mattecli.core.clips.compositing import moving_suffix
    from mattecli.core.imaging.writing import check_format

    try:
        moving = moving_suffix(foreground, background, out)
    except MatteError as error:
        raise typer.BadParameter(str(error)) from None
    if moving is not None:
        if image_format is not None:
            raise typer.BadParameter("--format is for pictures: name a file such as result.mp4")
        return
    suffix = _place_of(foreground, background, out, image_format)[1]
    try:
        check_format(suffix, 8, transparent=False)
    except MatteError as error:
        raise typer.BadParameter(str(error)) from None


@yields_to_what_is_typed(
    _check,
    {"foreground": "cutout.png", "background": "white"},
    {"foreground": ".", "background": "white"},
)
@with_options(cluster=ClusterOptions)
def composite(
    foreground: Annotated[
        str,
        typer.Argument(
            metavar="FG",
            help="A cutout with transparency, a clip or a folder of them, or - for stdin.",
        ),
    ],
    background: Annotated[
        str,
        typer.Argument(metavar="BG", help="A color, a picture, a clip, or a folder of pictures."),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="OUT",
            help="A file such as result.png, - for stdout, or a folder.",
            show_default="FG_BG.png here, or composites/ for folders",
            rich_help_panel=_RESULTS,
        ),
    ] = None,
    canvas: Annotated[
        Canvas,
        typer.Option(
            help="Whose frame the result has. A color takes on the cutout's.",
            rich_help_panel=_PLACE,
        ),
    ] = Canvas.foreground,
    fit: Annotated[
        Fit | None,
        typer.Option(
            help="How the other one is fitted into that frame: fill it, stay inside it, or take "
            "on its proportions.",
            show_default="cover, or contain with --canvas background",
            rich_help_panel=_PLACE,
        ),
    ] = None,
    scale: Annotated[
        float,
        typer.Option(
            min=0.001,
            help="Factor on the size of the cutout after fitting.",
            rich_help_panel=_PLACE,
        ),
    ] = 1.0,
    position: Annotated[
        str,
        typer.Option(
            help="Where the cutout goes: center, top, bottom-left, …, or X,Y as shares of the free "
            "room, 0,0 being the upper left corner.",
            rich_help_panel=_PLACE,
        ),
    ] = "center",
    linear: Annotated[
        bool,
        typer.Option(
            "--linear",
            help="Mix light instead of sRGB values: brighter, truer rims.",
            rich_help_panel=_LIGHT,
        ),
    ] = False,
    match: Annotated[
        bool,
        typer.Option(
            "--match",
            help="Bring the cutout's light and tint nearer to the background.",
            rich_help_panel=_LIGHT,
        ),
    ] = False,
    shadow: Annotated[
        bool,
        typer.Option(
            "--shadow", help="Draw a soft shadow where the subject stands.", rich_help_panel=_LIGHT
        ),
    ] = False,
    image_format: FormatOption = None,
    quality: QualityOption = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Pattern for results in a folder.",
            show_default="{fg}, or {fg}_{bg} with several backgrounds",
            rich_help_panel=_RESULTS,
        ),
    ] = None,
    background_loop: Annotated[
        bool,
        typer.Option(
            "--background-loop/--background-hold",
            help="Begin a background that moves anew at its end, or let its last frame stay.",
            rich_help_panel=_RESULTS,
        ),
    ] = True,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Print errors only, no progress, summary or warnings."),
    ] = False,
    *,
    cluster: ClusterOptions,
) -> None:
    """Lay cutouts onto a color or other pictures.

    A clip of cutouts, or a clip as background, gives a clip.
    Folders give every cutout on every background. 16-bit cutouts give 16-bit results where the
    format can hold them.
    """
    from mattecli.core.clips.compositing import ClipComposite, moving_suffix
    from mattecli.core.inference.composite_run import CompositeTask, plan_composites
    from mattecli.core.progress import progress

    started = time.perf_counter()
    _check(foreground, background, out, image_format)
    if moving_suffix(foreground, background, out) is not None:
        check_cluster(cluster, unfit="composes pictures, not clips")
        place = out or f"{located(foreground).stem}_{_stem_of(background)}.mp4"
        layout = _layout_of(canvas, fit, scale, position, linear, match, shadow)
        compose_moving(
            ClipComposite(
                located(foreground),
                background,
                located_results(place),
                layout,
                quality,
                background_loop,
            ),
            quiet=quiet,
        )
        return
    out, suffix, several, into_folder = _place_of(foreground, background, out, image_format)
    is_piped = "-" in (foreground, out)
    check_cluster(cluster, unfit="takes files and stores, not pipes" if is_piped else "")
    layout = _layout_of(canvas, fit, scale, position, linear, match, shadow)
    jobs = plan_composites(
        located(foreground),
        background,
        located_results(out),
        suffix,
        pattern=(name or ("{fg}_{bg}" if several else "{fg}")) if into_folder else None,
    )
    failed = 0
    with progress(total=len(jobs), quiet=quiet) as bar:
        task = CompositeTask(layout, suffix, quality)
        for composed in chosen_executor(cluster).run(task, jobs):
            bar.update()
            for note in () if quiet else composed.notes:
                bar.write(in_one_line(f"matte: warning: {note}"), file=sys.stderr)
            if composed.error:
                failed += 1
                bar.write(in_one_line(f"matte: {composed.error}"), file=sys.stderr)
    if not quiet:
        parts = f"{len(jobs) - failed} done" + (f", {failed} failed" if failed else "")
        typer.echo(f"{parts} in {time.perf_counter() - started:.1f} s", err=True)
    if failed:
        raise typer.Exit(ExitStatus.FAILURE)
