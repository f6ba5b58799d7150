"""Our own network on the CPU, without PyTorch: importing it takes longer than cutting a photo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.network.config import MULTIPLE, NetworkConfig
from mattecli.core.network.networks import NETWORKS
from mattecli.core.network.weights import not_finite, open_tensors, read_header
from mattecli.core.runtime.onnx_model import OnnxModel
from mattecli.core.runtime.session import check_device
from mattecli.core.runtime.sizing import MIN_SIZE

#: The network whose graph, made by `export_graph`, ships as NAME.onnx. Its weights come from a
#: weights file.
NAME = "matte"

_NUMPY_FLOATS = ("F16", "F32", "F64")


def load_bundled_graph(
    path: Path, size: int | None = None, max_concurrency: int = 1, device: str = "cpu"
) -> OnnxModel | None:
    """Load a weights file into the graph that ships with the program, if it fits that graph.

    Parameters
    ----------
    size, max_concurrency
        See `load_model`.
    device : str
        See `open_session`.

    Returns
    -------
    OnnxModel or None
        None for a network of another architecture, or tensors that NumPy does not know.

    Raises
    ------
    MatteError
        If the file is not ours, its tensors do not fit, or the device is not there.
    """
    config, _ = read_header(path)
    if _graph_of(config) != _graph_of(NETWORKS[NAME]()):
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
    if device != "cpu":
        check_device(device)
    try:
        model = OnnxModel(graph, device, size, weights, max_concurrency)
    except MatteError as error:
        raise MatteError(f"{path}: tensors do not fit the configuration ({error})") from None
    model.sizing = replace(
        model.sizing,
        size=size or config.predict_size,
        min_size=size or config.first_pass_size or MIN_SIZE,
        first_pass_size=config.first_pass_size,
    )
    return model


def _graph_of(config: NetworkConfig) -> NetworkConfig:
    """Leave out what prediction does not depend on."""
    return replace(config, sentry=False, predict_size=MULTIPLE, first_pass_size=0)
