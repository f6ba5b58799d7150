"""The ``matte`` command: gathers the commands and turns errors into one line and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mattecli.cli import build_dataset, composite, doctor, evaluate, export, predict, train, weights
from mattecli.cli.defaults import read_defaults
from mattecli.cli.status import ExitStatus
from mattecli.core.errors import MatteError
from mattecli.version import __version__

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


def main() -> None:
    """Run the command line and exit with an `ExitStatus`."""
    try:
        app()
    except MatteError as error:
        typer.secho(f"matte: {error}", fg="red", err=True)
        sys.exit(ExitStatus.FAILURE)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        typer.secho(f"matte: {place}{error.strerror or error}", fg="red", err=True)
        sys.exit(ExitStatus.FAILURE)
    except ImportError as error:
        typer.secho(f"matte: {error} ('matte doctor' says what to do)", fg="red", err=True)
        sys.exit(ExitStatus.FAILURE)
    except KeyboardInterrupt:
        typer.secho("matte: interrupted", fg="yellow", err=True)
        sys.exit(ExitStatus.INTERRUPTED)
