"""Our own network on the CPU, without PyTorch: importing it takes longer than cutting a photo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors import safe_open

from mattecli.core.errors import MatteError
from mattecli.core.network.config import NETWORKS, NetworkConfig
from mattecli.core.network.weights import read_header
from mattecli.core.runtime.onnx_model import OnnxModel

#: The network whose graph, made by `export_graph`, ships as NAME.onnx. Its weights come from a
#: weights file.
NAME = "matte"


def load_bundled_graph(
    path: Path, size: int | None = None, max_concurrency: int = 1
) -> OnnxModel | None:
    """Load a weights file into the graph that ships with the program, if it fits that graph.

    Parameters
    ----------
    size, max_concurrency
        See `load_model`.

    Returns
    -------
    OnnxModel or None
        None for a network of another architecture.

    Raises
    ------
    MatteError
        If the file is not ours, or its tensors do not fit.
    """
    config, _ = read_header(path)
    if _graph_of(config) != _graph_of(NETWORKS[NAME]):
        return None
    graph = Path(__file__).with_name(f"{NAME}.onnx")
    with safe_open(path, "np") as file:
        weights = {
            f"network.{key}": file.get_tensor(key).astype(np.float32)
            for key in file.keys()  # noqa: SIM118
            if not (key.startswith("sentries.") or key.endswith("num_batches_tracked"))
        }
    try:
        model = OnnxModel(graph, "cpu", size, weights, max_concurrency)
    except MatteError as error:
        raise MatteError(f"{path}: tensors do not fit the configuration ({error})") from None
    model.sizing = replace(
        model.sizing,
        size=size or config.predict_size,
        first_pass_size=config.first_pass_size,
    )
    return model


def _graph_of(config: NetworkConfig) -> NetworkConfig:
    """Leave out what prediction does not depend on."""
    return replace(config, sentry=False, predict_size=0, first_pass_size=0)
