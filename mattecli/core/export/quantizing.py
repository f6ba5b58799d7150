"""Quantization to int8, which on a CPU takes about two thirds of the time of float32.

Encoder and decoder are quantized, the head at the photo's own pixels and the guided filter are not:
a rounding step of 1/255 of the range would be visible in a matte there.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.reading import read_color
from mattecli.core.inference.passes import PassPlanner, infer_batch
from mattecli.core.inference.predictor import Predictor
from mattecli.core.runtime.onnx_model import OnnxModel
from mattecli.core.runtime.onnxruntime_loading import FATAL_ONLY, load_onnxruntime
from mattecli.core.runtime.providers import CPU
from mattecli.core.runtime.session import open_session

if TYPE_CHECKING:
    import onnx

#: The first with a scale per channel.
OLDEST_OPSET = 13
#: Largest mean difference of alpha from the float32 network.
TOLERANCE = 0.01

# Modules in whose scope nodes were traced.
_QUANTIZED_PARTS = re.compile(r"/(encoder|guidance|aspp|distil|levels\.\d+)/")
# Of 7 bits and a sign, as onnxruntime rounds them.
_WEIGHT_LEVELS = 64
_OPERATORS = ["Conv", "Add", "Concat", "Relu", "Clip", "Resize"]


def quantize(model: bytes, photos: list[Path]) -> tuple[bytes, float]:
    """Quantize an ONNX model to int8 (QDQ), statically calibrated on photos.

    Weights keep 7 bits: with 8, sums overflow on processors without VNNI instructions, and mattes
    would differ between processors.

    Parameters
    ----------
    model : bytes
        A file that `export` would write, of opset `OLDEST_OPSET` or later.
    photos : list of Path
        Some dozens are enough; they need no mattes.

    Returns
    -------
    model : bytes
    difference : float
        Mean difference of alpha between the two files on the photos.

    Raises
    ------
    MatteError
        If that is more than `TOLERANCE`.
    """
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        before.write_bytes(model)
        float_model = OnnxModel(before, "cpu")
        _quantize_file(float_model, after, photos)
        int8_model = OnnxModel(after, "cpu")
        difference = float(np.mean([_difference(float_model, int8_model, path) for path in photos]))
        if difference > TOLERANCE:
            raise MatteError(
                f"int8 does not suit this network: its mattes are {difference:.2g} away from "
                "the float32 ones on average"
            )
        return after.read_bytes(), difference


def fused(model: bytes) -> bytes:
    """Do what onnxruntime would do at every start: put together what runs together on a CPU.

    Its results stay the same bit by bit, a session takes less than half the time to make, and other
    runtimes cannot read the file. What depends on the processor is left for the start.
    """
    import onnx

    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "fused.onnx")
        onnxruntime.InferenceSession(model, options, providers=[CPU])
        made = onnx.load(options.optimized_model_filepath)
    # It lists all that it knows, and others may know less.
    used = {node.domain for node in made.graph.node}
    for entry in list(made.opset_import):
        if entry.domain not in used:
            made.opset_import.remove(entry)
    return made.SerializeToString()


def _quantize_file(float_model: OnnxModel, target: Path, photos: list[Path]) -> None:
    """Write the int8 model of a loaded one."""
    import onnx

    quantization = load_onnxruntime("quantization")
    source = float_model.path.with_stem("corrected")
    corrected = onnx.load(float_model.path)
    _correct_biases(corrected, float_model, photos)
    onnx.save(corrected, source)
    excluded = [
        node.name for node in corrected.graph.node if not _QUANTIZED_PARTS.search(node.name)
    ]
    # It recommends a preprocessing that would change nothing: the trace is folded already.
    logging.disable(logging.WARNING)
    try:
        quantization.quantize_static(
            source,
            target,
            _Calibration(_inputs(float_model, photos)),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=_OPERATORS,
            nodes_to_exclude=excluded,
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
    finally:
        logging.disable(logging.NOTSET)
    quantized = onnx.load(target)
    # It leaves behind the bounds of the clipping that quantized values do by themselves.
    used = {name for node in quantized.graph.node for name in node.input}
    for node in list(quantized.graph.node):
        if node.op_type == "Constant" and node.output[0] not in used:
            quantized.graph.node.remove(node)
    onnx.save(quantized, target)


def _difference(first: OnnxModel, second: OnnxModel, path: Path) -> float:
    """Mean difference of alpha on a photo, after as many passes as `_inputs` has."""
    photo = read_color(path)
    mattes = [
        Predictor(model, two_pass=model.takes_guidance).network_mattes([photo])[0][1]
        for model in (first, second)
    ]
    return float(np.abs(mattes[0] - mattes[1]).mean())


def _correct_biases(model: onnx.ModelProto, float_model: OnnxModel, photos: list[Path]) -> None:
    """Take from the biases, in place, what rounding the weights will add to channels on average.

    Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV
    2019: a channel's mean moves by the errors of its weights times the means of its inputs.
    """
    import onnx
    from onnx import numpy_helper

    constants = _constants(model)
    convolutions = [
        node
        for node in model.graph.node
        if node.op_type == "Conv" and _QUANTIZED_PARTS.search(node.name) and len(node.input) == 3
    ]
    measured = onnx.ModelProto()
    measured.CopyFrom(model)
    wanted = sorted({node.input[0] for node in convolutions})
    for name in wanted:
        mean = f"{name}_mean"
        measured.graph.node.append(onnx.helper.make_node("GlobalAveragePool", [name], [mean]))
        measured.graph.output.append(onnx.helper.make_tensor_value_info(mean, 1, None))
    session = open_session(measured.SerializeToString())
    totals: dict[str, np.ndarray] = {}
    count = 0
    for given in _inputs(float_model, photos):
        count += 1
        results = session.run([f"{name}_mean" for name in wanted], given)
        for name, result in zip(wanted, results, strict=True):
            totals[name] = totals.get(name, 0) + result[0, :, 0, 0]

    for node in convolutions:
        weight, bias = (numpy_helper.to_array(constants[name]) for name in node.input[1:])
        step = np.abs(weight).max(axis=(1, 2, 3), keepdims=True) / _WEIGHT_LEVELS
        step[step == 0] = 1
        error = (weight - np.round(weight / step) * step).sum(axis=(2, 3))
        # In a depthwise convolution every channel has its own input.
        average = totals[node.input[0]] / count
        inputs = average if error.shape[1] == len(average) else average[:, None]
        shift = (error * inputs).sum(axis=1)
        # Its own, as the exporter gives layers with equal biases a common one.
        node.input[1] = constants[node.input[1]].name
        node.input[2] = f"{node.name}.corrected_bias"
        corrected = numpy_helper.from_array((bias + shift).astype(bias.dtype), node.input[2])
        model.graph.initializer.append(corrected)


def _constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Give the constants of a graph by all of their names.

    Of equal ones, as before training, the exporter keeps the first and hands it on by ``Identity``.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Identity" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
    return constants


def _inputs(model: OnnxModel, photos: list[Path]) -> Iterator[dict[str, np.ndarray]]:
    """Give the photos, one after the other, as a session takes them.

    For networks that take guidance these are the inputs of all passes, since guidance comes with
    the second.
    """
    planner = PassPlanner(model, two_pass=model.takes_guidance)
    for path in photos:
        photo = planner.start(read_color(path))
        while not photo.is_done:
            guidance = None if photo.guidance is None else [photo.guidance]
            yield model.to_inputs([photo.next_crop], guidance)
            if photo.is_in_last:
                # Nothing follows from its matte.
                break
            planner.advance(photo, infer_batch(model, [photo])[0])


class _Calibration:
    """What onnxruntime asks for its inputs."""

    def __init__(self, inputs: Iterator[dict[str, np.ndarray]]) -> None:
        self._inputs = inputs

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._inputs, None)
