"""Our own network on the CPU, without PyTorch: importing it takes longer than cutting a photo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors import safe_open

from mattecli.core.errors import MatteError
from mattecli.core.network.config import NETWORKS, NetworkConfig
from mattecli.core.network.weights import read_header
from mattecli.core.onnx.predictor import OnnxPredictor

#: The network whose graph, made by `export_graph`, ships as NAME.onnx. Its weights come from a
#: weights file.
NAME = "matte"


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
    with safe_open(path, "np") as file:
        weights = {
            f"network.{key}": file.get_tensor(key).astype(np.float32)
            for key in file.keys()  # noqa: SIM118
            if not (key.startswith("sentries.") or key.endswith("num_batches_tracked"))
        }
    try:
        return OnnxPredictor(graph, "cpu", size or config.predict_size, weights, streams)
    except MatteError as error:
        raise MatteError(f"{path}: tensors do not fit the configuration ({error})") from None


def _graph_of(config: NetworkConfig) -> NetworkConfig:
    """Leave out what prediction does not depend on."""
    return replace(config, sentry=False, predict_size=0)
