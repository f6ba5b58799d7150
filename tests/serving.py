"""A server of ours on this machine's loopback address, in a thread of the tests."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mattecli.core.inference.inputs import gather
from mattecli.core.inference.options import PredictOptions
from mattecli.core.inference.planning import plan_jobs
from mattecli.core.inference.run import Settings
from mattecli.core.inference.run_options import RunOptions
from mattecli.core.matting.outputs import OutputSpec
from mattecli.core.serving.folder import FolderPlan
from mattecli.core.serving.options import ServeOptions
from mattecli.core.serving.running import Listening, serve

EXAMPLES = Path(__file__).parents[1] / "examples"


def plan_of(photos: Path, results: Path) -> FolderPlan:
    """Plan to serve a folder and its cutouts."""
    inputs = gather([str(photos)], results)
    jobs = plan_jobs(inputs, results, ("cutout",), ".png", into_folder=True)
    return FolderPlan(photos, jobs, Settings(OutputSpec()))


@contextmanager
def matte_serving(
    *,
    run: RunOptions | None = None,
    plan: FolderPlan | None = None,
    **options: Any,
) -> Iterator[Listening]:
    """Serve on a free port until the block ends, and give where."""
    listening: queue.Queue[Listening | BaseException] = queue.Queue()
    stop = threading.Event()

    def work() -> None:
        try:
            serve(
                ServeOptions(**{"port": 0, **options}),
                PredictOptions(device="cpu"),
                run or RunOptions(),
                plan=plan,
                started=listening.put,
                stopped=stop.is_set,
            )
        except BaseException as error:
            listening.put(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        started = listening.get(timeout=60)
        if isinstance(started, BaseException):
            raise started
        yield started
    finally:
        stop.set()
        thread.join()
