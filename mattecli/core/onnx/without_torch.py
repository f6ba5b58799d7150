"""Our own network on the CPU, without PyTorch: importing it takes longer than cutting a photo.

``NAME.int8.onnx`` beside ``NAME.safetensors`` is the same network in integers, which take two
thirds of the time. `matte export --int8` writes it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.network.config import MULTIPLE, NETWORKS, NetworkConfig
from mattecli.core.network.weights import not_finite, open_tensors, read_header
from mattecli.core.onnx.predictor import OnnxPredictor
from mattecli.core.store import INT8_SUFFIX, digest

#: The network whose graph, made by `export_graph`, ships as NAME.onnx. Its weights come from a
#: weights file.
NAME = "matte"

_NUMPY_FLOATS = ("F16", "F32", "F64")

#: Key in its metadata: the SHA-256 of the weights file that it was made from.
SOURCE_KEY = "mattecli_weights"


def load_int8(path: Path, size: int | None = None, streams: int = 1) -> OnnxPredictor | None:
    """Load what stands for a weights file in integers, if it is there and was made from that file.

    Parameters
    ----------
    size, streams : int
        As in `load_without_torch`.
    """
    integers = path.with_suffix(INT8_SUFFIX)
    if not integers.is_file():
        return None
    predictor = OnnxPredictor(integers, "cpu", size, streams=streams)
    made_from = predictor.session.get_modelmeta().custom_metadata_map.get(SOURCE_KEY)
    return predictor if made_from == digest(path) else None


def load_without_torch(
    path: Path, size: int | None = None, streams: int = 1
) -> OnnxPredictor | None:
    """Load a weights file into the graph that ships with the program, if there is one.

    Parameters
    ----------
    size : int, optional
        Long side at which the network sees a photo; by default that of the weights.
    streams : int
        Threads that will run the network at the same time.

    Raises
    ------
    MatteError
        If the file is not ours, or its tensors do not fit.
    """
    config, _ = read_header(path)
    if _graph_of(config) != _graph_of(NETWORKS[NAME]):
        return None
    graph = Path(__file__).with_name(f"{NAME}.onnx")
    with open_tensors(path) as file:
        names = [
            key
            for key in file.keys()  # noqa: SIM118
            if not (key.startswith("sentries.") or key.endswith("num_batches_tracked"))
        ]
        # NumPy has no bfloat16; PyTorch does.
        if any(file.get_slice(name).get_dtype() not in _NUMPY_FLOATS for name in names):
            return None
        tensors = {name: file.get_tensor(name).astype(np.float32) for name in names}
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise not_finite(path, name)
    weights = {f"network.{name}": tensor for name, tensor in tensors.items()}
    try:
        predictor = OnnxPredictor(graph, "cpu", size, weights, streams)
    except MatteError as error:
        raise MatteError(f"{path}: tensors do not fit the configuration ({error})") from None
    predictor.size = size or config.predict_size
    return predictor


def _graph_of(config: NetworkConfig) -> NetworkConfig:
    """Leave out what prediction does not depend on."""
    return replace(config, sentry=False, predict_size=MULTIPLE)
