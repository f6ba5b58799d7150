"""The bundled weights on the example photos: what a new user sees first."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.imaging.reading import image_size, read_color, read_picture
from mattecli.core.inference.predictor import Predictor
from mattecli.core.runtime.loading import load_model

EXAMPLES = Path(__file__).parents[1] / "examples"

# (x, y) as shares of the photo: a point that is surely subject, and one that is surely not.
POINTS = {
    "astronaut": ((0.35, 0.62), (0.65, 0.08)),
    "cat": ((0.5, 0.6), (0.95, 0.6)),
    "coffee": ((0.45, 0.5), (0.03, 0.05)),
    "grace-hopper": ((0.5, 0.75), (0.92, 0.2)),
    "raccoon": ((0.7, 0.42), (0.95, 0.9)),
}


@pytest.fixture(scope="module")
def cutouts(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("cutouts")
    result = CliRunner().invoke(app, ["predict", str(EXAMPLES), str(out)])
    assert result.exit_code == 0, result.output
    return out


@pytest.mark.parametrize("name", POINTS)
def test_subject_is_in_and_background_is_out(cutouts, name):
    width, height = image_size(EXAMPLES / f"{name}.jpg")
    cutout = read_picture(cutouts / f"{name}.png")
    assert cutout.alpha.shape == (height, width)
    for point, low, high in zip(POINTS[name], (230, 0), (255, 25), strict=True):
        x, y = round(point[0] * width), round(point[1] * height)
        patch = cutout.alpha[y - 4 : y + 5, x - 4 : x + 5]
        assert low <= patch.mean() <= high
    # Where the subject is opaque its colors are the photo's, but for the rounding of alpha.
    opaque = cutout.alpha == 255
    difference = cutout.color[opaque].astype(int) - read_color(EXAMPLES / f"{name}.jpg")[opaque]
    assert np.abs(difference).max() <= 8


def test_cutouts_are_mined_with_the_weights_that_ship(tmp_path):
    shutil.copy(EXAMPLES / "grace-hopper.jpg", tmp_path)
    result = CliRunner().invoke(
        app, ["build-dataset", str(tmp_path / "out"), "--from-photos", str(tmp_path)]
    )
    assert result.exit_code == 0, (result.output, result.exception)
    (line,) = map(json.loads, (tmp_path / "out/mined.jsonl").read_text().splitlines())
    assert line["photo"] == "grace-hopper"
    assert 0.3 < line["area"] < 0.8
    assert 0.5 < line["agreement"] < 1, "the three views are not one and the same"


def test_small_photos_are_not_enlarged_far_for_the_network():
    """Lengths of the long side, for the network and in the photo."""
    sizing = load_model(device="cpu").sizing
    sides = {long: max(sizing.input_size(long, long // 2)) for long in (100, 512, 600, 4000)}
    assert sides[100] == sides[512] == sizing.first_pass_size == 512
    assert abs(sides[600] - 600) <= 16
    assert sides[4000] == sizing.size > 600
    assert max(load_model(device="cpu", size=640).sizing.input_size(100, 50)) == 640


def test_another_scale_leaves_the_predictor_as_it_was():
    predictor = Predictor.load(device="cpu", two_pass=False)
    smaller = predictor.at_scale(0.5)
    assert max(predictor.planner.sizes(512, 256).last) == 512
    assert max(smaller.planner.sizes(512, 256).last) == 256
