"""Our networks in PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mattecli.core.device import autocast
from mattecli.core.matting.placing import resize
from mattecli.core.network.config import MULTIPLE
from mattecli.core.runtime.halving import run_in_halves
from mattecli.core.runtime.matte_checking import check_matte
from mattecli.core.runtime.sizing import MIN_SIZE, Sizing

# Importing torch takes longer than cutting out a photo, and on the CPU it is not needed.
if TYPE_CHECKING:
    import torch

# A sigmoid never quite reaches 0 or 1; alpha this close to them is taken as 0 or 1. Without it
# bodies are slightly transparent and backgrounds slightly visible.
_EXTREME_MARGIN = 0.03


def clamp_extremes(alpha: torch.Tensor) -> torch.Tensor:
    """Set alpha close to 0 or 1 to 0 or 1, and stretch what lies between."""
    return ((alpha - _EXTREME_MARGIN) / (1 - 2 * _EXTREME_MARGIN)).clamp(0, 1)


class TorchModel:
    """A `MattingModel` that runs in PyTorch.

    Parameters
    ----------
    network : torch.nn.Module
        Maps a float B×3×H×W image in [0, 1] to a B×1×H×W alpha in [0, 1]; already on `device`.
    device : torch.device
    dtype : torch.dtype, optional
        The type that the network runs in under autocast; float32 if not given.
    size : int, optional
        Long side of the input in pixels; by default what the network was made for, or for smaller
        photos their own, but at least `MIN_SIZE`.
    """

    max_concurrency = 1
    batch_one = False

    def __init__(
        self,
        network: torch.nn.Module,
        device: torch.device,
        dtype: torch.dtype | None = None,
        size: int | None = None,
    ) -> None:
        import torch

        from mattecli.core.network.folding import fold_batch_norm

        # With channels last cuDNN compiles kernels for every shape of a batch, 2.4 to 5 s each on
        # an H100, and photos of a folder have many.
        last = device.type != "cuda"
        self._layout = torch.channels_last if last else torch.contiguous_format
        self.network = fold_batch_norm(network).to(memory_format=self._layout)
        self.dtype = dtype or torch.float32
        self.device_type = device.type
        self.takes_guidance = network.config.guidance
        self.sizing = Sizing(
            size or network.config.predict_size,
            size or network.config.first_pass_size or MIN_SIZE,
            MULTIPLE,
            first_pass_size=network.config.first_pass_size,
        )
        self._device = device

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._device

    def prepare(self, image: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        """Resize a uint8 H×W×3 photo for the network."""
        return resize(image, *(size or self.sizing.input_size(*image.shape[:2])))

    def infer(
        self, images: list[np.ndarray], guidance: list[np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Run the network on uint8 photos of one size; see `MattingModel`.

        Where the device runs out of memory the batch is halved and tried again.
        """
        import torch

        return run_in_halves(
            self._forward, images, guidance, "the network", release=torch.cuda.empty_cache
        )

    def _forward(
        self, images: list[np.ndarray], guidance: list[np.ndarray] | None
    ) -> list[np.ndarray]:
        import torch

        # Stacked as B×H×W×3 and viewed as B×3×H×W this already has the channels last.
        batch = torch.from_numpy(np.stack(images))
        if self.device_type == "cuda":
            batch = batch.pin_memory()
        batch = batch.to(self.device, non_blocking=True).permute(0, 3, 1, 2).float().div_(255)
        batch = batch.contiguous(memory_format=self._layout)
        maps = []
        if guidance and self.takes_guidance:
            maps.append(torch.from_numpy(np.stack(guidance)).to(self.device, non_blocking=True))
        with torch.inference_mode(), autocast(self.device, self.dtype):
            alpha = self.network(batch, *maps)
        mattes = list(clamp_extremes(alpha[:, 0].float()).cpu().numpy())
        return [check_matte(matte, images[0].shape, "the network") for matte in mattes]
