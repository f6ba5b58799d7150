"""The protocol of models that are ready to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from mattecli.core.runtime.sizing import Sizing

if TYPE_CHECKING:
    import torch


class MattingModel(Protocol):
    """A network on its device: it takes prepared photos and gives their mattes.

    Attributes
    ----------
    sizing : Sizing
        Sizes of its input.
    device_type : str
        ``cpu``, ``cuda`` or ``mps``, known without importing PyTorch.
    max_concurrency : int
        Threads that may call `infer` at the same time and gain by it.
    batch_one : bool
        Whether the network takes a single photo at a time; `infer` takes several all the same.
    takes_guidance : bool
        Whether the network takes guidance.
    """

    sizing: Sizing
    device_type: str
    max_concurrency: int
    batch_one: bool
    takes_guidance: bool

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        ...

    def prepare(self, image: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        """Resize a uint8 H×W×3 photo for the network.

        Parameters
        ----------
        size : (height, width), optional
            By default what `sizing` says.
        """
        ...

    def infer(
        self, images: list[np.ndarray], guidance: list[np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Run the network on prepared photos or crops of them, uint8 h×w×3, all of one size.

        Parameters
        ----------
        guidance : list of float32 ndarray of shape (2, h, w), in [-1, 1], optional
            One map for every image, see :mod:`mattecli.core.network.guidance`. Models that do not
            take any ignore it.

        Returns
        -------
        list of float32 ndarray of shape (h, w), in [0, 1]
        """
        ...
