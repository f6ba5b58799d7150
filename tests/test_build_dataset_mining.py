"""``matte build-dataset --from-photos``."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.dataset.mining import Limits, measure
from mattecli.core.network.config import NetworkConfig
from mattecli.core.runtime import loading
from mattecli.core.runtime.torch_model import TorchModel


class RedOnTheRight(torch.nn.Module):
    """Alpha is the red channel, but a green pixel counts only in the right half of the picture."""

    config = NetworkConfig(predict_size=64)

    def forward(self, image):
        right = torch.arange(image.shape[3]) >= image.shape[3] / 2
        return image[:, :1] + image[:, 1:2] * right


@pytest.fixture(autouse=True)
def network(monkeypatch):
    def load(*_):
        return TorchModel(RedOnTheRight(), torch.device("cpu"))

    monkeypatch.setattr(loading, "load_model", load)


def photo_of(path, color, radius, center=(48, 48)):
    y, x = np.mgrid[:96, :96]
    alpha = np.clip(0.5 + (radius - np.hypot(y - center[0], x - center[1])) / 3, 0, 1)[..., None]
    image = alpha * color + (1 - alpha) * np.array([0, 0, 200])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.round().astype(np.uint8)).save(path)


def mine(*arguments):
    return CliRunner().invoke(app, ["build-dataset", *map(str, arguments)])


def test_only_sure_cutouts_are_kept_without_their_background(tmp_path):
    photo_of(tmp_path / "in/sure.png", [255, 0, 0], 24)
    photo_of(tmp_path / "in/deep/tiny.png", [255, 0, 0], 3)
    photo_of(tmp_path / "in/huge.png", [255, 0, 0], 90)
    photo_of(tmp_path / "in/faint.png", [100, 0, 0], 24)
    photo_of(tmp_path / "in/torn.png", [0, 255, 0], 24, center=(48, 60))
    (tmp_path / "in/broken.png").write_bytes(b"broken")
    result = mine(tmp_path / "out", "--from-photos", tmp_path / "in")
    assert result.exit_code == 1
    assert "1 cutouts kept, 4 rejected, 0 seen before, 1 failed" in result.output
    assert "broken.png" in result.output

    lines = [json.loads(line) for line in (tmp_path / "out/mined.jsonl").read_text().splitlines()]
    reasons = {line["photo"]: line["rejected for"] for line in lines}
    assert reasons == {
        "deep/tiny": "area",
        "faint": "certainty",
        "huge": "area",
        "sure": None,
        "torn": "agreement",
    }
    assert [path.name for path in (tmp_path / "out").rglob("*.png")] == ["sure.png"]
    cutout = np.asarray(Image.open(tmp_path / "out/sure.png"))
    assert cutout.shape[2] == 4
    assert 46 <= cutout.shape[0] <= 64
    rim = (cutout[..., 3] > 20) & (cutout[..., 3] < 235)
    assert cutout[rim][:, 2].mean() < 25

    again = mine(tmp_path / "out", "--from-photos", tmp_path / "in")
    assert "0 cutouts kept, 0 rejected, 5 seen before, 1 failed" in again.output


def test_mined_cutouts_build_a_set(tmp_path):
    photo_of(tmp_path / "in/sure.png", [255, 0, 0], 24)
    photo_of(tmp_path / "backgrounds/b.png", [0, 0, 0], 30)
    assert mine(tmp_path / "cutouts", "--from-photos", tmp_path / "in").exit_code == 0
    recipe = tmp_path / "r.toml"
    recipe.write_text('name = "r"\n[scene]\nlong_side = [64, 64]\n[splits.all]\nper_foreground = 2')
    where = ("--foregrounds", tmp_path / "cutouts", "--backgrounds", tmp_path / "backgrounds")
    built = mine(tmp_path / "set", *where, "--recipe", recipe, "--workers", 1)
    assert "2 made" in built.output


def test_confidence_by_hand():
    first = np.array([[1.0, 1.0], [0.5, 0.0]], np.float32)
    second = np.array([[1.0, 0.5], [0.5, 0.5]], np.float32)
    found = measure([first, second])
    assert found.area == 0.625
    assert found.certainty == pytest.approx(1 - 1 / 2.5)
    assert found.agreement == pytest.approx(2.0 / 3.0, abs=1e-4)
    assert measure([np.zeros((2, 2), np.float32)] * 2).area == 0
    assert Limits().rejection_reason(measure([np.ones((2, 2), np.float32)])) == "area"


def test_other_material_does_not_go_with_mining(tmp_path):
    result = mine(tmp_path, "--from-photos", tmp_path, "--foregrounds", tmp_path)
    assert result.exit_code == 2
