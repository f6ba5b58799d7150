"""``matte serve``: an HTTP API and a page, on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mattecli.cli.interruption import graceful_shutdown
from mattecli.cli.option_groups import option_of, with_options
from mattecli.cli.streams import say
from mattecli.core.errors import MatteError
from mattecli.core.inference.options import PredictOptions, RunOptions
from mattecli.core.serving.options import ServeOptions

if TYPE_CHECKING:
    from mattecli.core.serving.running import Listening


@with_options(prediction=PredictOptions, options=ServeOptions)
def serve(
    prediction: PredictOptions,
    options: ServeOptions,
    batch_size: option_of(RunOptions, "batch_size") = None,  # type: ignore[valid-type]
    workers: option_of(RunOptions, "workers") = None,  # type: ignore[valid-type]
) -> None:
    """Serve an HTTP API that cuts photos out, to this machine only unless told.

    Nothing is kept on the disk. Ctrl-C or SIGTERM ends it, once running requests are answered.
    """
    try:
        from mattecli.core.serving.running import serve as run
    except ImportError as error:
        raise MatteError(f"{error}: pip install 'mattecli[serve]' to serve") from None

    def started(listening: Listening) -> None:
        say(f"matte: serving at {listening.link} (Ctrl-C ends it)")

    with graceful_shutdown() as stopped:
        run(
            options,
            prediction,
            RunOptions(batch_size=batch_size, workers=workers),
            started=started,
            stopped=stopped,
        )
