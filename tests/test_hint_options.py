"""Hints on the command line: options, files beside photos, lists for a folder."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from mattecli.cli.app import app
from mattecli.core.imaging.reading import read_alpha
from mattecli.core.imaging.writing import write_image

HEIGHT, WIDTH = 96, 160


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Photos `a.png`, `b.png` and `c/d.png` of two discs each."""
    monkeypatch.chdir(tmp_path)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = np.full((HEIGHT, WIDTH, 3), (90, 130, 90), np.uint8)
    image[(rows - 48) ** 2 + (columns - 40) ** 2 < 28**2] = (200, 40, 30)
    image[(rows - 48) ** 2 + (columns - 120) ** 2 < 22**2] = (30, 40, 200)
    for name in ("a.png", "b.png", "c/d.png"):
        write_image(tmp_path / "in" / name, image)
    return tmp_path


def predict(*arguments: object) -> Result:
    words = ["predict", *map(str, arguments), "--save", "alpha", "--device", "cpu"]
    return CliRunner().invoke(app, words)


def strokes(path, columns: slice, shape=(HEIGHT, WIDTH)) -> None:
    drawn = np.zeros((*shape, 3), np.uint8)
    drawn[40:56, columns] = (250, 0, 120)
    write_image(path, drawn)


def matte(name: str = "a.png") -> np.ndarray:
    return read_alpha("out/" + name)


def test_boxes_and_points_hold_for_every_photo(here):
    result = predict("in", "out", "--box", "0,0,50%,100%", "--point", "40,48", "-q")
    assert result.exit_code == 0, result.output
    for name in ("a.png", "c/d.png"):
        assert matte(name)[48, 40] == 255 and matte(name)[:, 80:].max() == 0


def test_strokes_go_by_the_photos_names(here):
    strokes(here / "keep/a.png", slice(30, 50))
    strokes(here / "drop/a.png", slice(112, 128))
    assert predict("in", "out", "--keep", "keep", "--drop", "drop").exit_code == 0
    assert matte("a.png")[48, 40] == 255 and matte("a.png")[48, 120] == 0
    assert predict("in/b.png", "out/x.png", "--drop", "drop/a.png").exit_code == 0
    assert matte("x.png")[48, 120] == 0


def test_photos_that_differ_by_their_suffix_are_told_apart_by_it(here):
    (here / "in/a.png").rename(here / "in/b.webp")
    strokes(here / "drop/b.png.png", slice(112, 128))
    assert predict("in", "out", "--drop", "drop").exit_code == 0
    assert matte("b.png.png")[48, 120] == 0 and matte("b.webp.png")[48, 120] > 0
    (here / "drop/b.png.png").rename(here / "drop/b.png")
    result = predict("in", "other", "--drop", "drop")
    assert result.exit_code == 1 and not (here / "other").exists()
    assert str(result.exception) == (
        "drop/b.png: b is the name of several photos: add the suffix, as in b.png.png"
    )


def test_a_name_with_the_suffix_holds_for_a_photo_and_once(here):
    strokes(here / "drop/a.png.png", slice(112, 128))
    assert predict("in", "out", "--drop", "drop", "--only-hinted").exit_code == 0
    assert matte()[48, 120] == 0 and not (here / "out/b.png").exists()
    strokes(here / "drop/a.png", slice(112, 128))
    result = predict("in", "out", "--drop", "drop")
    assert "drop/a.png and drop/a.png.png are of one photo" in str(result.exception)


def test_a_rough_matte_says_what_is_meant(here):
    rough = np.zeros((HEIGHT, WIDTH), np.uint8)
    rough[30:66, 100:140] = 255
    write_image(here / "rough.png", rough)
    assert predict("in/a.png", "out/a.png", "--guide", "rough.png").exit_code == 0
    assert matte()[48, 120] == 255 and matte()[:, :70].max() == 0


def hint_file(here, kind: str) -> str:
    if kind == "csv":
        text = 'photo,box,points,drop\na.png,"0,0,80,96","40,48; 40,50",\nc/d,,,strokes.png\n'
        (here / "hints.csv").write_text(text)
    else:
        listed = {"a.png": {"box": [0, 0, 80, 96], "points": [[40, 48]]}}
        listed["c/d"] = {"drop": "strokes.png"}
        if kind == "list.json":
            listed = [{"photo": name, **hints} for name, hints in listed.items()]
        (here / "hints.json").write_text(json.dumps(listed))
    return "hints." + kind.split(".")[-1]


@pytest.mark.parametrize("kind", ["csv", "json", "list.json"])
def test_a_list_has_hints_for_some_photos(kind, here):
    strokes(here / "strokes.png", slice(112, 128))
    result = predict("in", "out", "--hints", hint_file(here, kind), "--not-point", "50%,1")
    assert result.exit_code == 0, result.output
    assert matte("a.png")[:, 80:].max() == 0 and matte("a.png")[48, 40] == 255
    assert matte("c/d.png")[48, 120] == 0
    assert all(matte(name)[1, 80] == 0 for name in ("a.png", "b.png", "c/d.png"))


def test_all_in_a_list_is_a_subject_too(here):
    (here / "h.csv").write_text("photo,subject\na.png,all\n")
    result = predict("in", "out", "--subject", "largest", "--hints", "h.csv", "--only-hinted")
    assert result.exit_code == 0 and not (here / "out/b.png").exists()
    assert predict("in/a.png", "out/plain.png").exit_code == 0
    assert np.array_equal(matte(), matte("plain.png"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("h.csv", "photo,box\nzz.png,\n", "h.csv, line 2: in has no photo zz.png"),
        ("h.csv", "photo,bax\na.png,\n", "there is no hint 'bax': did you mean 'box'?"),
        ("h.csv", "photo,box,box\na.png,,\n", "h.csv has two columns 'box': keep one of them"),
        ("h.csv", "photo;box\na.png;\n", "h.csv: separate columns by commas"),
        ("h.csv", "photo,subject\r\n\r\na.png,big\r\n", "h.csv, line 3: no subject 'big'"),
        ("h.csv", "p\0h\0o\0t\0o\0", "cannot read h.csv: it is no text in UTF-8"),
        ("h.csv", "photo\ncaf\udce9\n", "in has no photo caf\\xe9: save the list in UTF-8"),
        ("h.csv", "photo,box\na.png,1,2,3,4\n", "h.csv, line 2 has not as many cells"),
        ("h.csv", 'photo,box\na.png,"1,2,3"\n', "line 2: the box '1,2,3' is not x,y,width,height"),
        ("h.csv", 'photo,box\na.png,"1,2,3,400%"\n', "has 400%: percent are 0 to 100"),
        ("h.csv", "photo,keep\na.png,no.png\n", "there is no file no.png"),
        ("h.csv", "photo,subject\na.png,big\n", "no subject 'big'"),
        ("h.csv", "photo,box\na.png,\na.png,\n", "a.png has hints at h.csv, line 2 already"),
        ("h.csv", "photo,box\na.png,\na,\n", "a has hints already"),
        ("h.csv", "photo,box\n", "h.csv holds no hints"),
        ("h.csv", "photo,box\n,\n", "line 2 names no photo"),
        ("h.json", "{", "h.json: not valid JSON"),
        ("h.json", '{"a": {"box": 1, "box": 2}}', "h.json: an object has 'box' twice: keep one"),
        ("h.json", '{"a.png": 3}', "photo 1: hints are an object"),
        ("h.json", '{"a.png": {"points": 3}}', "'3' is no place"),
        ("h.json", '{"a.png": {"keep": 3}}', "'keep' must be a text"),
        ("h.txt", "a.png", "a list of hints is a .csv or a .json file"),
    ],
)
def test_what_is_wrong_with_a_list_is_said_before_anything_is_cut(name, text, message, here):
    (here / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    result = predict("in", "out", "--hints", name)
    assert result.exit_code == 1
    assert message in str(result.exception)
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--box", "1,2,3"], "the box '1,2,3' is not x,y,width,height"),
        (["--point", "101%,5"], "percent are 0 to 100"),
        (["--not-point", "5"], "the not-point '5' is not x,y"),
        (["--watch", "--keep", "keep"], "no --keep"),
        (["--subject", "biggest"], "biggest"),
    ],
)
def test_wrong_usage_is_told_at_once(arguments, message, here):
    result = predict("in", "out", *arguments)
    assert result.exit_code == 2 and message in result.output.replace("\n", " ")


def test_hints_that_fit_no_photo_are_no_silent_loss(here):
    strokes(here / "keep/a.png", slice(30, 50))
    strokes(here / "keep/e.png", slice(30, 50))
    result = predict("in", "out", "--keep", "keep")
    assert result.exit_code == 1
    assert str(result.exception) == "keep/e.png has the name of no photo in in"
    assert not (here / "out").exists()


def test_a_photo_that_its_hints_do_not_fit_fails_alone(here):
    strokes(here / "keep/a.png", slice(30, 50), shape=(96, 96))
    strokes(here / "keep/b.png", slice(30, 50))
    write_image(here / "keep/c/d.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    result = predict("in", "out", "--keep", "keep", "--json-log")
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    reasons = {line["input"]: line["reason"] for line in lines}
    assert "keep/a.png is 96x96 but its photo 160x96" in reasons["in/a.png"]
    assert reasons["in/b.png"] == ""
    assert "keep/c/d.png marks nothing" in reasons["in/c/d.png"]
    assert not (here / "out/a.png").exists() and (here / "out/b.png").exists()
    result = predict("in/a.png", "x.png", "--box", "100,0,100,50")
    assert result.exit_code == 1
    assert "the box 100,0,100,50 reaches beyond its photo of 160x96 pixels" in result.stderr


def test_clips_take_no_lists_of_hints(here):
    (here / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    result = predict("clip.mp4", "out.mov", "--trimap", "trimap.png")
    assert result.exit_code == 2 and "--trimap" in result.output
