"""``matte export``: what another program gets is what PyTorch gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.export.exporting import export
from mattecli.core.imaging.reading import read_color, read_picture
from mattecli.core.inference.predictor import Predictor
from mattecli.core.network.config import NetworkConfig
from mattecli.core.network.weights import load_network
from mattecli.core.runtime.named_weights import find_weights
from mattecli.core.runtime.torch_model import clamp_extremes

EXAMPLES = Path(__file__).parents[1] / "examples"


def matte(*arguments: object):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return load_network(find_weights())


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("export") / "matte.onnx"
    result = matte("export", path)
    assert result.exit_code == 0, result.output
    assert "opset 17" in result.output and "from PyTorch on 4 pictures" in result.output
    return path


def run(path: Path, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


@pytest.mark.parametrize("shape", [(200, 300), (223, 131)])
def test_any_number_of_pictures_of_any_size(exported, network, shape):
    photos = [
        Image.open(EXAMPLES / f"{name}.jpg").resize(shape[::-1]) for name in ("cat", "raccoon")
    ]
    batch = np.stack([np.asarray(photo) for photo in photos]).transpose(0, 3, 1, 2)
    batch = batch.astype(np.float32) / 255
    with torch.inference_mode():
        expected = clamp_extremes(network(torch.from_numpy(batch))).numpy()
    alpha = run(exported, batch)
    assert alpha.shape == (2, 1, *shape)
    assert expected.min() == 0 and expected.max() == 1
    assert np.abs(alpha - expected).max() < 1e-3


def test_convolutions_take_their_padding_along(exported):
    nodes = onnx.load(exported).graph.node
    padded = {output for node in nodes if node.op_type == "Pad" for output in node.output}
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    assert not padded & {node.input[0] for node in convolutions}
    pads = [list(a.ints) for node in convolutions for a in node.attribute if a.name == "pads"]
    assert [0, 0, 1, 1] in pads, "what the encoder's first convolution had in a node of its own"


def test_predict_takes_it_back(exported, tmp_path):
    """In a single pass: what is exported knows no guidance, which further passes have."""
    photo = EXAMPLES / "cat.jpg"
    alone = "predict", photo, "--single-pass"
    result = matte(*alone, tmp_path / "a.png", "--weights", exported)
    assert result.exit_code == 0, result.output
    assert matte(*alone, tmp_path / "b.png", "--precision", "fp32").exit_code == 0
    ours, native = (read_picture(tmp_path / name) for name in ("a.png", "b.png"))
    assert np.abs(ours.alpha.astype(int) - native.alpha).max() <= 1


def test_free_sides_have_names_and_alpha_has_one_channel(exported):
    graph = onnx.load(exported).graph
    for value, channels in ((graph.input[0], 3), (graph.output[0], 1)):
        batch, channel, height, width = value.type.tensor_type.shape.dim
        named = (batch.dim_param, height.dim_param, width.dim_param)
        assert named == ("batch", "height", "width") and channel.dim_value == channels


def test_a_fixed_size(network, tmp_path):
    path = tmp_path / "m.onnx"
    result = matte("export", path, "--size", "130x96", "--opset", 13)
    assert result.exit_code == 0, result.output
    model = onnx.load(path)
    shape = model.graph.input[0].type.tensor_type.shape
    assert [side.dim_value for side in shape.dim] == [1, 3, 96, 130]
    assert model.opset_import[0].version == 13
    assert Predictor.load(path).predict([read_color(EXAMPLES / "cat.jpg")])[0].shape == (300, 451)


@pytest.mark.parametrize("opset", [11, 12])
def test_old_opsets_give_the_same_matte(tmp_path, opset):
    # The bundled network, whose attention newer operators would do.
    color = read_color(EXAMPLES / "cat.jpg")[:64, :96]
    result = matte("export", tmp_path / "m.onnx", "--opset", opset)
    assert result.exit_code == 0, result.output
    assert onnx.load(tmp_path / "m.onnx").opset_import[0].version == opset
    mattes = [Predictor.load(path).predict([color])[0] for path in (tmp_path / "m.onnx", None)]
    assert np.abs(mattes[0] - mattes[1]).mean() < 0.02


def test_rembg_gets_what_it_expects(network, tmp_path):
    path = tmp_path / "m.onnx"
    assert matte("export", path, "--rembg").exit_code == 0
    # The arithmetic of rembg 2.0.86, sessions/base.py and sessions/u2net_custom.py.
    image = Image.open(EXAMPLES / "raccoon.jpg").resize((320, 320), Image.Resampling.LANCZOS)
    unit = np.array(image) / max(np.max(np.array(image)), 1e-6)
    given = ((unit - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose(2, 0, 1)[None]
    mask = run(path, given.astype(np.float32))[0, 0]
    mask = (mask - mask.min()) / (mask.max() - mask.min())
    with torch.inference_mode():
        tensor = torch.from_numpy(unit.transpose(2, 0, 1)[None]).float()
        assert np.abs(mask - clamp_extremes(network(tensor)).numpy()[0, 0]).max() < 1e-3


class Fickle(torch.nn.Module):
    """Looks at the picture to choose its way, which a trace cannot follow."""

    config = NetworkConfig(predict_size=64)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image[:, :1] if image.mean() > 0.1 else 1 - image[:, :1]


def test_mattes_that_are_not_pytorchs_are_not_written(tmp_path):
    with pytest.raises(MatteError, match="not written"):
        export(Fickle(), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m.pt"], "does not end in .onnx"),
        (["m.onnx", "--size", "wide"], "WIDTHxHEIGHT"),
        (["m.onnx", "--size", "640x0"], "32 pixels at least"),
        (["m.onnx", "--size", "100000x100000"], "megapixels at most"),
        (["m.onnx", "--size", "320x320", "--rembg"], "size of its own"),
        (["m.onnx", "--opset", "9"], "opset"),
    ],
)
def test_wrong_usage(arguments, message):
    result = matte("export", *arguments)
    assert result.exit_code == 2 and message in result.output
