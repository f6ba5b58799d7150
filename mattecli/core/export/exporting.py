"""Our networks as ONNX files, held against PyTorch before they are written."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mattecli.core.errors import MatteError
from mattecli.core.export.padding import fold_padding, with_constant_padding
from mattecli.core.export.quantizing import OLDEST_OPSET, fused, quantize
from mattecli.core.extras import needs_extra
from mattecli.core.network.building import build_network
from mattecli.core.network.config import GUIDANCE_CHANNELS, MULTIPLE, NetworkConfig
from mattecli.core.runtime.int8 import SOURCE_KEY
from mattecli.core.runtime.named_weights import INT8_SUFFIX, digest
from mattecli.core.runtime.onnx_model import GUIDANCE_INPUT
from mattecli.core.runtime.preprocessing import METADATA_KEY, PRESETS, PreprocessingSpec
from mattecli.core.runtime.session import open_session
from mattecli.core.runtime.sizing import MIN_SIZE
from mattecli.core.runtime.torch_model import clamp_extremes
from mattecli.core.storage import write_whole
from mattecli.version import __version__

#: What the tracing exporter can write.
OPSETS = range(11, 21)
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Exported:
    """What was written: its size in bytes, and how far from PyTorch it was on how many pictures.

    `int8_difference` is the mean difference of alpha between int8 and float32 on the photos.
    """

    size: int
    difference: float
    pictures: int
    int8_difference: float | None = None


class _Portable(nn.Module):
    """The network with its pre- and postprocessing, so that clients need neither."""

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, image: Tensor, guidance: Tensor | None = None) -> Tensor:
        """B×3×H×W, normalized by mean and std, to alpha B×1×H×W in [0, 1].

        `guidance`, B×2×H×W, is for networks that take it.
        """
        extra = () if guidance is None else (guidance,)
        return clamp_extremes(self.network(image * self.std + self.mean, *extra))


def export(
    network: nn.Module,
    path: Path,
    *,
    opset: int = 17,
    size: tuple[int, int] | None = None,
    rembg: bool = False,
    photos: list[Path] | None = None,
    weights: Path | None = None,
) -> Exported:
    """Write a network as an ONNX file from RGB in [0, 1], B×3×H×W, to alpha, B×1×H×W.

    Parameters
    ----------
    network : torch.nn.Module
        On the CPU and in eval mode, as `load_network` gives it.
    opset : int
        One of `OPSETS`.
    size : (height, width), optional
        Fixes the input to one picture of this size; otherwise batch, height and width are free.
    rembg : bool
        Take pictures as rembg prepares them for its U²-Net sessions.
    photos : list of Path, optional
        Quantize to int8; the photos calibrate the ranges of values (see `quantize`).
    weights : Path, optional
        The file that the network is from: what is written with `photos` then stands for it where
        `load_int8` looks (for onnxruntime only, see `fused`), and has a second input for guidance
        if the network takes any. Other files have one input, and no guidance.

    Raises
    ------
    MatteError
        If the package ``onnx`` or onnxruntime is missing, or the file's mattes are not PyTorch's
        to `TOLERANCE`, or int8 mattes differ too much from float32 ones on average; then
        nothing is written.
    """
    _check_export(opset, quantizes=bool(photos))
    spec = _own_spec(network.config)
    if rembg:
        spec = PRESETS["u2net"]
        size = (spec.size, spec.size)
    portable = _Portable(with_constant_padding(network), spec.mean, spec.std).eval()
    guided = bool(photos and weights and network.config.guidance)
    metadata = {METADATA_KEY: spec.to_json()}
    if photos and weights:
        metadata[SOURCE_KEY] = digest(weights)
    data = _finished(_trace(portable, opset, size, guided=guided), metadata)

    sizes = [(1, *size)] if size else [(1, 256, 256), (2, 160, 250), (1, 97, 131)]
    pictures = [_pictures(*shape) for shape in sizes]
    difference = _difference(data, network, spec, pictures)
    if not difference <= TOLERANCE:
        raise MatteError(
            f"{path} is not written: its mattes are up to {difference:.2g} away from PyTorch's"
        )
    data, int8_difference = quantize(data, photos) if photos else (data, None)
    if photos and weights and path.name.endswith(INT8_SUFFIX):
        data = fused(data)
    write_whole(path, data)
    return Exported(len(data), difference, sum(map(len, pictures)), int8_difference)


def _check_export(opset: int, *, quantizes: bool) -> None:
    """Refuse what cannot be exported here."""
    with needs_extra("matte export", "onnx"):
        import onnx  # noqa: F401
    if opset not in OPSETS:
        raise MatteError(f"opset {opset}: use {OPSETS[0]} to {OPSETS[-1]}")
    if quantizes and opset < OLDEST_OPSET:
        raise MatteError(f"opset {opset}: int8 needs {OLDEST_OPSET} or later")


def _finished(traced: bytes, metadata: dict[str, str]) -> bytes:
    """Fold the padding of a traced model, and add producer and metadata."""
    import onnx

    model = onnx.load_from_string(traced)
    fold_padding(model)
    for output in model.graph.output:
        # The tracer invents a name for it, at which converters stumble.
        output.type.tensor_type.shape.dim[1].dim_value = 1
    model.producer_name, model.producer_version = "matte", __version__
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def export_graph(config: NetworkConfig) -> bytes:
    """Give the graph of a network without its weights, for `load_bundled_graph`.

    It takes pictures whose sides are multiples of `MULTIPLE`. The initializers have the names of
    the network's own parameters, behind the prefix ``network.``.
    """
    import onnx

    network = with_constant_padding(build_network(config).eval())
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            # The exporter would make one of two initializers that hold the same.
            tensor.uniform_()
    # As PyTorch computes it, parameter by parameter: onnxruntime folds the batch norms itself.
    traced = _trace(
        _Portable(network, (0, 0, 0), (1, 1, 1)).eval(),
        17,
        None,
        (2, 3, 128, 192),
        guided=config.guidance,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
    )
    model = onnx.load_from_string(traced)
    fold_padding(model)
    parameters = {f"network.{name}" for name in network.state_dict()}
    for tensor in model.graph.initializer:
        if tensor.name in parameters:
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="weights")
    for node in model.graph.node:
        node.ClearField("name")
    spec = _own_spec(config)
    onnx.helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    return model.SerializeToString()


def _own_spec(config: NetworkConfig) -> PreprocessingSpec:
    return PreprocessingSpec(
        size=config.predict_size,
        square=False,
        min_size=config.first_pass_size or MIN_SIZE,
        first_pass_size=config.first_pass_size,
        multiple=MULTIPLE,
    )


def _trace(
    network: nn.Module,
    opset: int,
    size: tuple[int, int] | None,
    # No multiple of 32, or the padding would be left out of the trace.
    traced_shape: tuple[int, ...] = (2, 3, 90, 120),
    *,
    guided: bool = False,
    **options: Any,
) -> bytes:
    shape = (1, 3, *size) if size else traced_shape
    free = None if size else {0: "batch", 2: "height", 3: "width"}
    names, inputs = ["image"], [torch.zeros(shape)]
    if guided:
        names.append(GUIDANCE_INPUT)
        inputs.append(torch.zeros((shape[0], GUIDANCE_CHANNELS, *shape[2:])))
    file = io.BytesIO()
    with warnings.catch_warnings():
        # That tracing is the old way, and that branches are traced on one side only, which is what
        # is wanted here. The new exporter takes hours over sizes that are free.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            tuple(inputs),
            file,
            dynamo=False,
            opset_version=opset,
            input_names=names,
            output_names=["alpha"],
            dynamic_axes=dict.fromkeys([*names, "alpha"], free) if free else None,
            **options,
        )
    return file.getvalue()


def _pictures(count: int, height: int, width: int) -> np.ndarray:
    """Blobs of all colors, float32 of shape (count, 3, height, width) in [0, 1]."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    frequency = rng.uniform(2, 12, (count, 3, 2, 1, 1))
    waves = np.sin(frequency[:, :, 0] * x + 3 * rng.random((count, 3, 1, 1)))
    waves = waves * np.cos(frequency[:, :, 1] * y) + rng.normal(0, 0.1, (count, 3, height, width))
    disc = (
        np.hypot(x - 0.5 * width / max(height, width), y - 0.5 * height / max(height, width)) < 0.25
    )
    return np.where(disc, 1 - waves, 0.5 + 0.4 * waves).clip(0, 1).astype(np.float32)


@torch.inference_mode()
def _difference(
    model: bytes, network: nn.Module, spec: PreprocessingSpec, batches: list[np.ndarray]
) -> float:
    """Largest difference of alpha between the file in onnxruntime and the network in PyTorch."""
    session = open_session(model)
    guided = len(session.get_inputs()) > 1
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (spec.mean, spec.std))
    differences = []
    for batch in batches:
        inputs = {"image": (batch - mean) / std}
        extra: tuple[Tensor, ...] = ()
        if guided:
            inputs[GUIDANCE_INPUT] = _pictures(*batch.shape[:1], *batch.shape[2:])[:, :2] * 2 - 1
            extra = (torch.from_numpy(inputs[GUIDANCE_INPUT]),)
        expected = clamp_extremes(network(torch.from_numpy(batch), *extra)).numpy()
        differences.append(float(np.abs(session.run(None, inputs)[0] - expected).max()))
    return max(differences)
