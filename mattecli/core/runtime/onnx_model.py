"""Networks from ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from mattecli.core.errors import MatteError
from mattecli.core.matting.placing import resize
from mattecli.core.network.config import GUIDANCE_CHANNELS
from mattecli.core.runtime.halving import run_in_halves
from mattecli.core.runtime.matte_checking import check_matte
from mattecli.core.runtime.preprocessing import find_spec
from mattecli.core.runtime.providers import running_kind
from mattecli.core.runtime.session import open_session
from mattecli.core.runtime.sizing import Sizing

if TYPE_CHECKING:
    import torch

#: Name of the second input of networks that take guidance.
GUIDANCE_INPUT = "guidance"

_GIVEN = ("tensor(float)", "tensor(float16)", "tensor(double)")
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxModel:
    """A `MattingModel` from an ONNX file: one picture in, a matte among what comes out.

    Parameters
    ----------
    path : Path
    device : str
        See `open_session`.
    size : int, optional
        Overrides the size of the file's preprocessing spec.
    weights : dict of ndarray, optional
        What the file has only names for.
    max_concurrency : int
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
        max_concurrency: int = 1,
    ) -> None:
        self.path = path
        self.session = open_session(path, device, weights, max_concurrency)
        self.spec = find_spec(path, self.session.get_modelmeta().custom_metadata_map or {})
        self.input, shape = self._check_graph()
        self.batch_one = shape[0] == 1
        self.sizing = self._sizing(shape, size)
        self.device_type = running_kind(self.session.get_providers())
        self.max_concurrency = max_concurrency if self.device_type == "cpu" else 1

    def _check_graph(self) -> tuple[Any, list[int | None]]:
        """Give the input, and its shape with None for what is free."""
        path = self.path
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        self.takes_guidance = len(inputs) == 2 and inputs[1].name == GUIDANCE_INPUT
        if len(inputs) != 1 and not self.takes_guidance:
            names = ", ".join(entry.name for entry in inputs)
            raise MatteError(f"{path} takes {len(inputs)} inputs ({names}), not one picture")
        shape = [side if isinstance(side, int) else None for side in inputs[0].shape]
        if len(shape) != 4 or shape[1] not in (3, None) or inputs[0].type not in _TYPES:
            raise MatteError(
                f"{path} takes {inputs[0].type} of shape {inputs[0].shape}, "
                "not floats of shape batch, 3, height, width"
            )
        if not 0 <= self.spec.output < len(outputs):
            raise MatteError(
                f"{path} has {len(outputs)} outputs, none of number {self.spec.output}"
            )
        given = outputs[self.spec.output].type
        if given not in _GIVEN:
            raise MatteError(
                f"{path}: output {self.spec.output} gives {given}, not floats, which a matte is "
                "made of"
            )
        return inputs[0], shape

    def _sizing(self, shape: list[int | None], size: int | None) -> Sizing:
        fixed = (shape[2], shape[3]) if shape[2] and shape[3] else None
        if size and fixed and fixed != (size, size):
            raise MatteError(
                f"{self.path} takes {fixed[1]}x{fixed[0]} pixels only, whatever --size says"
            )
        usual = size or self.spec.size
        smallest = size or self.spec.min_size or usual
        return Sizing(
            usual,
            smallest,
            self.spec.multiple,
            self.spec.square,
            fixed,
            first_pass_size=self.spec.first_pass_size,
        )

    @property
    def device(self) -> torch.device:
        """Where the network runs, in PyTorch's terms."""
        import torch

        # PyTorch does not know the others, and gets their results from memory.
        return torch.device(self.device_type if self.device_type == "cuda" else "cpu")

    def prepare(self, image: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        """Resize a uint8 H×W×3 photo for the network."""
        height, width = size or self.sizing.input_size(*image.shape[:2])
        if self.spec.resample == "area":
            return resize(image, height, width)
        return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))

    def infer(
        self, images: list[np.ndarray], guidance: list[np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Run the network on uint8 photos of one size; see `MattingModel`.

        Where memory runs out the batch is halved and tried again.
        """
        return run_in_halves(self._forward, images, guidance, self.path)

    def _forward(
        self, images: list[np.ndarray], guidance: list[np.ndarray] | None
    ) -> list[np.ndarray]:
        inputs = self.to_inputs(images, guidance)
        parts = [inputs]
        if self.batch_one:
            parts = [
                {name: values[i : i + 1] for name, values in inputs.items()}
                for i in range(len(images))
            ]
        wanted = [self.session.get_outputs()[self.spec.output].name]
        results = [self.session.run(wanted, part)[0] for part in parts]
        found = [result for part in results for result in part]
        if len(found) != len(images):
            raise MatteError(f"{self.path} gave {len(found)} mattes for {len(images)} pictures")
        return [
            self._to_matte(result, image.shape) for result, image in zip(found, images, strict=True)
        ]

    def to_inputs(
        self, images: list[np.ndarray], guidance: list[np.ndarray] | None
    ) -> dict[str, np.ndarray]:
        """Turn what `infer` takes into the inputs of the session, by name."""
        inputs = {self.input.name: np.concatenate([self.to_input(image) for image in images])}
        if self.takes_guidance:
            inputs[GUIDANCE_INPUT] = (
                np.stack(guidance)
                if guidance
                else np.zeros((len(images), GUIDANCE_CHANNELS, *images[0].shape[:2]), np.float32)
            )
        return inputs

    def to_input(self, image: np.ndarray) -> np.ndarray:
        """Turn a uint8 H×W×3 photo into the 1×3×H×W that the network wants."""
        spec = self.spec
        top = max(int(image.max()), 1) if spec.divide_by_max else 255
        planes = cv2.split(image)
        values = np.stack(planes[::-1] if spec.channels == "bgr" else planes).astype(np.float32)
        values /= np.float32(top)
        values -= np.array(spec.mean, np.float32)[:, None, None]
        values /= np.array(spec.std, np.float32)[:, None, None]
        return values[None].astype(_TYPES[self.input.type], copy=False)

    def _to_matte(self, result: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """One picture's share of the output to a float32 h×w matte in [0, 1]."""
        if result.ndim < 2 or result.size != np.prod(result.shape[-2:]):
            raise MatteError(
                f"{self.path}: output {self.spec.output} has the shape {result.shape} for a "
                "picture, which is no matte: choose another with 'output' in "
                f"{self.path.with_suffix('.toml').name}"
            )
        matte = result.reshape(result.shape[-2:]).astype(np.float32)
        matte = check_matte(matte, shape, str(self.path))
        if self.spec.activation == "sigmoid":
            # Beyond that it is 0 or 1 to single precision, and the power overflows.
            matte = 1 / (1 + np.exp(-matte.clip(-80, 80)))
        if self.spec.min_max:
            low, high = matte.min(), matte.max()
            matte = (matte - low) / max(high - low, np.float32(1e-6))
        return np.clip(matte, 0, 1)
