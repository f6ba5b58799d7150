"""Loading the network beside what else a process does before its first photo.

What is imported, listed and decoded by then takes about as long as loading does.
"""

from __future__ import annotations

import contextlib
import importlib.util
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING

from mattecli.core.device import may_have_gpu, usable_cores

if TYPE_CHECKING:
    from mattecli.core.inference.options import PredictOptions
    from mattecli.core.inference.predictor import Predictor

# What was begun, and nobody has asked for yet.
_begun: dict[tuple[PredictOptions, int], Future[Predictor]] = {}


@contextlib.contextmanager
def preloaded(options: PredictOptions, *, wanted: bool) -> Iterator[None]:
    """Load in a thread what `load_predictor` will be asked for, for a single photo.

    Only the bundled network on the CPU: what PyTorch imports would get in the way of what the
    caller imports. With a single core two threads would wait for each other.

    Parameters
    ----------
    wanted : bool
        Whether it is sure to be asked for.
    """
    on_cpu = options.device == "cpu" or (options.device == "auto" and not may_have_gpu())
    usual = on_cpu and options.weights is None and usable_cores() > 1
    if not wanted or not usual or not importlib.util.find_spec("onnxruntime"):
        yield
        return
    # Modules that two threads import at a time may be seen half done, so these come first.
    from mattecli.core.inference import predictor  # noqa: F401
    from mattecli.core.runtime import bundled_graph, int8, onnxruntime_loading  # noqa: F401

    onnxruntime_loading.load_onnxruntime()
    future: Future[Predictor] = Future()

    def work() -> None:
        try:
            future.set_result(_load(options, 1))
        # Whoever asks for it gets it.
        except BaseException as error:
            future.set_exception(error)

    _begun[options, 1] = future
    threading.Thread(target=work, name="preload").start()
    try:
        yield
    finally:
        _begun.pop((options, 1), None)


def load_predictor(options: PredictOptions, max_concurrency: int = 1) -> Predictor:
    """Load the model that the options ask for, or wait for it where `preloaded` has begun.

    Raises
    ------
    MatteError
        See `load_model`.
    """
    future = _begun.pop((options, max_concurrency), None)
    return future.result() if future else _load(options, max_concurrency)


def _load(options: PredictOptions, max_concurrency: int) -> Predictor:
    from mattecli.core.inference.predictor import Predictor

    return Predictor.load(
        options.weights,
        options.device,
        options.precision,
        options.size,
        two_pass=options.two_pass,
        max_concurrency=max_concurrency,
    )
