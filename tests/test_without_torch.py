"""Our network in onnxruntime: the same mattes as in PyTorch, and no PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mattecli.core.errors import MatteError
from mattecli.core.imaging.reading import read_color
from mattecli.core.matting.placing import resize
from mattecli.core.network.building import build_network
from mattecli.core.network.networks import network_config
from mattecli.core.network.weights import load_network, read_header, save_network
from mattecli.core.runtime.loading import load_model
from mattecli.core.runtime.named_weights import find_weights
from mattecli.core.runtime.onnx_model import OnnxModel
from mattecli.core.runtime.torch_model import TorchModel

CAT = Path(__file__).parents[1] / "examples/cat.jpg"
# Something is found in it at 64x64 pixels, too.
PORTRAIT = CAT.with_name("grace-hopper.jpg")


def assert_same_mattes(path):
    ours = load_model(path, device="cpu", precision="fp32")
    assert type(ours) is OnnxModel
    theirs = TorchModel(load_network(path), torch.device("cpu"))
    assert ours.sizing == theirs.sizing
    photo = read_color(PORTRAIT)
    for height, width in ((448, 320), (64, 64), (64, 192), (192, 64)):
        small = resize(photo, height, width)
        images = [small, np.ascontiguousarray(small[::-1])]
        mattes = ours.infer(images)
        assert mattes[0].shape == (height, width) and mattes[0].dtype == np.float32
        np.testing.assert_allclose(mattes, theirs.infer(images), atol=1e-4)
        assert np.ptp(mattes) > 0


def test_bundled_weights_give_the_same_mattes():
    assert_same_mattes(find_weights())


def test_weights_of_ones_own_give_the_same_mattes(tmp_path):
    torch.manual_seed(0)
    network = build_network(network_config("matte", sentry=False, predict_size=320))
    network.train()(torch.rand(4, 3, 96, 96))  # statistics for the batch norms
    save_network(network, tmp_path / "own.safetensors", provenance={}, half=False)
    assert_same_mattes(tmp_path / "own.safetensors")


def test_other_networks_and_precisions_are_left_to_pytorch(tmp_path):
    assert type(load_model(device="cpu", precision="bf16")) is TorchModel
    config = network_config("matte", detail_channels=4)
    save_network(build_network(config), tmp_path / "other.safetensors", provenance={})
    assert type(load_model(tmp_path / "other.safetensors", device="cpu")) is TorchModel


@pytest.mark.parametrize("damage", ["missing", "misshapen"])
def test_tensors_that_do_not_fit(tmp_path, damage):
    tensors = load_file(find_weights())
    name = "head.alpha.weight"
    if damage == "missing":
        del tensors[name]
    else:
        tensors[name] = tensors[name][..., :2].contiguous()
    config, _ = read_header(find_weights())
    header = {"format": "mattecli-1", "network": json.dumps(config.to_dict())}
    save_file(tensors, tmp_path / "broken.safetensors", metadata=header)
    with pytest.raises(MatteError, match=r"broken.safetensors: tensors do not fit"):
        load_model(tmp_path / "broken.safetensors", device="cpu")


def test_predict_imports_no_torch(tmp_path):
    code = (
        "import sys\n"
        "from mattecli.cli.app import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "print(sorted({'torch', 'torchvision', 'timm', 'onnx'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, "predict", str(CAT), str(tmp_path)]
    run = subprocess.run([*command, "--device", "cpu"], capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stderr
    assert (tmp_path / "cat.png").exists()
