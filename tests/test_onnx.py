"""Other people's networks: small ONNX graphs whose right mattes are known."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.imaging.reading import read_alpha
from mattecli.core.imaging.writing import write_image
from mattecli.core.runtime.loading import load_model

WEIGHTS = np.float32([0.5, -0.25, 1.0])


def write_model(
    path, shape=("batch", 3, "height", "width"), *, half=False, weights=WEIGHTS, inputs=1
):
    """A network that mixes the channels by `weights`; its second output gives all three back."""
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    mix = weights.reshape(1, 3, 1, 1).astype(np.float16 if half else np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input", "mix"], ["matte"]),
            helper.make_node("Identity", ["input"], ["same"]),
        ],
        "mix",
        [helper.make_tensor_value_info("input", kind, shape)]
        + [helper.make_tensor_value_info(f"state{i}", kind, [1]) for i in range(1, inputs)],
        [
            helper.make_tensor_value_info(name, kind, ["n", channels, "h", "w"])
            for name, channels in (("matte", 1), ("same", 3))
        ],
        [onnx.numpy_helper.from_array(mix, "mix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def photo() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 201, (90, 120, 3), np.uint8)


def mattes(path, *photos, size=None):
    model = load_model(path, size=size)
    return model.infer([model.prepare(photo) for photo in photos])


def test_u2net_is_fed_and_read_as_rembg_does(photo, tmp_path):
    path = write_model(tmp_path / "u2netp.onnx", (1, 3, 64, 64))
    # The arithmetic of rembg 2.0.86, sessions/base.py and sessions/u2netp.py.
    image = np.array(Image.fromarray(photo).resize((64, 64), Image.Resampling.LANCZOS))
    image = image / max(np.max(image), 1e-6)
    image = (image - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    mask = (image.astype(np.float32) * WEIGHTS).sum(-1)
    mask = (mask - mask.min()) / (mask.max() - mask.min())
    for matte in mattes(path, photo, photo):
        assert matte.shape == (64, 64) and matte.dtype == np.float32
        assert np.abs(matte - mask).max() < 1e-5


@pytest.mark.parametrize("half", [False, True])
def test_the_file_beside_it_says_how(photo, tmp_path, half):
    path = write_model(tmp_path / "mine.onnx", half=half)
    (tmp_path / "mine.toml").write_text(
        'size = 60\nsquare = false\nchannels = "bgr"\nmean = [0.1, 0.2, 0.3]\n'
        'std = [0.5, 0.25, 1]\nactivation = "sigmoid"\n'
    )
    (matte,) = mattes(path, photo)
    assert matte.shape == (32, 64)  # the long side is 60, to multiples of 32
    unit = load_model(path).prepare(photo)[..., ::-1] / 255
    logits = ((unit - [0.1, 0.2, 0.3]) / [0.5, 0.25, 1] * WEIGHTS).sum(-1)
    assert np.abs(matte - 1 / (1 + np.exp(-logits))).max() < (5e-3 if half else 1e-5)


def test_a_preset_can_be_changed_in_part(photo, tmp_path):
    path = write_model(tmp_path / "mine.onnx")
    (tmp_path / "mine.toml").write_text('preset = "isnet"\nsize = 48\nmin_max = false\n')
    (matte,) = mattes(path, photo)
    unit = load_model(path).prepare(photo) / 255
    assert matte.shape == (48, 48)
    assert np.abs(matte - np.clip(((unit - 0.5) * WEIGHTS).sum(-1), 0, 1)).max() < 1e-5
    assert mattes(path, photo, size=96)[0].shape == (96, 96)


def test_predict_brings_its_matte_to_the_photo(tmp_path, monkeypatch):
    write_model(tmp_path / "red.onnx", weights=np.float32([1, 0, 0]))
    (tmp_path / "red.toml").write_text("size = 64\n")
    y, x = np.mgrid[0:150, 0:200]
    disc = np.clip((50 - np.hypot(y - 70, x - 100)) / 6 + 0.5, 0, 1)
    photo = np.rint(disc[..., None] * [255, 0, 0] + (1 - disc[..., None]) * [0, 0, 200])
    write_image(tmp_path / "photo.png", photo.astype(np.uint8))
    arguments = ["photo.png", "alpha.png", "--save", "alpha", "--weights", "red.onnx"]
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["predict", *arguments])
    assert result.exit_code == 0, result.output
    assert np.abs(read_alpha(tmp_path / "alpha.png") / 255 - disc).mean() < 0.01


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('preset = "u2nt"', "did you mean 'u2net'"),
        ("min_maxx = true", "did you mean 'min_max'"),
        ('size = "big"', "wrong kind"),
        ('activation = "softmax"', "one of none, sigmoid"),
        ("output = 5", "2 outputs"),
        ("size = ", "not valid TOML"),
    ],
)
def test_a_file_beside_it_that_is_wrong(text, message, tmp_path):
    path = write_model(tmp_path / "mine.onnx")
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(MatteError, match=message):
        load_model(path)


def test_an_output_that_is_no_matte(photo, tmp_path):
    path = write_model(tmp_path / "u2net.onnx")
    (tmp_path / "u2net.toml").write_text('preset = "u2net"\noutput = 1\n')
    with pytest.raises(MatteError, match="no matte"):
        mattes(path, photo)


def test_models_that_cannot_be_used(tmp_path):
    with pytest.raises(MatteError, match="does not exist"):
        load_model(tmp_path / "none.onnx")
    with pytest.raises(MatteError, match=r"mine.toml.*preset"):
        load_model(write_model(tmp_path / "mine.onnx"))
    with pytest.raises(MatteError, match="state1"):
        load_model(write_model(tmp_path / "u2net-video.onnx", inputs=2))
    with pytest.raises(MatteError, match="batch, 3, height, width"):
        load_model(write_model(tmp_path / "u2net-last.onnx", (1, 64, 64, 3)))
    with pytest.raises(MatteError, match="64x64 pixels only"):
        load_model(write_model(tmp_path / "u2net-64.onnx", (1, 3, 64, 64)), size=128)
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(MatteError, match=r"text\.onnx cannot be loaded"):
        load_model(tmp_path / "text.onnx")
    with pytest.raises(MatteError, match="cpu, cuda"):
        load_model(write_model(tmp_path / "u2net.onnx"), device="tpu")
