"""The ``matte`` command: gathers the commands and turns errors into one line and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mattecli import __version__
from mattecli.cli import build_dataset, composite, doctor, evaluate, export, predict, train, weights
from mattecli.core.errors import MatteError

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
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


app.command("predict")(predict.predict)
app.command("composite")(composite.composite)
app.command("train")(train.train)
app.command("build-dataset")(build_dataset.build_dataset)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("doctor")(doctor.doctor)
app.add_typer(weights.app, name="weights")


def main() -> None:
    """Run the command line; exit codes: 0 done, 1 something failed, 2 usage, 130 interrupted."""
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
