"""Defaults of ``matte.toml``: what was typed wins, and what is wrong names the file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.cli.dataset_options import check_options
from mattecli.cli.evaluate import _meant
from mattecli.core.imaging.writing import write_image

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:96, :128]
    disc = np.hypot(y - 48, x - 64) < 30
    picture = np.where(disc[..., None], (230, 90, 40), (40, 90, 130)).astype(np.uint8)
    write_image(tmp_path / "photo.jpg", picture)
    cutout = np.dstack([picture, 255 * disc.astype(np.uint8)])
    write_image(tmp_path / "cutout.png", cutout)
    return tmp_path


def matte(*arguments: str):
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "300", "TERMINAL_WIDTH": "300"})


def said(result) -> str:
    """All that was printed, without the frame around errors."""
    text = " ".join(result.output.replace("│", " ").split())
    return f"{text} {result.exception}"


def defaults(text: str) -> None:
    Path("matte.toml").write_text(text)


def test_the_documented_example_goes_with_the_readmes_first_command(here):
    docs = (ROOT / "docs" / "predict.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(\[predict\].*?)```", docs, re.DOTALL)
    assert "format" in example
    defaults(example)
    result = matte("predict", "photo.jpg", "cutout.png", "--refine", "none")
    assert result.exit_code == 0, said(result)
    assert (here / "cutout.png").read_bytes().startswith(b"\x89PNG")
    assert matte("predict", "photo.jpg", "out/", "--refine", "none").exit_code == 0
    assert (here / "out" / "photo.webp").is_file()


@pytest.mark.parametrize(
    ("table", "typed", "made"),
    [
        ('format = "webp"', ["out.png"], ["out.png"]),
        ("bits = 16", ["out.webp"], ["out.webp"]),
        ("bits = 16", ["out/", "--format", "webp"], ["out/photo.webp"]),
        ('format = "webp"', ["out/", "--bits", "16"], ["out/photo.png"]),
        ('format = "jpg"\nsave = "alpha"', ["out/", "--save", "cutout"], ["out/photo.png"]),
        ('save = ["alpha", "cutout"]', ["out.png"], ["out.png"]),
        ('background = "white"', ["out/", "--save", "alpha"], ["out/photo.png"]),
        ("watch = true", ["out.png"], ["out.png"]),
        (
            'save = ["alpha", "cutout"]\nformat = "webp"\nbits = 8\nmargin = 1',
            ["out.png"],
            ["out.png"],
        ),
        ('save = ["alpha"]', ["out/"], ["out/photo.png"]),
    ],
)
def test_predict(table, typed, made, here):
    defaults(f"[predict]\n{table}\n")
    result = matte("predict", "photo.jpg", *typed, "--refine", "none", "--single-pass")
    assert result.exit_code == 0, said(result)
    found = sorted(p.relative_to(here).as_posix() for p in here.rglob("out*/*"))
    found += sorted(p.name for p in here.glob("out.*"))
    assert found == made


def test_save_of_the_file_gives_way_to_the_usual_cutout(here):
    defaults('[predict]\nsave = ["alpha", "foreground"]\n')
    assert matte("predict", "photo.jpg", "out.png", "--refine", "none").exit_code == 0
    assert cv2.imread("out.png", cv2.IMREAD_UNCHANGED).shape == (96, 128, 4)


def test_composite_and_train_and_export(here):
    defaults('[composite]\nout = "made.png"\n[train]\nsteps = 5\n[export]\nsize = "64x64"\n')
    result = matte("composite", "cutout.png", "red", "--format", "webp")
    assert result.exit_code == 0 and (here / "cutout_red.webp").is_file()
    (here / "cutouts").mkdir()
    write_image(here / "cutouts" / "a.png", np.full((9, 9, 4), [1, 2, 3, 0], np.uint8))
    assert matte("composite", "cutouts", "red").exit_code == 0
    assert (here / "composites" / "a.png").is_file()
    assert "not both" not in said(matte("train", "nowhere", "--epochs", "1"))
    assert "size of its own" not in said(matte("export", "m.onnx", "--rembg", "--weights", "no"))
    assert "not both" in said(matte("train", "nowhere", "--epochs", "1", "--steps", "2"))


def test_the_checks_that_evaluate_and_build_dataset_go_by():
    with pytest.raises(typer.BadParameter, match="needs --trimap"):
        from mattecli.cli.evaluate import Region

        _meant([Path("a"), Path("b")], None, None, None, Region.unknown)
    with pytest.raises(typer.BadParameter, match="is published"):
        check_options(
            out=Path("set"),
            check=None,
            from_photos=None,
            foregrounds=None,
            alphas=None,
            photos=None,
            backgrounds=None,
            raw=Path("raw"),
            recipe="composition-1k",
            only=None,
            per_foreground=3,
            splits=None,
            placement=None,
            outputs=None,
            bits=None,
            linear_light=False,
        )


def test_evaluate_and_build_dataset_yield(here):
    defaults('[evaluate]\nregion = "unknown"\n[build-dataset]\nper-foreground = 3\n')
    for name in ("pred", "gt"):
        write_image(here / name / "a.png", np.full((40, 40), 255, np.uint8))
    assert matte("evaluate", "pred", "gt").exit_code == 0
    result = matte("build-dataset", "set", "--recipe", "composition-1k", "--raw", "raw")
    assert "is published" not in said(result)


@pytest.mark.parametrize(
    ("table", "typed", "message"),
    [
        ('format = "jpg"', ["out/"], "cannot hold transparency"),
        ('format = "webp"\nbits = 16', ["out/"], "cannot hold 16 bits"),
        ('save = ["composite"]', ["out/"], "need one another"),
        ('matte-color = "blurple"', ["out/"], "'blurple' is no color"),
        ('background = "nothing.png"', ["out/"], "nothing.png does not exist"),
        ('weights = "nothing"', ["out/"], "no weights file"),
        ('refine = "bst"', ["out/"], "'bst' is not one of"),
        ("size = 4", ["out/"], "4"),
        ("bits = 9", ["out.png"], "--bits is 8 or 16"),
        ("margin = -1", ["out/"], "-1"),
        ("margin = nan", ["out/"], "margin = nan: --margin takes a finite number"),
        ("margin = inf", ["out/"], "margin = inf: --margin takes a finite number"),
        ("size = inf", ["out/"], "--size takes a whole number"),
        ("size = 512.0", ["out/"], "--size takes a whole number"),
        ("size = true", ["out/"], "--size takes a whole number"),
        (f"size = {10**40}", ["out/"], "--size takes a whole number"),
        ('size = "512"', ["out/"], "--size takes a whole number"),
        ("crop = 1", ["out/"], "--crop takes true or false"),
        ('crop = "yes"', ["out/"], "--crop takes true or false"),
        ("save = 3", ["out/"], "--save takes a list of text"),
        ('save = ["alpha", 3]', ["out/"], "--save takes a list of text"),
        ("[predict.format]\nx = 1", ["out/"], "--format takes text"),
        ("format = 2026-11-26", ["out/"], "--format takes text"),
        ("format = []", ["out/"], "--format takes text"),
        ('report = "a\\u0000b"', ["out/"], "--report takes text"),
    ],
)
def test_what_is_wrong_in_the_file_names_the_file(table, typed, message, here):
    defaults(f"[predict]\n{table}\n")
    result = matte("predict", "photo.jpg", *typed)
    assert result.exit_code in (1, 2)
    assert result.exception is None or type(result.exception).__name__ in (
        "MatteError",
        "SystemExit",
    )
    assert message in said(result) and "matte.toml" in said(result)
    assert not (here / "out").exists()


def test_what_is_typed_wrong_does_not_name_the_file():
    defaults('[predict]\nrefine = "fast"\nmargin = 0.1\n')
    for typed in (["--margin", "nan"], ["--margin", "inf"], ["--size", "9" * 40]):
        result = matte("predict", "photo.jpg", "out/", *typed)
        assert result.exit_code == 2 and "matte.toml" not in said(result)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[nothing]\nx = 1", "no command 'nothing'"),
        ("predict = 3", "'predict' must be a table"),
        ("predict = [1]", "'predict' must be a table"),
        ("[[predict]]\nsize = 64", "'predict' must be a table"),
        ("[weights]\nlicence = 'MIT'", "no command 'weights.licence'"),
        ("[weights.add]\nx = 1", "no option 'x' of weights.add"),
        ("[doctor]\nx = 1", "no option 'x' of doctor"),
        ("x = " + "[" * 5000, "not valid TOML"),
        ("x = " + "9" * 5000, "not valid TOML"),
        ("\x00", "not valid TOML"),
        ('"\\u001b[2J" = 1', r"no command '\x1b[2J'"),
    ],
)
def test_tables_that_are_no_commands(text, message, here):
    defaults(text)
    result = matte("predict", "photo.jpg", "out/")
    assert message in said(result) and "matte.toml" in said(result)
    assert result.exit_code == 1


def test_commands_of_commands_have_defaults_too(here, monkeypatch):
    monkeypatch.setenv("MATTE_WEIGHTS", str(here / "cache"))
    defaults('[weights.add]\nlicence = "MIT"\n')
    (here / "m.onnx").write_bytes(b"not looked into")
    assert matte("weights", "add", "m.onnx").exit_code == 0
    assert 'licence = "MIT"' in (here / "cache" / "index.toml").read_text()


@pytest.mark.parametrize(
    "text",
    ["[project", "tool = 3", "[tool]\nx = 1", "\x00", "[project]\nname = 'x'\nname = 'y'", ""],
)
def test_a_pyproject_of_somebody_else_stops_nothing(text, here):
    (here / "pyproject.toml").write_text(text)
    assert matte("predict", "photo.jpg", "out.png", "--refine", "none").exit_code == 0
    (here / "pyproject.toml").write_bytes(b"\xff\xfe")
    assert matte("composite", "cutout.png", "red").exit_code == 0


@pytest.mark.parametrize("text", ["[tool.matte.predict", "[tool]\nmatte = 3"])
def test_a_pyproject_that_means_us_is_held_to_it(text, here):
    (here / "pyproject.toml").write_text(text)
    result = matte("composite", "cutout.png", "red")
    assert result.exit_code == 1 and "pyproject.toml" in said(result)


def test_doctor_says_what_is_wrong_with_the_file_and_goes_on(monkeypatch):
    from mattecli.core import doctor

    monkeypatch.setattr(doctor, "diagnose", lambda: [doctor.Finding("matte", "looked at")])
    defaults("[predict]\nsiz = 3\n")
    result = matte("doctor")
    assert result.exit_code == 1
    assert "!!  defaults" in result.output and "no option 'siz'" in result.output
    assert "looked at" in result.output
    defaults("")
    assert matte("doctor").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nowhere", "--seed", "-1"], "seed must be 0 or more"),
        (["train", "nowhere", "--seed", str(2**63)], "too large"),
        (["build-dataset", "out", "--seed", "-1"], "--seed"),
        (["train", "nowhere", "--lr", "nan"], "no finite number"),
        (["train", "nowhere", "--loss", "l1=nan"], "loss l1 must be 0 or more, not nan"),
        (["composite", "cutout.png", "red", "--scale", "inf"], "no finite number"),
        (["predict", "photo.jpg", "o.png", "--max-megapixels", "inf"], "no finite number"),
        (["composite", "cutout.png", "red", "--position", "nan,inf"], "nan,inf"),
    ],
)
def test_numbers_that_are_none(arguments, message):
    result = matte(*arguments)
    assert result.exit_code in (1, 2) and message in said(result)
    assert type(result.exception).__name__ in ("MatteError", "SystemExit")
    assert ".toml" not in said(result), "typed, not read from a file"


def run(*command: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    shell = ["/bin/sh", "-c", *command, sys.executable]
    return subprocess.run(shell, env=environment, capture_output=True, timeout=300)


ASCII = [
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
]


@pytest.mark.parametrize("variables", ASCII, ids=["encoding", "locale"])
def test_a_terminal_that_knows_ascii_only(variables, here):
    os.rename("photo.jpg", "Größe→.jpg")
    done = run('"$0" -m mattecli predict --help', **variables)
    assert done.returncode == 0 and done.stdout.isascii() and b"Traceback" not in done.stderr
    (here / "ß.jpg").write_bytes(b"no picture")
    done = run('"$0" -m mattecli predict . out/ --refine none --json-log', **variables)
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    assert sorted(p.name for p in (here / "out").iterdir()) == ["Größe→.png", "cutout.png"]
    assert all(line.startswith(b'{"input"') for line in done.stderr.splitlines())
    assert done.stderr.isascii() and len(done.stderr.splitlines()) == 3


def test_streams_that_are_closed(here):
    done = run('"$0" -m mattecli predict - out.png <&-')
    assert done.returncode == 1 and b"standard input is closed" in done.stderr
    done = run('"$0" -m mattecli composite - red -o out.png <&-')
    assert done.returncode == 1 and b"standard input is closed" in done.stderr
    done = run('"$0" -m mattecli predict photo.jpg - >&-')
    assert done.returncode == 1 and b"standard output is closed" in done.stderr
    assert not (here / "out.png").exists()
    done = run('"$0" -m mattecli predict photo.jpg out.png --refine none <&- >&- 2>&-')
    assert done.returncode == 0 and (here / "out.png").is_file()
    assert all(b"Traceback" not in d.stderr for d in (done,))
