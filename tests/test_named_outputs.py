"""Several finished pictures of each photo, by the tables ``[outputs.NAME]`` of ``matte.toml``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from test_predict import matte, network, outputs, photo

from mattecli.core.imaging.reading import read_color, read_picture
from mattecli.core.imaging.writing import write_image
from mattecli.core.matting import subject

__all__ = ["network", "photo"]

TABLES = """
[predict]
refine = "none"

[outputs.market]
canvas = "200x200"
scale-subject = "85%"
background = "white"
format = "jpg"

[outputs.web]
save = ["cutout", "alpha"]
format = "webp"
name = "{stem}-{kind}"
grow = 2.0
"""


@pytest.fixture
def here(tmp_path, monkeypatch, photo):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "in/a/photo.png", photo)
    (tmp_path / "matte.toml").write_text(TABLES)
    return tmp_path


def test_each_output_has_its_folder_and_its_options(here):
    result = matte("in", "out", "--output", "market", "--output", "web", "--report", "r.jsonl")
    assert result.exit_code == 0, result.output
    made = ["market/a/photo.jpg", "web/a/photo-alpha.webp", "web/a/photo-cutout.webp"]
    assert outputs(here / "out") == made
    assert read_color(here / "out" / made[0]).shape == (200, 200, 3)
    assert read_picture(here / "out" / made[2]).alpha.shape == (90, 120)
    assert re.search(r"enlarged 2\.\d times to fill market's canvas", result.stderr)
    line = json.loads((here / "r.jsonl").read_text())
    assert {kind: Path(path).as_posix() for kind, path in line["outputs"].items()} == {
        "market/composite": "out/market/a/photo.jpg",
        "web/cutout": "out/web/a/photo-cutout.webp",
        "web/alpha": "out/web/a/photo-alpha.webp",
    }
    assert "1 skipped" in matte("in", "out", "--output", "market", "--resume").stderr
    assert "200x200" not in matte("in", "out", "--output", "web", "--dry-run").stdout


def test_what_is_typed_holds_for_all_outputs_that_say_nothing_else(here):
    assert matte("in", "out", "--output", "web", "--quality", 50, "--bits", 8).exit_code == 0
    lossy = (here / "out/web/a/photo-cutout.webp").read_bytes()
    assert matte("in", "out", "--output", "web").exit_code == 0
    assert lossy != (here / "out/web/a/photo-cutout.webp").read_bytes()


def test_outputs_with_the_same_edges_share_their_colors(here, monkeypatch):
    (here / "matte.toml").write_text("[outputs.a]\n[outputs.b]\nformat = 'webp'\n")
    estimated = []
    estimate = subject.estimate_foreground
    monkeypatch.setattr(
        subject, "estimate_foreground", lambda *both: estimated.append(1) or estimate(*both)
    )
    assert matte("in", "out", "--output", "a", "--output", "b").exit_code == 0
    assert outputs(here / "out") == ["a/a/photo.png", "b/a/photo.webp"] and len(estimated) == 1
    both = [read_picture(here / "out" / name) for name in ("a/a/photo.png", "b/a/photo.webp")]
    assert np.array_equal(both[0].alpha, both[1].alpha)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('[outputs.x]\ncanvass = "1:1"', "no option 'canvass' of outputs.x: did you mean 'canvas'"),
        ("[outputs.x]\nbits = true", "outputs.x"),
        ('[outputs.x]\nformat = "gif"', "outputs.x"),
        ("[outputs.x]\nquality = 500", "outputs.x"),
        ("[outputs.x]\nwatch = true", "no option 'watch' of outputs.x"),
        ('[outputs."../x"]\nbits = 8', "cannot be the name of an output"),
        ("outputs = 3", "'outputs' must hold a table"),
        ("[outputs]\nx = 3", "'outputs.x' must be a table"),
        ('[outputs.x]\ncanvas = "big"', "no canvas"),
        ("[outputs.x]\ncrop = true\npad = '5%'", "take one"),
        ("[outputs.y]\nbits = 8", "no output 'x': use one of y"),
        ("", "no tables [outputs.NAME]"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(here, table, words):
    (here / "matte.toml").write_text(table)
    result = matte("in", "out", "--output", "x")
    assert result.exit_code != 0
    said = " ".join(result.output.replace("│", " ").split()) + str(result.exception)
    assert words in said, said
    assert not (here / "out").exists()


def test_outputs_need_a_folder(here):
    assert matte("in/a/photo.png", "x.png", "--output", "web").exit_code == 2
