"""What to do where memory runs out: halve the batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mattecli.core.device import is_out_of_memory
from mattecli.core.errors import MatteError

#: Runs a network on images of one size, and a map of guidance for each or None.
Forward = Callable[[list[np.ndarray], list[np.ndarray] | None], list[np.ndarray]]


def run_in_halves(
    forward: Forward,
    images: list[np.ndarray],
    guidance: list[np.ndarray] | None,
    name: object,
    *,
    release: Callable[[], None] = lambda: None,
) -> list[np.ndarray]:
    """Run a network; where memory runs out the batch is halved and tried again.

    Parameters
    ----------
    name : object
        What the error calls the network.
    release : callable
        Gives memory back to the device that is held for later.

    Raises
    ------
    MatteError
        If memory does not suffice for a single image.
    """
    try:
        return forward(images, guidance)
    # The exceptions of onnxruntime share no base class of their own.
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Outside the except block, whose traceback would keep the failed batch in memory.
    release()
    if len(images) == 1:
        height, width = images[0].shape[:2]
        raise MatteError(
            f"{name}: not enough memory to run it on {width}x{height} pixels: "
            "try a smaller --size or fewer --workers"
        )
    half = len(images) // 2
    parts = [slice(half), slice(half, None)]
    return [
        matte
        for part in parts
        for matte in run_in_halves(
            forward, images[part], guidance and guidance[part], name, release=release
        )
    ]
