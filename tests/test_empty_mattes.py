"""Photos in which nothing is found: said in the report, in the summary and on standard error."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.imaging.writing import write_image
from mattecli.core.inference.assessment import assess
from mattecli.core.inference.confidence import confidence_of, signs_of
from mattecli.core.inference.predictor import Predictor
from mattecli.core.network.config import NetworkConfig
from mattecli.core.runtime.torch_model import TorchModel


class RedIsSubject(torch.nn.Module):
    """Alpha is the red channel."""

    config = NetworkConfig(predict_size=64)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image[:, :1]


@pytest.fixture(autouse=True)
def network(monkeypatch):
    def load(*_, **__):
        return Predictor(TorchModel(RedIsSubject(), torch.device("cpu")))

    monkeypatch.setattr(Predictor, "load", load)


def matte(*arguments: object):
    return CliRunner().invoke(app, ["predict", *map(str, arguments), "--single-pass"])


@pytest.fixture
def photos(tmp_path):
    """A subject on a quarter of the photo, nothing, and next to nothing."""
    half = np.zeros((96, 128, 3), np.uint8)
    half[:48, :64] = 255
    faint = np.zeros((96, 128, 3), np.uint8)
    faint[..., 0] = 12
    write_image(tmp_path / "in/half.png", half)
    write_image(tmp_path / "in/nothing.png", np.zeros((96, 128, 3), np.uint8))
    write_image(tmp_path / "in/faint.png", faint)
    (tmp_path / "in/broken.png").write_bytes(b"no picture")
    return tmp_path


def test_nothing_found_is_empty_and_not_done(photos):
    result = matte(photos / "in", photos / "out", "--report", photos / "report.jsonl")
    assert result.exit_code == 1
    assert "1 done, 2 empty, 1 failed" in result.stderr
    assert f"matte: {photos / 'in/nothing.png'}: nothing found" in result.stderr
    lines = map(json.loads, (photos / "report.jsonl").read_text().splitlines())
    by_name = {line["input"].rsplit("/", 1)[-1].removesuffix(".png"): line for line in lines}
    statuses = {name: line["status"] for name, line in by_name.items()}
    assert statuses == {"half": "ok", "nothing": "empty", "faint": "empty", "broken": "failed"}
    assert by_name["half"]["subject"] == pytest.approx(0.25, abs=0.01)
    assert 0 < by_name["half"]["confidence"] < 1
    assert by_name["nothing"]["reason"] == "nothing found"
    assert by_name["nothing"]["subject"] == 0
    assert by_name["broken"]["subject"] is by_name["broken"]["confidence"] is None
    # An empty cutout is a result: what runs later on may count on its being there.
    assert by_name["nothing"]["outputs"]["cutout"].endswith("nothing.png")
    assert (photos / "out/nothing.png").exists()


def test_nothing_found_in_the_json_log(photos):
    result = matte(photos / "in/nothing.png", photos / "x.png", "--json-log")
    assert result.exit_code == 0
    (line,) = map(json.loads, result.stderr.splitlines())
    assert (line["status"], line["subject"], line["confidence"]) == ("empty", 0, 0)


def test_quiet_runs_say_nothing_of_empty_photos(photos):
    result = matte(photos / "in/nothing.png", photos / "x.png", "--quiet")
    assert (result.exit_code, result.stderr) == (0, "")


def shown(alpha: np.ndarray) -> np.ndarray:
    """Give a photo in which the subject is lighter than what is behind."""
    return np.repeat((60 + 120 * alpha).astype(np.uint8)[..., None], 3, axis=2)


def test_the_share_and_the_signs_are_those_of_their_definition():
    alpha = np.zeros((10, 10), np.float32)
    alpha[:2], alpha[2], alpha[3] = 1, 0.75, 0.01
    color = shown(alpha)
    seen = assess(alpha, color)
    assert seen.subject == pytest.approx((20 + 7.5 + 0.1) / 100)
    assert not seen.is_empty
    signs = signs_of(alpha, color)
    assert signs.decided == pytest.approx((20 * 1 + 10 * 0.5) / 30)
    assert signs.unsure == pytest.approx(10 / 30)
    assert seen.confidence == confidence_of(signs)
    assert signs_of(np.full((10, 10), 0.5, np.float32), color).decided == 0
    assert assess(np.zeros((10, 10), np.float32), color).is_empty


def test_a_few_pixels_in_a_large_photo_are_something_and_a_speck_is_not():
    alpha = np.zeros((2000, 3000), np.float32)
    alpha[100:105, 100:105] = 1
    assert assess(alpha, shown(alpha)).is_empty
    alpha[100:120, 100:120] = 1
    assert not assess(alpha, shown(alpha)).is_empty


def test_confidence_does_not_depend_on_the_size_of_the_photo():
    y, x = np.indices((400, 400))
    large = (np.hypot(y - 200, x - 200) < 100).astype(np.float32)
    small = large.reshape(100, 4, 100, 4).mean(axis=(1, 3))
    of_large = assess(large, shown(large), (100, 100)).confidence
    assert of_large == pytest.approx(assess(small, shown(small)).confidence, abs=1e-3)


def test_confidence_falls_with_doubt():
    sharp = np.zeros((64, 64), np.float32)
    sharp[16:48, 16:48] = 1
    soft, vague = (cv2.blur(sharp, (side, side)) for side in (5, 31))
    color = shown(sharp)
    chances = [confidence_of(signs_of(alpha, color)) for alpha in (sharp, soft, vague)]
    assert 1 > chances[0] > chances[1] > chances[2] > 0
    assert not assess(sharp, color).is_doubtful and assess(vague, color).is_doubtful


def test_confidence_falls_where_the_outline_lies_on_no_edge_of_the_photo():
    left, right = np.zeros((64, 64), np.float32), np.zeros((64, 64), np.float32)
    left[16:48, 8:24] = right[16:48, 32:48] = 1
    color = shown(left)
    assert signs_of(left, color).faint == 0 and signs_of(right, color).faint == 1
    assert 0.4 < signs_of(np.maximum(left, right), color).faint < 0.6
    assert assess(right, color).confidence < assess(left, color).confidence
    # The photo may be of any size, and of 16 bits.
    larger = cv2.resize(color, (256, 256), interpolation=cv2.INTER_NEAREST).astype(np.uint16) * 257
    assert assess(left, larger).confidence == assess(left, color).confidence
