"""The ``matte`` command: gathers the commands and turns errors into one line and an exit code."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

from mattecli import __version__
from mattecli.cli import build_dataset, composite, doctor, evaluate, export, predict, train, weights
from mattecli.cli.defaults import read_defaults
from mattecli.core.errors import MatteError

_PICTURES, _NETWORKS, _PROGRAM = "Pictures", "Networks", "This program"

app = typer.Typer(
    name="matte",
    help="Cut hair, fur, glass and lace out of photos: alpha mattes and cutouts without a trimap.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"matte {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    context.default_map = read_defaults(context)


app.command("predict", rich_help_panel=_PICTURES)(predict.predict)
app.command("composite", rich_help_panel=_PICTURES)(composite.composite)
app.command("train", rich_help_panel=_NETWORKS)(train.train)
app.command("build-dataset", rich_help_panel=_NETWORKS)(build_dataset.build_dataset)
app.command("evaluate", rich_help_panel=_NETWORKS)(evaluate.evaluate)
app.command("export", rich_help_panel=_NETWORKS)(export.export)
app.add_typer(weights.app, name="weights", rich_help_panel=_NETWORKS)
app.command("doctor", rich_help_panel=_PROGRAM)(doctor.doctor)


def _silence_pillow() -> None:
    """Keep Pillow's warnings of odd metadata from the terminal, here and in worker processes.

    They are no news for the user of a readable file, and would tear the progress bar and a log of
    JSON. A program that imports `mattecli` keeps its own filters.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # Processes that are spawned take over these options, and not the filters.
    names = ("Image", "ImageFile", "TiffImagePlugin", "PngImagePlugin", "JpegImagePlugin")
    sys.warnoptions += [f"ignore:::PIL.{name}" for name in (*names, "GifImagePlugin")]


def main() -> None:
    """Run the command line; exit codes: 0 done, 1 something failed, 2 usage, 130 interrupted."""
    _silence_pillow()
    try:
        app()
    except MatteError as error:
        typer.secho(f"matte: {error}", fg="red", err=True)
        sys.exit(1)
    except ImportError as error:
        typer.secho(f"matte: {error} ('matte doctor' says what to do)", fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.secho("matte: interrupted", fg="yellow", err=True)
        sys.exit(130)
