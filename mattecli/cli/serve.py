"""``matte serve``: a page and an HTTP API, on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from mattecli.cli.interruption import graceful_shutdown
from mattecli.cli.option_groups import option_of, with_options
from mattecli.cli.predict_checks import check_frame, check_usage
from mattecli.cli.predict_plan import Made
from mattecli.cli.streams import say
from mattecli.core.clips.options import ClipOptions
from mattecli.core.errors import MatteError
from mattecli.core.extras import needs_extra
from mattecli.core.inference.options import EdgeOptions, FrameOptions, OutputOptions, PredictOptions
from mattecli.core.inference.run_options import RunOptions
from mattecli.core.serving.options import ServeOptions

if TYPE_CHECKING:
    from mattecli.core.serving.folder import FolderPlan
    from mattecli.core.serving.running import Listening


@with_options(
    options=ServeOptions,
    output=OutputOptions,
    frame=FrameOptions,
    edges=EdgeOptions,
    prediction=PredictOptions,
)
def serve(
    options: ServeOptions,
    output: OutputOptions,
    frame: FrameOptions,
    edges: EdgeOptions,
    prediction: PredictOptions,
    photos: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(metavar="PHOTOS", help="A folder of photos to look through."),
    ] = None,
    results: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(
            metavar="RESULTS",
            help="The folder of their results, as of matte predict PHOTOS RESULTS; photos that "
            "have none are cut. PHOTOS-cutouts if not given.",
        ),
    ] = None,
    batch_size: option_of(RunOptions, "batch_size") = None,  # type: ignore[valid-type]
    workers: option_of(RunOptions, "workers") = None,  # type: ignore[valid-type]
    open_page: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option(
            "--open/--no-open",
            help="Open the page in the browser.",
            show_default="where there is a screen",
        ),
    ] = None,
) -> None:
    """Serve a page to cut photos out and correct them, and an HTTP API, to this machine only.

    With PHOTOS the page lists the results least sure first; corrected ones are written in their
    place, photos never. Options of results are for that folder. Ctrl-C or SIGTERM ends it, once
    running requests are answered.
    """
    with needs_extra("matte serve", "serve"):
        from mattecli.core.serving.running import serve as run

    _check_values(output, frame)
    plan = None
    if photos is not None:
        plan = _plan(photos, results, Made("", output, frame, edges), prediction, options)

    def started(listening: Listening) -> None:
        # A token that was given is known, and is not for the log.
        shown = listening.link if options.token is None else f"{listening.address}/"
        say(f"matte: serving at {shown} (Ctrl-C ends it)")
        if _has_screen() if open_page is None else open_page:
            import webbrowser

            webbrowser.open(listening.link)

    with graceful_shutdown() as stopped:
        run(
            options,
            prediction,
            RunOptions(batch_size=batch_size, workers=workers),
            plan=plan,
            started=started,
            stopped=stopped,
        )


def _check_values(output: OutputOptions, frame: FrameOptions) -> None:
    """Refuse what could only fail photo by photo."""
    if output.bits not in (8, 16):
        raise typer.BadParameter("--bits is 8 or 16")
    if output.named:
        raise typer.BadParameter("--output is for matte predict: the page shows one of them")
    check_usage(output, ClipOptions(), f".{output.image_format or 'png'}", None, into_folder=True)
    check_frame(output, frame)


def _plan(
    photos: Path,
    results: Path | None,
    made: Made,
    prediction: PredictOptions,
    options: ServeOptions,
) -> FolderPlan:
    from mattecli.core.errors import not_found
    from mattecli.core.inference.inputs import gather
    from mattecli.core.inference.planning import plan_jobs
    from mattecli.core.inference.run import settings_of
    from mattecli.core.inference.specifying import output_spec
    from mattecli.core.serving.folder import FolderPlan

    if photos.is_file():
        raise MatteError(f"{photos} is a file: name its folder")
    if not photos.is_dir():
        raise not_found(photos)
    whole = photos.resolve()
    out = results or whole.with_name(f"{whole.name}-cutouts")
    output, suffix = made.output, f".{made.output.image_format or 'png'}"
    inputs = gather([str(photos)], out)
    if not inputs.photos:
        raise MatteError(f"{photos} holds no pictures")
    jobs = plan_jobs(inputs, out, output.kinds, suffix, into_folder=True, name=output.name)
    spec = output_spec(output, made.frame, made.edges)
    settings = settings_of(output, prediction.refine, suffix, spec, options.max_pixels)
    return FolderPlan(photos, jobs, settings)


def _has_screen() -> bool:
    """Tell whether a browser could show a page to whoever has started the program."""
    if not sys.stderr.isatty():
        return False
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
