"""Networks in integers: whose they are, what is taken when, and that mattes stay what they were."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from safetensors.numpy import load_file, save_file
from training_material import SMALL_ENCODER
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.export import exporting, quantizing
from mattecli.core.export.exporting import export
from mattecli.core.imaging.reading import read_color
from mattecli.core.imaging.writing import write_image
from mattecli.core.network.building import build_network
from mattecli.core.network.config import NetworkConfig
from mattecli.core.network.networks import network_config
from mattecli.core.network.weights import read_header
from mattecli.core.runtime.int8 import SOURCE_KEY, load_int8
from mattecli.core.runtime.loading import load_model
from mattecli.core.runtime.named_weights import find_weights
from mattecli.core.runtime.session import open_session

EXAMPLES = Path(__file__).parents[1] / "examples"
PHOTOS = [read_color(EXAMPLES / f"{name}.jpg") for name in ("cat", "raccoon")]
#: Of the network's input, at a third of what it was trained for.
SIZES = {"predict_size": 256, "first_pass_size": 192}


def matte(*arguments: object):
    return CliRunner().invoke(app, list(map(str, arguments)))


def write_weights(path: Path, tensors: dict[str, np.ndarray], config: NetworkConfig) -> None:
    header = {"format": "mattecli-1", "network": json.dumps(config.to_dict())}
    save_file(tensors, path, metadata=header)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A copy of the bundled weights, for smaller inputs, and what was exported for them."""
    folder = tmp_path_factory.mktemp("int8")
    config = dataclasses.replace(read_header(find_weights())[0], **SIZES)
    write_weights(folder / "mine.safetensors", load_file(find_weights()), config)
    (folder / "photos").mkdir()
    # The saucer below the cup is half in, and at this size shifts with every rounding.
    for photo in sorted(set(EXAMPLES.glob("*.jpg")) - {EXAMPLES / "coffee.jpg"}):
        # Mirrored too: four photos show too little of how large values become.
        shutil.copy(photo, folder / "photos")
        write_image(folder / "photos" / f"{photo.stem}.png", read_color(photo)[:, ::-1])

    def fused(model: bytes) -> bytes:
        (folder / "before.onnx").write_bytes(model)
        return quantizing.fused(model)

    with mock.patch.object(exporting, "fused", fused):
        result = matte(
            "export",
            folder / "mine.int8.onnx",
            *("--weights", folder / "mine.safetensors", "--int8", folder / "photos"),
        )
    assert result.exit_code == 0, result.output
    assert "int8: mean difference" in result.output and "on 8 photos" in result.output
    return folder / "mine.safetensors"


def mattes(**how) -> list[np.ndarray]:
    model = load_model(device="cpu", **how)
    return [model.infer([model.prepare(photo)])[0] for photo in PHOTOS]


def test_it_is_taken_by_itself_and_mattes_stay_what_they_were(weights):
    taken = mattes(weights=weights)
    for same in (
        mattes(weights=weights.with_suffix(".int8.onnx")),
        mattes(weights=weights, precision="int8"),
    ):
        assert all(map(np.array_equal, taken, same))
    floats = mattes(weights=weights, precision="fp32")
    differences = [np.abs(a - b).mean() for a, b in zip(taken, floats, strict=True)]
    # So small, a part of the raccoon is half in, and shifts with every rounding.
    assert min(differences) > 0 and max(differences) < 0.03
    assert sorted(differences)[len(differences) // 2 - 1] < 0.01


def test_weights_are_integers_that_overflow_nowhere(weights):
    model = onnx.load(weights.with_suffix(".int8.onnx"))
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    stored = [array for array in values.values() if array.dtype == np.int8 and array.ndim == 4]
    count = sum(array.size for array in stored)
    # Self-attention has no convolutions to speak of, and stays in float32.
    attention = [
        array for array in values.values() if array.dtype == np.float32 and array.ndim == 2
    ]
    floats = sum(array.size for array in attention)
    assert count > 0.95 * (sum(array.size for array in values.values()) - floats)
    # Two products of a weight and an unsigned byte fit into 16 bits.
    assert 2 * 255 * max(np.abs(array.astype(int)).max() for array in stored) < 2**15
    size = weights.with_suffix(".int8.onnx").stat().st_size - 4 * floats
    assert size < 0.6 * weights.stat().st_size


def test_what_runs_together_is_put_together_and_mattes_stay_the_same(weights):
    """A session takes less than half the time to make, of which a run of one photo has most."""
    files = [weights.with_name("before.onnx"), weights.with_suffix(".int8.onnx")]
    before, after = (onnx.load(file).graph.node for file in files)
    assert not any(node.op_type == "QLinearConv" for node in before)
    assert sum(node.op_type == "QLinearConv" for node in after) > 90
    assert len(after) < len(before) / 2
    assert {entry.domain for entry in onnx.load(files[1]).opset_import} == {"", "com.microsoft"}
    mattes_of = [mattes(weights=file) for file in files]
    assert all(map(np.array_equal, *mattes_of))
    sessions = [open_session(file).get_modelmeta().custom_metadata_map for file in files]
    assert sessions[0] == sessions[1] and SOURCE_KEY in sessions[1]


def test_other_weights_of_the_name_are_not_answered_by_it(weights, tmp_path):
    tensors = load_file(weights)
    tensors["head.alpha.bias"] = tensors["head.alpha.bias"] + 1
    path = tmp_path / "mine.safetensors"
    write_weights(path, tensors, read_header(weights)[0])
    shutil.copy(weights.with_suffix(".int8.onnx"), tmp_path / "mine.int8.onnx")
    assert load_int8(path) is None
    changed, floats = mattes(weights=path), mattes(weights=path, precision="fp32")
    assert all(map(np.array_equal, changed, floats))
    with pytest.raises(MatteError, match=r"mine\.int8\.onnx made from the weights"):
        load_model(path, device="cpu", precision="int8")


def test_what_ships_has_its_own():
    assert load_int8(find_weights()) is not None


def test_wrong_input(weights, tmp_path):
    (tmp_path / "empty").mkdir()
    out = tmp_path / "m.onnx"
    result = matte("export", out, "--int8", tmp_path / "empty")
    assert result.exit_code == 1 and "holds no pictures" in str(result.exception)
    result = matte("export", out, "--int8", EXAMPLES / "cat.jpg", "--opset", 12)
    assert result.exit_code == 1 and "13 or later" in str(result.exception)
    assert not out.exists()


def test_a_network_that_int8_does_not_suit(tmp_path, monkeypatch):
    """Nor is one before training, whose equal biases the exporter makes one constant of."""
    monkeypatch.setattr(quantizing, "TOLERANCE", 0.0)
    small = network_config("matte", encoder=SMALL_ENCODER, pyramid_channels=16, predict_size=128)
    torch.manual_seed(0)
    network = build_network(small).eval()
    with pytest.raises(MatteError, match="int8 does not suit this network"):
        export(network, tmp_path / "m.onnx", photos=[EXAMPLES / "cat.jpg"])
    assert not (tmp_path / "m.onnx").exists()


def test_equal_biases_are_corrected_apart(monkeypatch):
    """Rounded weights and corrected biases give each channel the mean that it had."""
    rng = np.random.default_rng(0)
    image = rng.random((1, 3, 16, 16), np.float32)
    weights = {name: rng.normal(size=(4, 3, 1, 1)).astype(np.float32) for name in "ab"}
    nodes = [
        helper.make_node("Identity", ["bias"], ["same"]),
        helper.make_node("Conv", ["image", "a", "bias"], ["x"], "/encoder/a"),
        helper.make_node("Conv", ["image", "b", "same"], ["y"], "/encoder/b"),
    ]
    constants = {**weights, "bias": np.zeros(4, np.float32)}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("image", 1, image.shape)],
        [helper.make_tensor_value_info(name, 1, None) for name in "xy"],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    before = open_session(model.SerializeToString()).run(None, {"image": image})
    monkeypatch.setattr(quantizing, "_inputs", lambda *_: [{"image": image}])
    quantizing._correct_biases(model, None, [])
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            step = np.abs(weights[tensor.name]).max(axis=(1, 2, 3), keepdims=True) / 64
            rounded = np.round(weights[tensor.name] / step) * step
            tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    after = open_session(model.SerializeToString()).run(None, {"image": image})
    for first, second in zip(before, after, strict=True):
        assert np.abs(first - second).max() > 1e-3
        assert np.abs(first.mean(axis=(2, 3)) - second.mean(axis=(2, 3))).max() < 1e-5
