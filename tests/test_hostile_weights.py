"""Weights of strangers: what a header or a tensor may say, and what is looked at first."""

from __future__ import annotations

import dataclasses
import json
import shutil
from functools import cache

import numpy as np
import pytest
from child_processes import Child
from safetensors.numpy import save_file
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.imaging.writing import write_image
from mattecli.core.network import validation
from mattecli.core.network.config import NetworkConfig
from mattecli.core.network.networks import NETWORKS
from mattecli.core.network.weights import load_network, open_tensors, read_header
from mattecli.core.runtime.loading import load_model
from mattecli.core.runtime.named_weights import find_weights

SETTINGS = NETWORKS["matte"]().to_dict()


@cache
def bundled() -> tuple[dict[str, str], dict[str, np.ndarray]]:
    with open_tensors(find_weights()) as file:
        return file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def write(path, tensors=None, **header: str):
    save_file({"a": np.zeros(1, np.float32)} if tensors is None else tensors, path, metadata=header)
    return path


def ours(path, settings, tensors=None, **more: str):
    text = settings if isinstance(settings, str) else json.dumps(settings)
    return write(path, tensors, format="mattecli-1", network=text, **more)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": "hf-hub:timm/resnet18"}, "no name of a model"),
        ({"encoder": "hf_hub:timm/resnet18"}, "no name of a model"),
        ({"encoder": "local-dir:/etc"}, "no name of a model"),
        ({"encoder": "../../etc"}, "no name of a model"),
        ({"encoder": ""}, "no name of a model"),
        ({"encoder": "x\x1b[31m"}, r"encoder 'x\\x1b"),
        ({"encoder": "resnet" * 1000}, "no name of a model"),
        ({"encoder": 3}, "encoder must be text"),
        ({"encoder": ["resnet18"]}, "encoder must be text"),
        ({"architecture": None}, "architecture must be text"),
        ({"architecture": "unet"}, "unknown architecture 'unet'"),
        ({"pyramid_channels": 1_000_000}, "pyramid_channels must be 1 to 2048, not 1000000"),
        ({"pyramid_channels": 0}, "pyramid_channels must be"),
        ({"pyramid_channels": -1}, "pyramid_channels must be"),
        ({"pyramid_channels": 128.0}, "pyramid_channels must be a whole number"),
        ({"pyramid_channels": "128"}, "pyramid_channels must be a whole number"),
        ({"pyramid_channels": True}, "pyramid_channels must be a whole number"),
        ({"pyramid_channels": None}, "pyramid_channels must be a whole number"),
        ({"cue_channels": [96, 64, 32, 10**9]}, "cue_channels must be 1 to 2048"),
        ({"cue_channels": [96, 64, 32]}, "one entry a level"),
        ({"cue_channels": 96}, "cue_channels must be a list"),
        ({"cue_channels": [96, 64, 32, [16]]}, "cue_channels must be a whole number"),
        ({"cue_channels": [], "cue_strides": [], "guided_strides": []}, "must have 1 to 8 entries"),
        ({"cue_strides": [16, 8, 4, 3]}, "cue_strides must be a power of two"),
        ({"cue_strides": [16, 8, 4, 0]}, "cue_strides must be 1 to 32"),
        ({"aspp_rates": [6] * 1000}, "aspp_rates must have 0 to 8 entries"),
        ({"aspp_rates": [0]}, "aspp_rates must be 1 to 64"),
        ({"output_stride": 5}, "output_stride must be a power of two"),
        ({"detail_channels": 10**7}, "detail_channels must be 0 to 1024"),
        ({"guided_strides": [64]}, "guided_strides must be 1 to 32"),
        ({"predict_size": 0}, "predict_size must be 32 to 8192, not 0"),
        ({"predict_size": -640}, "predict_size must be"),
        ({"predict_size": 10**12}, "predict_size must be"),
        ({"predict_size": 1e3}, "predict_size must be a whole number"),
        ({"predict_size": float("nan")}, "predict_size must be a whole number"),
        ({"sentry": 1}, "sentry must be true or false"),
        ({"sentry": "yes"}, "sentry must be true or false"),
        ({"depth": 3}, "unknown network setting depth"),
    ],
)
def test_a_setting_that_no_network_has(change, message, tmp_path):
    path = ours(tmp_path / "w.safetensors", SETTINGS | change)
    with pytest.raises(MatteError, match=message) as caught:
        read_header(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its network is damaged: not JSON"),
        ("{", "not JSON"),
        ("null", "not a table"),
        ("[]", "not a table"),
        ("3", "not a table"),
        ('"matte"', "not a table"),
        ("[" * 100_000, "not JSON"),
        ('{"predict_size": ' + "9" * 10_000 + "}", "not JSON"),
        ('{"predict_size": 640, "predict_size": 320}', "'predict_size' stands there twice"),
        ('{"\\u001b[2J": 1}', r"unknown network setting \\x1b\[2J"),
    ],
)
def test_a_header_that_is_garbled(text, message, tmp_path):
    path = ours(tmp_path / "w.safetensors", text)
    with pytest.raises(MatteError, match=message):
        read_header(path)


def test_a_header_without_its_parts(tmp_path):
    path = write(tmp_path / "w.safetensors", format="mattecli-1")
    with pytest.raises(MatteError, match="its network is missing"):
        read_header(path)
    path = ours(tmp_path / "v.safetensors", SETTINGS, provenance="{")
    with pytest.raises(MatteError, match="its provenance is damaged"):
        read_header(path)
    path = ours(tmp_path / "u.safetensors", SETTINGS, provenance="[1]")
    with pytest.raises(MatteError, match="its provenance is damaged"):
        read_header(path)


def test_every_number_of_the_configuration_has_bounds():
    for field in dataclasses.fields(NetworkConfig):
        if "int" in str(field.type):
            assert field.name in validation.BOUNDS, field.name


@pytest.mark.parametrize(
    "encoder", ["no_such_net", "resnet18_", "RESNET18", "vit_giant_patch14_dinov2_"]
)
def test_encoders_are_looked_up_among_timms_own(encoder, tmp_path):
    path = ours(tmp_path / "w.safetensors", SETTINGS | {"encoder": encoder})
    with pytest.raises(MatteError, match=f"w.safetensors: encoder '{encoder}' is not among timm's"):
        load_network(path)


def test_shapes_are_compared_before_memory_is_taken(tmp_path):
    # Widths within their bounds, 2.5 GB of weights together, of which the file holds none.
    settings = NETWORKS["hattmatting"]().to_dict() | {
        "pyramid_channels": 2048,
        "aspp_rates": [6, 12, 18, 24, 30, 36, 42, 48],
    }
    path = ours(tmp_path / "w.safetensors", settings)
    code = (
        "import resource, sys; from pathlib import Path\n"
        "import torch, timm\n"
        "from mattecli.core.errors import MatteError\n"
        "from mattecli.core.network.weights import load_network\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: load_network(Path(sys.argv[1]))\n"
        "except MatteError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    _, said = Child(code, path, said=tmp_path / "said").wait()
    message, grown = said.strip().splitlines()
    assert "tensors do not fit the configuration" in message and "missing" in message
    assert int(grown) < 400_000, "kilobytes"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])  # without PyTorch, and with it
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t, k: t.update({k: t[k][:1]}), "do not fit"),
        (lambda t, k: t.update({k: t[k].reshape(-1)}), "do not fit"),
        (lambda t, k: t.pop(k), "do not fit"),
        (lambda t, k: t.update(extra=t[k]), "do not fit"),
        (lambda t, k: t.update({k: np.full_like(t[k], np.nan)}), f"{'levels'}.*no numbers"),
        (lambda t, k: t.update({k: np.full_like(t[k], np.inf)}), "levels.*no numbers"),
    ],
    ids=["smaller", "flat", "missing", "extra", "nan", "inf"],
)
def test_tensors_that_do_not_fit(damage, message, precision, tmp_path):
    header, tensors = bundled()
    tensors = dict(tensors)
    damage(tensors, "levels.0.cues.0.weight")
    path = write(tmp_path / "w.safetensors", tensors, **header)
    with pytest.raises(MatteError, match=message) as caught:
        load_model(path, "cpu", precision)
    assert str(path) in str(caught.value)


def test_tensors_of_other_types(tmp_path):
    header, tensors = bundled()
    key = "levels.0.cues.0.weight"
    path = write(
        tmp_path / "w.safetensors", {**tensors, key: tensors[key].astype(np.int8)}, **header
    )
    with pytest.raises(MatteError, match=f"{key} is of the type I8"):
        load_model(path, "cpu", "fp32")


def test_a_damaged_file_is_not_called_a_pickle(tmp_path):
    whole = find_weights().read_bytes()
    path = tmp_path / "w.safetensors"
    for length in (12, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(MatteError, match="truncated"):
            read_header(path)
    path.write_bytes(whole[:8] + b"{!" + whole[10:])
    with pytest.raises(MatteError, match="the safetensors file is damaged"):
        read_header(path)
    path.write_bytes(b"")
    with pytest.raises(MatteError, match="is empty"):
        read_header(path)
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(MatteError, match="not a safetensors file but a pickle"):
        read_header(path)
    path.write_bytes(b"<!DOCTYPE html><title>404</title>")
    with pytest.raises(MatteError, match="not a safetensors file;"):
        read_header(path)
    with pytest.raises(MatteError, match="is a folder, not a file"):
        read_header(tmp_path)


def test_predict_says_it_in_one_line_and_writes_nothing(tmp_path):
    path = ours(tmp_path / "w.safetensors", SETTINGS | {"predict_size": 0})
    write_image(tmp_path / "p.png", np.zeros((64, 64, 3), np.uint8))
    arguments = ["predict", str(tmp_path / "p.png"), str(tmp_path / "o.png")]
    result = CliRunner().invoke(app, [*arguments, "--weights", str(path)])
    assert isinstance(result.exception, MatteError) and result.exit_code == 1
    assert not (tmp_path / "o.png").exists()


def test_average_leaves_nothing_behind_on_a_full_disk(tmp_path, monkeypatch):
    import os

    weights = find_weights()
    copies = [shutil.copy(weights, tmp_path / f"{number}.safetensors") for number in range(2)]

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    out = tmp_path / "made" / "mean.safetensors"
    result = CliRunner().invoke(app, ["weights", "average", str(out), *map(str, copies)])
    assert result.exit_code == 1
    assert isinstance(result.exception, MatteError)
    assert str(result.exception) == f"cannot write {out}: No space left on device"
    assert list(out.parent.iterdir()) == []


def test_average_replaces_nothing(tmp_path):
    copies = [shutil.copy(find_weights(), tmp_path / f"{number}.safetensors") for number in "abc"]
    before = (tmp_path / "a.safetensors").stat().st_mtime_ns
    result = CliRunner().invoke(app, ["weights", "average", *map(str, copies)])
    assert result.exit_code == 1 and "a.safetensors is there already" in str(result.exception)
    assert (tmp_path / "a.safetensors").stat().st_mtime_ns == before
