"""``matte weights``: a list, a cache, and checksums that are believed over files."""

from __future__ import annotations

import hashlib
from functools import partial
from http.server import SimpleHTTPRequestHandler

import pytest
import torch
from http_serving import serving
from training_material import SMALL_ENCODER
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.network.building import build_network
from mattecli.core.network.networks import network_config
from mattecli.core.network.weights import load_network, read_header, save_network
from mattecli.core.runtime.named_weights import add_weights, find_weights, is_sound, list_weights

BYTES = b"not looked into before it runs"
DIGEST = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("MATTE_WEIGHTS", str(folder))
    return folder


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(BYTES)
    return path


@pytest.fixture
def server(tmp_path):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with serving(partial(Quiet, directory=str(tmp_path))) as address:
        yield address


def matte(*arguments: object):
    return CliRunner().invoke(app, ["weights", *map(str, arguments)])


def left(folder) -> list[str]:
    return sorted(path.name for path in folder.glob("*")) if folder.is_dir() else []


def test_what_ships_is_listed_and_as_the_index_says():
    assert find_weights() == find_weights("default")
    assert is_sound(list_weights()["default"])
    result = matte()
    assert result.exit_code == 0
    assert "default" in result.output and "Apache-2.0" in result.output
    assert matte("verify").exit_code == 0


def test_a_file_gets_a_name_and_its_toml_comes_along(model, cache):
    model.with_suffix(".toml").write_text('preset = "u2net"\n')
    result = matte("add", model, "--name", "rmbg-1.4", "--sha256", DIGEST, "--licence", "MIT")
    assert result.exit_code == 0, result.output
    assert DIGEST in result.output
    assert find_weights("rmbg-1.4").read_bytes() == BYTES
    assert left(cache) == ["index.toml", "rmbg-1.4.onnx", "rmbg-1.4.toml"]
    assert "MIT" in matte().output


def test_an_address(model, server, cache):
    result = matte("add", f"{server}/model.onnx", "--sha256", DIGEST.upper())
    assert result.exit_code == 0, result.output
    assert find_weights("model").read_bytes() == BYTES
    add_weights(str(find_weights()), name="copy")
    assert list(list_weights()) == ["default", "model", "copy"]


def test_damage_is_found(model):
    add_weights(str(model))
    find_weights("model").write_bytes(BYTES[:-1])
    result = matte("verify")
    assert result.exit_code == 1
    assert "default: as it should be" in result.output
    assert "model: damaged or gone" in result.stderr
    find_weights("model").unlink()
    assert matte("verify").exit_code == 1
    assert "gone" in matte().output
    with pytest.raises(MatteError, match="is gone"):
        find_weights("model")


def test_integers_come_along_and_damage_to_them_is_found(cache):
    add_weights(str(find_weights()), name="copy")
    assert left(cache) == ["copy.int8.onnx", "copy.safetensors", "index.toml"]
    assert matte("verify").exit_code == 0
    (cache / "copy.int8.onnx").write_bytes(BYTES)
    result = matte("verify")
    assert result.exit_code == 1
    assert "default: as it should be" in result.output
    assert "copy: damaged or gone" in result.stderr


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("model.onnx", {"sha256": "0" * 64}, f"has the SHA-256 {DIGEST}"),
        ("model.onnx", {"name": "default"}, "already"),
        ("model.onnx", {"name": "../x"}, "cannot be the name"),
        ("model.onnx", {"name": "index"}, "cannot be the name"),
        ("none.onnx", {}, "does not exist"),
        ("model.pth", {}, "must end in .safetensors or .onnx"),
        ("bad.safetensors", {}, "bad.safetensors: not a safetensors file"),
        ("SERVER/model.onnx", {}, "need --sha256"),
        ("SERVER/model.onnx", {"sha256": "0" * 64}, "another file"),
        ("SERVER/none.onnx", {"sha256": DIGEST}, "cannot download .*404.*add FILE"),
        ("http://127.0.0.1:9/model.onnx", {"sha256": DIGEST}, "cannot download .*refused"),
    ],
)
def test_what_cannot_be_added_leaves_nothing(
    source, options, message, model, server, cache, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.safetensors").write_bytes(BYTES)
    with pytest.raises(MatteError, match=message):
        add_weights(source.replace("SERVER", server), **options)
    assert left(cache) in ([], ["index.toml"])
    assert list(list_weights()) == ["default"]


def test_a_name_that_is_almost_right():
    with pytest.raises(MatteError, match="did you mean 'default'"):
        find_weights("defualt")
    with pytest.raises(MatteError, match="does not exist"):
        find_weights("runs/mine")
    with pytest.raises(MatteError, match="does not exist"):
        find_weights("mine.safetensors")


def test_the_mean_of_weights_is_the_mean_of_their_tensors(tmp_path):
    files = [tmp_path / f"{number}.safetensors" for number in range(3)]
    ancestor = {"settings": {"data": ["photos/imagenet", "cutouts/plants"] * 20}}
    for number, file in enumerate(files):
        torch.manual_seed(number)
        network = build_network(network_config("matte", encoder=SMALL_ENCODER, predict_size=96))
        provenance = {"step": number, "started_from": ancestor}
        save_network(network, file, provenance=provenance, half=False)
    out = tmp_path / "mean.safetensors"
    result = CliRunner().invoke(app, ["weights", "average", *map(str, [out, *files])])
    assert result.exit_code == 0, result.output
    key = "levels.0.cues.0.weight"
    expected = sum(load_network(file).state_dict()[key] for file in files) / 3
    assert torch.allclose(load_network(out).state_dict()[key], expected, atol=1e-3)
    config, provenance = read_header(out)
    assert config.predict_size == 96
    assert [part["step"] for part in provenance["mean_of"]] == [0, 1, 2]
    first, *others = (part["started_from"] for part in provenance["mean_of"])
    assert first["settings"]["data"] == ancestor["settings"]["data"]
    assert others == 2 * [{"same_as": first["id"]}], "a common ancestor is told once"

    other = tmp_path / "other.safetensors"
    save_network(build_network(network_config("matte", detail_channels=4)), other, provenance={})
    out = tmp_path / "none.safetensors"
    result = CliRunner().invoke(app, ["weights", "average", *map(str, [out, files[0], other])])
    assert result.exit_code != 0 and "another network" in str(result.exception)
