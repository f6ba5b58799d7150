"""``matte.toml`` and ``[tool.matte]``: defaults of options, and nothing that is misspelt."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.imaging.reading import read_picture
from mattecli.core.imaging.writing import write_image


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cutout = np.zeros((20, 30, 4), np.uint8)
    cutout[5:15, 5:15] = [255, 0, 0, 255]
    write_image(tmp_path / "cutout.png", cutout)
    return tmp_path


def matte(*arguments: str):
    # Wide, so that no message is broken into lines.
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "300", "TERMINAL_WIDTH": "300"})


def composite(*options: str):
    return matte("composite", "cutout.png", "#0000ff", *options)


def red_at(path) -> tuple[int, int]:
    """(x, y) of the upper left corner of what is red."""
    rows, columns = np.nonzero(read_picture(path).color[..., 0] > 200)
    return columns.min(), rows.min()


def test_options_take_their_defaults_from_the_file_and_the_command_line_wins(here):
    (here / "matte.toml").write_text(
        '[composite]\nposition = "bottom-right"\nscale = 0.5\nout = "made.png"\nlinear = true\n'
    )
    assert composite("--position", "top-left").exit_code == 0
    assert red_at(here / "made.png") == (3, 3)  # half of (5, 5), rounded
    assert composite("--scale", "1", "--out", "other.png").exit_code == 0
    assert red_at(here / "other.png") == (5, 5)


def test_pyproject_is_read_where_there_is_no_matte_toml(here):
    (here / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.matte.composite]\nformat = "webp"\n'
    )
    assert composite().exit_code == 0
    assert (here / "cutout_0000ff.webp").is_file()
    (here / "matte.toml").write_text("")
    assert composite().exit_code == 0
    assert (here / "cutout_0000ff.png").is_file()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[compositor]", "matte.toml: no command 'compositor': did you mean 'composite'?"),
        ("[composite]\nscales = 1", "no option 'scales' of composite: did you mean 'scale'?"),
        ("composite = 1", "'composite' must be a table"),
        ("[composite", "matte.toml: not valid TOML"),
    ],
)
def test_what_is_misspelt_is_refused(here, text, message):
    (here / "matte.toml").write_text(text)
    result = composite()
    assert message in str(result.exception)
    assert result.exit_code == 1
    assert not list(here.glob("cutout_*"))


def test_a_value_of_the_wrong_kind_is_a_usage_error(here):
    (here / "matte.toml").write_text('[composite]\nscale = "big"\n')
    result = composite()
    assert result.exit_code == 2 and "--scale" in result.output


def test_the_command_line_suggests_what_was_meant():
    assert "Did you mean 'predict'?" in matte("predcit").output
    assert "--scale" in composite("--scael", "2").output
    assert matte("--version").output.startswith("matte ")


def test_a_misspelt_file_or_color_is_suggested(here):
    (here / "photos").mkdir()
    for arguments, meant in (
        (["composite", "cutuot.png", "red"], "did you mean 'cutout.png'?"),
        (["composite", "cutout.png", "reed"], "did you mean 'red'?"),
        (["composite", "cutout.png", "cutou.png"], "did you mean 'cutout.png'?"),
        (["predict", "photo", "out"], "did you mean 'photos'?"),
        (["predict", "photos", "out", "--weights", "defualt"], "did you mean 'default'?"),
    ):
        if arguments[0] == "predict" and "--weights" in arguments:
            write_image(here / "photos" / "a.png", np.zeros((8, 8, 3), np.uint8))
        result = matte(*arguments)
        assert result.exit_code == 1
        assert meant in result.output + str(result.exception), arguments


@pytest.mark.parametrize("text", ["[composite", '[composite]\nscale = "large"'])
def test_help_is_there_while_the_file_is_broken(here, text):
    (here / "matte.toml").write_text(text)
    result = matte("composite", "--help")
    assert result.exit_code == 0
    assert "--scale" in result.output
    assert composite("-o", "out.png").exit_code != 0
    assert not (here / "out.png").exists()
