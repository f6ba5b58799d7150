"""The scripts in examples/, run as a user does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from mattecli.core.imaging.reading import read_color, read_picture

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(script: str, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_shop_gets_squares_with_the_product_in_the_middle(tmp_path):
    photos = tmp_path / "photos"
    (photos / "cups").mkdir(parents=True)
    (photos / "cups" / "coffee.jpg").write_bytes((EXAMPLES / "coffee.jpg").read_bytes())
    (photos / "broken.jpg").write_text("no photo")
    result = run("shop_catalogue.py", photos, tmp_path / "shop", "--side", 300)
    assert result.returncode == 1 and "broken.jpg" in result.stderr
    (made,) = [path for path in (tmp_path / "shop").rglob("*") if path.is_file()]
    assert made == tmp_path / "shop" / "cups" / "coffee.jpg"
    picture = read_color(made)
    assert picture.shape == (300, 300, 3)
    rim = np.ones((300, 300), bool)
    rim[20:-20, 20:-20] = False
    assert picture[rim].min() > 240
    assert picture[100:200, 100:200].mean() < 200


def test_an_id_photo_has_its_format_and_a_plain_background(tmp_path):
    out = tmp_path / "id.jpg"
    result = run("id_photo.py", EXAMPLES / "grace-hopper.jpg", out, "--color", "#dfe3e8")
    assert result.returncode == 0, result.stderr
    picture = read_color(out)
    assert picture.shape == (531, 413, 3)
    for corner in (picture[:20, :20], picture[:20, -20:]):
        assert np.abs(corner.astype(int) - [0xDF, 0xE3, 0xE8]).max() < 12
    # The face is in the middle: skin is redder than blue.
    face = picture[180:260, 180:240].astype(int).mean(axis=(0, 1))
    assert face[0] > face[2] + 20


def test_drawn_subjects_are_cutouts_one_sees_through(tmp_path):
    for folder in ("first", "again"):
        result = run("draw_subjects.py", tmp_path / folder, "--count", 8, "--seed", 3)
        assert result.returncode == 0, result.stderr
    paths = sorted((tmp_path / "first").iterdir())
    assert len(paths) == 8
    for path in paths:
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
        alpha = read_picture(path).alpha
        rows, columns = (np.flatnonzero(alpha.any(axis=axis)) for axis in (1, 0))
        box = alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert max(box.shape) > 0.9 * max(alpha.shape), "it fills its picture"
        assert (box == 255).mean() > 0.02 and (box == 0).mean() > 0.02, path
        assert ((box > 0) & (box < 255)).any(), "edges are soft"
