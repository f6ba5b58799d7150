"""Options that are declared once for command line, ``matte.toml`` and Python."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from typer.testing import CliRunner

import mattecli
from mattecli import api
from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.inference.options import PredictOptions
from mattecli.core.inference.run_options import RunOptions
from mattecli.core.matting.layout import Layout


def test_the_api_has_the_keywords_that_are_declared():
    declared = {field.name for field in dataclasses.fields(PredictOptions)}
    hints = {"box", "points", "not_points", "keep", "drop", "trimap", "guide", "subject"}
    assert set(api.PredictKeywords.__annotations__) == declared | hints
    layout = {field.name for field in dataclasses.fields(Layout)}
    assert set(api.LayoutKeywords.__annotations__) | {"position"} == layout


def test_what_the_command_line_refuses_python_refuses():
    with pytest.raises(MatteError, match="no refine 'slow': use one of none, fast, best"):
        PredictOptions(refine="slow")
    with pytest.raises(MatteError, match="no precision"):
        mattecli.predict("photo.jpg", precision="fp8")
    photo = np.zeros((8, 8, 3), np.uint8)
    for alpha in (None, photo[..., 0]):
        with pytest.raises(TypeError, match="unexpected keyword argument 'quality'"):
            mattecli.cutout(photo, alpha, quality=3)


def test_old_spellings_work_and_are_not_shown():
    text = CliRunner().invoke(app, ["predict", "--help"], env={"COLUMNS": "200"}).output
    assert "--two-pass" in text and "--single-pass" in text
    assert "look" not in text.lower().replace("looked", "")


def test_batches_are_for_accelerators():
    assert [RunOptions().batch_size_on(kind) for kind in ("cpu", "cuda", "mps")] == [1, 8, 8]
    assert RunOptions(batch_size=3).batch_size_on("cpu") == 3


@pytest.mark.parametrize("command", ["predict", "evaluate", "build-dataset"])
def test_the_help_has_its_options_in_groups(command):
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "100"}).output
    panels = re.findall(r"╭─ (.+?) ─+╮", shown)
    assert len(panels) > 4
    others = shown.partition("╭─ Options ")[2].partition("╰")[0]
    assert re.findall(r"(?<=│ )--[\w-]+", others) == ["--help"]
