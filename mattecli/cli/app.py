"""The ``matte`` command: gathers the commands and turns errors into one line and an exit code."""

from __future__ import annotations

import atexit
import gc
import sys
import warnings
from typing import Annotated, Any

import typer

from mattecli.cli.commands import Group
from mattecli.cli.defaults import DEFAULTS_ERROR, read_defaults
from mattecli.cli.lazy_commands import LazyCommands
from mattecli.cli.status import ExitStatus
from mattecli.cli.streams import prepare_streams, say
from mattecli.core.errors import MatteError, reason_of
from mattecli.version import __version__

_PICTURES, _NETWORKS, _PROGRAM = "Pictures", "Networks", "This program"
_PANELS = {
    "predict": _PICTURES,
    "composite": _PICTURES,
    "serve": _PICTURES,
    "train": _NETWORKS,
    "build-dataset": _NETWORKS,
    "evaluate": _NETWORKS,
    "export": _NETWORKS,
    "weights": _NETWORKS,
    "doctor": _PROGRAM,
}


class _Program(Group):
    """The program with its commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = LazyCommands(_PANELS)

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the commands."""
        return list(self.commands)


app = typer.Typer(
    name="matte",
    cls=_Program,
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
    # What looks for what is wrong must not be stopped by it; it has no options, and says so itself.
    if context.invoked_subcommand != "doctor":
        try:
            context.default_map = read_defaults(context)
        except (MatteError, typer.BadParameter) as error:
            # Nor must help; whatever else is asked for raises it.
            context.meta[DEFAULTS_ERROR] = error


def _silence_pillow() -> None:
    """Keep Pillow's warnings of odd metadata from the terminal, here and in worker processes.

    They are no news for the user of a readable file, and would tear the progress bar and a log of
    JSON. A program that imports `mattecli` keeps its own filters.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # Processes that are spawned take over these options, and not the filters.
    names = ("Image", "ImageFile", "TiffImagePlugin", "PngImagePlugin", "JpegImagePlugin")
    sys.warnoptions += [f"ignore:::PIL.{name}" for name in (*names, "GifImagePlugin")]


def _without_torch(error: ImportError) -> str:
    """Say what a light installation lacks, if that is it."""
    from mattecli.core.extras import is_light

    if error.name not in ("torch", "torchvision", "timm") or not is_light():
        return ""
    return "this needs PyTorch, and this installation has none: pip install mattecli"


def main() -> None:
    """Run the command line and exit with an `ExitStatus`."""
    prepare_streams()
    _silence_pillow()
    # Python would look for garbage once more at its end, a second long where PyTorch was loaded.
    atexit.register(gc.freeze)
    try:
        app()
    except MatteError as error:
        say(f"matte: {error}", color="red")
        sys.exit(ExitStatus.FAILURE)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        say(f"matte: {place}{error.strerror or error}", color="red")
        sys.exit(ExitStatus.FAILURE)
    except MemoryError as error:
        say(f"matte: {reason_of(error, 'the computer')}", color="red")
        sys.exit(ExitStatus.FAILURE)
    except ImportError as error:
        say(
            f"matte: {_without_torch(error) or error} ('matte doctor' says what to do)", color="red"
        )
        sys.exit(ExitStatus.FAILURE)
    except KeyboardInterrupt:
        say("matte: interrupted", color="yellow")
        sys.exit(ExitStatus.INTERRUPTED)
