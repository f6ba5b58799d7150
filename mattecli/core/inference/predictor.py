"""From photos to alpha mattes: sizes, batches and devices around the network."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mattecli.core.device import (
    autocast,
    choose_device,
    choose_precision,
    is_cpu,
    is_out_of_memory,
)
from mattecli.core.errors import MatteError
from mattecli.core.imaging.placing import resize
from mattecli.core.inference.refinement import refine
from mattecli.core.network.config import MULTIPLE
from mattecli.core.store import INT8_SUFFIX, find_weights

# Importing torch takes longer than cutting out a photo, and on the CPU it is not needed.
if TYPE_CHECKING:
    import torch

#: Long side in pixels that small photos are enlarged to for the network. On smaller pictures it
#: finds little, and enlarging them further only blurs what it looks at.
LEAST_SIZE = 512

# A sigmoid never quite reaches 0 or 1; what is this close is taken as there. Without it bodies are
# slightly transparent and backgrounds slightly visible.
_SNAP = 0.03


def snap(alpha: torch.Tensor) -> torch.Tensor:
    """Take what is almost 0 or 1 as 0 or 1, and stretch what lies between."""
    return ((alpha - _SNAP) / (1 - 2 * _SNAP)).clamp(0, 1)


class Predictor:
    """The network made ready to run: it takes photos of any size and gives mattes of that size.

    Parameters
    ----------
    network : torch.nn.Module
        Maps a float B×3×H×W image in [0, 1] to a B×1×H×W alpha in [0, 1]; already on `device`.
    device : torch.device
    dtype : torch.dtype, optional
        The type that the network runs in under autocast; float32 if not given.
    size : int, optional
        Long side, in pixels, at which the network sees a photo; by default what the network was
        made for, or for smaller photos their own, but at least `LEAST_SIZE`.
    """

    #: Threads that may call `run` at the same time and gain by it.
    streams = 1
    #: How much larger than usual the network sees every photo.
    scale = 1.0
    #: Whether the network takes photos of any size.
    any_size = True

    def __init__(
        self,
        network: torch.nn.Module,
        device: torch.device,
        dtype: torch.dtype | None = None,
        size: int | None = None,
    ) -> None:
        import torch

        from mattecli.core.network.folding import fold_batch_norm

        self.network = fold_batch_norm(network).to(memory_format=torch.channels_last)
        self._device = device
        self.device_type = device.type
        self.dtype = dtype or torch.float32
        self.size = size or network.config.predict_size
        self.least = size or LEAST_SIZE
        self.multiple = MULTIPLE

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        device: str = "auto",
        precision: str = "auto",
        size: int | None = None,
        streams: int = 1,
    ) -> Predictor:
        """Load weights, by name or as a file and by default the bundled ones, onto a device.

        An ``.onnx`` file may hold any network; it brings its own precision. On the CPU networks
        of the usual architecture run without PyTorch, and if so many threads as `streams` says
        are to run them at the same time, they share the cores. There ``auto`` prefers integers to
        fp32 where they were made for the weights (`load_int8`).

        Raises
        ------
        MatteError
            If there are no such weights, or they cannot run there in that precision.
        """
        path = find_weights(weights)
        if path.suffix == ".onnx":
            from mattecli.core.onnx.predictor import OnnxPredictor

            return OnnxPredictor(path, device, size, streams=streams)
        if precision in ("auto", "fp32", "int8") and is_cpu(device):
            from mattecli.core.onnx.without_torch import load_int8, load_without_torch

            if precision != "fp32" and (predictor := load_int8(path, size, streams)):
                return predictor
            if precision != "int8" and (predictor := load_without_torch(path, size, streams)):
                return predictor
        if precision == "int8":
            raise MatteError(
                f"int8 needs the CPU, and {path.with_suffix(INT8_SUFFIX)} made from the weights: "
                "matte export --int8 PHOTOS writes it"
            )
        from mattecli.core.network.weights import load_network

        chosen = choose_device(device)
        network = load_network(path, chosen)
        return cls(network, chosen, choose_precision(precision, chosen), size)

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._device

    def at_scale(self, scale: float) -> Predictor:
        """Give the same network, looking at every photo so many times as large."""
        other = copy.copy(self)
        other.scale = scale
        return other

    def network_size(self, height: int, width: int) -> tuple[int, int]:
        """Give the (height, width) at which the network sees a photo: multiples of `multiple`."""
        longer = max(height, width)
        scale = self.scale * min(self.size, max(self.least, longer)) / longer
        return self.rounded(scale, height, width)

    def rounded(self, scale: float, height: int, width: int) -> tuple[int, int]:
        """Give (height, width) so many times as large: multiples of `multiple`."""
        return tuple(
            max(self.multiple, round(side * scale / self.multiple) * self.multiple)
            for side in (height, width)
        )

    def shrink(self, image: np.ndarray) -> np.ndarray:
        """Resize a uint8 H×W×3 photo to the size at which the network sees it."""
        height, width = self.network_size(*image.shape[:2])
        return resize(image, height, width)

    def run(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """Run the network on uint8 photos that share one network size.

        Where the device runs out of memory the batch is halved and tried again.

        Returns
        -------
        list of float32 ndarray
            One matte in [0, 1] for every photo, of the photo's size.
        """
        import torch

        try:
            return self._forward(images)
        # An exception of its own has memory on CUDA only.
        except RuntimeError as error:
            if len(images) == 1 or not is_out_of_memory(error):
                raise
        # Outside the except block, whose traceback would keep the failed batch in memory.
        torch.cuda.empty_cache()
        half = len(images) // 2
        return self.run(images[:half]) + self.run(images[half:])

    def predict(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """Predict the mattes of uint8 H×W×3 photos, refined to the size of each photo."""
        by_size: dict[tuple[int, int], list[int]] = {}
        for i, image in enumerate(images):
            by_size.setdefault(self.network_size(*image.shape[:2]), []).append(i)
        mattes: list[np.ndarray] = [np.empty(0)] * len(images)
        for indices in by_size.values():
            seen = [self.shrink(images[i]) for i in indices]
            for i, small, matte in zip(indices, seen, self.run(seen), strict=True):
                mattes[i] = refine(images[i], matte, seen=small)
        return mattes

    def _forward(self, images: list[np.ndarray]) -> list[np.ndarray]:
        import torch

        # Stacked as B×H×W×3 and viewed as B×3×H×W this already has the channels last.
        batch = torch.from_numpy(np.stack(images))
        if self.device.type == "cuda":
            batch = batch.pin_memory()
        batch = batch.to(self.device, non_blocking=True).permute(0, 3, 1, 2).float().div_(255)
        with torch.inference_mode(), autocast(self.device, self.dtype):
            alpha = self.network(batch)
        return list(snap(alpha[:, 0].float()).cpu().numpy())
