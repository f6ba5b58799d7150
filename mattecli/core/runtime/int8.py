"""Our own networks in int8, which on the CPU takes two thirds of the time of float32.

``NAME.int8.onnx`` beside ``NAME.safetensors`` is the same network; `matte export --int8` writes it.
"""

from __future__ import annotations

from pathlib import Path

from mattecli.core.runtime.named_weights import INT8_SUFFIX, digest
from mattecli.core.runtime.onnx_model import OnnxModel

#: Key in the file's metadata: the SHA-256 of the weights file that it was made from.
SOURCE_KEY = "mattecli_weights"


def load_int8(path: Path, size: int | None = None, max_concurrency: int = 1) -> OnnxModel | None:
    """Load the int8 model of a weights file, if it is there and was made from that file.

    Parameters
    ----------
    path : Path
        The weights file.
    size, max_concurrency
        See `load_model`.
    """
    file = path.with_suffix(INT8_SUFFIX)
    if not file.is_file():
        return None
    model = OnnxModel(file, "cpu", size, max_concurrency=max_concurrency)
    made_from = model.session.get_modelmeta().custom_metadata_map.get(SOURCE_KEY)
    return model if made_from == digest(path) else None
