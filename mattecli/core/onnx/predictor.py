"""Networks from ONNX files in the place of our own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from mattecli.core.device import is_out_of_memory
from mattecli.core.errors import MatteError
from mattecli.core.inference.predictor import Predictor
from mattecli.core.onnx.convention import find_convention
from mattecli.core.onnx.session import open_session

if TYPE_CHECKING:
    import torch

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxPredictor(Predictor):
    """A predictor whose network is an ONNX file: one picture in, a matte among what comes out.

    Parameters
    ----------
    path : Path
    device : str
        See `open_session`.
    size : int, optional
        Overrides the size of the file's convention.
    weights : dict of ndarray, optional
        What the file has only names for.
    streams : int
        Threads that will run the network at the same time, if it is on the CPU.

    Raises
    ------
    MatteError
        If the file cannot be loaded, or is no network of that kind.
    """

    def __init__(
        self,
        path: Path,
        device: str = "auto",
        size: int | None = None,
        weights: dict[str, np.ndarray] | None = None,
        streams: int = 1,
    ) -> None:
        self.session = open_session(path, device, weights, streams)
        self.path = path
        self.convention = find_convention(
            path, self.session.get_modelmeta().custom_metadata_map or {}
        )
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        if len(inputs) != 1:
            names = ", ".join(entry.name for entry in inputs)
            raise MatteError(f"{path} takes {len(inputs)} inputs ({names}), not one picture")
        shape = [side if isinstance(side, int) else None for side in inputs[0].shape]
        if len(shape) != 4 or shape[1] not in (3, None) or inputs[0].type not in _TYPES:
            raise MatteError(
                f"{path} takes {inputs[0].type} of shape {inputs[0].shape}, "
                "not floats of shape batch, 3, height, width"
            )
        if not 0 <= self.convention.output < len(outputs):
            raise MatteError(
                f"{path} has {len(outputs)} outputs, none of number {self.convention.output}"
            )
        self.input = inputs[0]
        self.one_by_one = shape[0] == 1
        self.fixed = (shape[2], shape[3]) if shape[2] and shape[3] else None
        if size and self.fixed and self.fixed != (size, size):
            raise MatteError(
                f"{path} takes {shape[3]}x{shape[2]} pixels only, whatever --size says"
            )
        self.size = size or self.convention.size
        self.least = size or self.convention.least or self.size
        self.multiple = self.convention.multiple
        self.any_size = not (self.fixed or self.convention.square)
        on_cuda = "CUDAExecutionProvider" in self.session.get_providers()
        self.device_type = "cuda" if on_cuda else "cpu"
        self.streams = 1 if on_cuda else streams

    @property
    def device(self) -> torch.device:
        """Where the network runs, in PyTorch's terms."""
        import torch

        return torch.device(self.device_type)

    def network_size(self, height: int, width: int) -> tuple[int, int]:
        """Give the (height, width) at which the network sees a photo."""
        if self.fixed:
            return self.fixed
        if self.convention.square:
            return self.size, self.size
        return super().network_size(height, width)

    def shrink(self, image: np.ndarray) -> np.ndarray:
        """Resize a uint8 H×W×3 photo to the size at which the network sees it."""
        if self.convention.resample == "area":
            return super().shrink(image)
        height, width = self.network_size(*image.shape[:2])
        return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))

    def run(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """Run the network on uint8 photos that share one network size.

        Where memory runs out the batch is halved and tried again.

        Raises
        ------
        MatteError
            If memory does not suffice for a single photo, or what comes out is no matte.
        """
        try:
            return self._forward(images)
        # The exceptions of onnxruntime share no base class of their own.
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Outside the except block, whose traceback would keep the failed batch in memory.
        if len(images) == 1:
            height, width = images[0].shape[:2]
            raise MatteError(
                f"{self.path}: not enough memory to run it on {width}x{height} pixels: "
                "try a smaller --size or fewer --workers"
            )
        half = len(images) // 2
        return self.run(images[:half]) + self.run(images[half:])

    def _forward(self, images: list[np.ndarray]) -> list[np.ndarray]:
        batch = np.concatenate([self.input_of(image) for image in images])
        parts = np.split(batch, len(batch)) if self.one_by_one else [batch]
        wanted = [self.session.get_outputs()[self.convention.output].name]
        results = [self.session.run(wanted, {self.input.name: part})[0] for part in parts]
        return [self._matte(result) for part in results for result in part]

    def input_of(self, image: np.ndarray) -> np.ndarray:
        """Turn a uint8 H×W×3 photo into the 1×3×H×W that the network wants."""
        form = self.convention
        top = max(int(image.max()), 1) if form.divide_by_max else 255
        planes = cv2.split(image)
        values = np.stack(planes[::-1] if form.channels == "bgr" else planes).astype(np.float32)
        values /= np.float32(top)
        values -= np.float32(form.mean)[:, None, None]
        values /= np.float32(form.std)[:, None, None]
        return values[None].astype(_TYPES[self.input.type], copy=False)

    def _matte(self, result: np.ndarray) -> np.ndarray:
        """One picture's share of the output to a float32 h×w matte in [0, 1]."""
        if result.ndim < 2 or result.size != np.prod(result.shape[-2:]):
            raise MatteError(
                f"{self.path}: output {self.convention.output} has the shape {result.shape} for a "
                "picture, which is no matte: choose another with 'output' in "
                f"{self.path.with_suffix('.toml').name}"
            )
        matte = result.reshape(result.shape[-2:]).astype(np.float32)
        if self.convention.activation == "sigmoid":
            matte = 1 / (1 + np.exp(-matte))
        if self.convention.min_max:
            low, high = matte.min(), matte.max()
            matte = (matte - low) / max(high - low, np.float32(1e-6))
        return np.clip(matte, 0, 1)
