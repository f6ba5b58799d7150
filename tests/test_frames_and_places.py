"""Files of several frames, results among their own inputs, and what composites take."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from test_predict import load_red_is_subject
from typer.testing import CliRunner

import mattecli as matte
from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.imaging.colors import parse_color
from mattecli.core.imaging.reading import read_picture
from mattecli.core.imaging.writing import encode, write_image
from mattecli.core.runtime import loading

FRAMES = [Image.new("RGB", (40, 30), (60 + 80 * i, 200 - 60 * i, 40)) for i in range(3)]


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def several(kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    FRAMES[0].save(buffer, kind, save_all=True, append_images=FRAMES[1:], **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        *(("GIF", "frames"), ("PNG", "frames"), ("WEBP", "frames")),
        *(("AVIF", "frames"), ("TIFF", "pages")),
    ],
)
def test_only_the_first_is_used_and_that_is_said(kind, what):
    picture = read_picture(several(kind))
    assert picture.notes == (f"only the first of 3 {what} is used",)
    assert np.abs(picture.color.astype(int) - np.asarray(FRAMES[0])).max() < 8


def test_one_frame_needs_no_word():
    for kind in ("GIF", "PNG", "WEBP", "TIFF", "JPEG", "MPO", "BMP"):
        buffer = io.BytesIO()
        FRAMES[0].save(buffer, kind)
        assert read_picture(buffer.getvalue()).notes == ()


def test_deep_pages_are_counted_and_thumbnails_are_not():
    tifffile = pytest.importorskip("tifffile")
    deep = np.random.default_rng(0).integers(0, 65536, (8, 9, 3), dtype=np.uint16)
    buffer = io.BytesIO()
    unit = (deep / 65535).astype(np.float32)
    with tifffile.TiffWriter(buffer) as writer:
        for _ in range(3):
            writer.write(unit, photometric="rgb", resolution=(300, 150))
    picture = read_picture(buffer.getvalue())
    assert picture.notes == ("only the first of 3 pages is used",)
    np.testing.assert_allclose(picture.dpi, (300, 150))
    for kind, notes in ((0, ("only the first of 2 pages is used",)), (1, ())):
        buffer = io.BytesIO()
        with tifffile.TiffWriter(buffer) as writer:
            writer.write(deep, photometric="rgb")
            writer.write(deep[::2, ::2] // 2, photometric="rgb", subfiletype=kind)
        picture = read_picture(buffer.getvalue())
        np.testing.assert_array_equal(picture.color, deep)
        assert picture.notes == notes


def test_predict_and_composite_say_it(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)
    (tmp_path / "anim.gif").write_bytes(several("GIF"))
    report = tmp_path / "report.jsonl"
    result = run(
        *("predict", tmp_path / "anim.gif", tmp_path / "out.png"),
        *("--device", "cpu", "--report", report),
    )
    assert result.exit_code == 0, result.output
    assert "anim.gif: only the first of 3 frames is used" in result.stderr
    line = json.loads(report.read_text())
    assert line["status"] == "ok"
    assert line["warnings"] == ["only the first of 3 frames is used"]
    logged = run("predict", tmp_path / "anim.gif", tmp_path / "out.png", "--json-log")
    assert [json.loads(line)["status"] for line in logged.stderr.splitlines()] == ["ok"]

    buffer = io.BytesIO()
    clear = [frame.convert("RGBA") for frame in FRAMES]
    for frame in clear:
        frame.putalpha(128)
    clear[0].save(buffer, "PNG", save_all=True, append_images=clear[1:])
    (tmp_path / "anim.png").write_bytes(buffer.getvalue())
    result = run("composite", tmp_path / "anim.png", "white", "-o", tmp_path / "o.png")
    assert result.exit_code == 0
    assert "anim.png: only the first of 3 frames is used" in result.stderr
    with pytest.warns(UserWarning, match="only the first of 3 frames"):
        matte.composite(str(tmp_path / "anim.png"), "white")


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for name in ("a.jpg", "sub/b.jpg"):
        write_image(folder / name, rng.integers(0, 256, (40, 50, 3), dtype=np.uint8))
    return folder


def tree(folder) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("options", [[], ["--save", "alpha", "--save", "cutout"]])
def test_results_never_become_photos(photos, options):
    before = tree(photos)
    for out in (photos, f"{photos}/", photos / "sub" / ".."):
        result = run("predict", photos, out, "--device", "cpu", *options)
        assert result.exit_code == 1
        assert "choose another folder" in str(result.exception)
    assert tree(photos) == before
    # Inside the folder is well: results there are known as such.
    for _ in range(2):
        assert run("predict", photos, photos / "out", "--device", "cpu", *options).exit_code == 0
    kinds = ("",) if not options else ("alpha/", "cutout/")
    results = [f"out/{kind}{name}" for kind in kinds for name in ("a.png", "sub/b.png")]
    assert tree(photos) == sorted([*before, *results])


def test_a_photo_may_be_cut_beside_itself(photos):
    for _ in range(2):
        assert run("predict", photos / "a.jpg", photos, "--device", "cpu").exit_code == 0
    assert tree(photos) == ["a.jpg", "a.png", "sub/b.jpg"]


def test_a_folder_above_that_leads_back_is_refused(photos):
    write_image(photos / "sub/sub/c.jpg", np.zeros((20, 20, 3), np.uint8))
    result = run("predict", photos / "sub", photos, "--device", "cpu")
    assert result.exit_code == 1
    assert "would lie among the pictures" in str(result.exception)
    assert run("predict", photos / "sub/sub", photos, "--device", "cpu").exit_code == 0
    assert "c.png" in tree(photos)


def test_composites_never_become_cutouts_or_backgrounds(photos, tmp_path):
    cutouts = tmp_path / "cutouts"
    write_image(cutouts / "x.webp", np.full((20, 20, 4), 99, np.uint8))
    for out in (cutouts, photos):
        result = run("composite", cutouts, photos, "-o", out)
        assert result.exit_code == 1
        assert "choose another folder" in str(result.exception)
    for folder in (cutouts, photos):
        for _ in range(2):
            assert run("composite", cutouts, photos, "-o", folder / "out").exit_code == 0
        assert len(tree(folder / "out")) == 2
        shutil.rmtree(folder / "out")


def test_dots_per_inch_are_kept(tmp_path):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))
    for number, (kind, *options) in enumerate(
        [
            ("jpg",),
            ("jpg", "--keep-metadata"),
            ("png", "--bits", 16),
            ("tif", "--bits", 16, "--format", "tiff"),
        ]
    ):
        photo.save(tmp_path / f"x.{kind}", dpi=(300, 300))
        out = tmp_path / f"out-{number}"
        result = run("predict", tmp_path / f"x.{kind}", f"{out}/", "--device", "cpu", *options)
        assert result.exit_code == 0
        (made,) = out.iterdir()
        np.testing.assert_allclose(read_picture(made).dpi, (300, 300), atol=0.1)
    cutout = np.full((30, 40, 4), 99, np.uint8)
    write_image(tmp_path / "cutout.png", cutout, dpi=(200, 200))
    assert run("composite", tmp_path / "cutout.png", "red", "-o", tmp_path / "o.jpg").exit_code == 0
    np.testing.assert_allclose(read_picture(tmp_path / "o.jpg").dpi, (200, 200), atol=0.1)


def test_a_cutout_may_be_opaque_everywhere(tmp_path):
    cutout = np.random.default_rng(1).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    cutout[..., 3] = 255
    for name in ("x.png", "x.tif"):
        write_image(tmp_path / name, cutout)
        assert run("composite", tmp_path / name, "red", "-o", tmp_path / "o.png").exit_code == 0
        np.testing.assert_array_equal(read_picture(tmp_path / "o.png").color, cutout[..., :3])
    assert (matte.composite(cutout, "red") == cutout[..., :3]).all()
    with pytest.raises(MatteError, match="no transparency"):
        matte.composite(cutout[..., :3], "red")


@pytest.mark.parametrize("text", ["#11223380", "#1238", "rgba(17, 34, 51, 128)", "#11223300"])
def test_transparent_colors_are_refused(text, tmp_path):
    with pytest.raises(MatteError, match=r"is transparent.*use '#112233'"):
        parse_color(text)
    write_image(tmp_path / "x.png", np.full((20, 30, 4), 99, np.uint8))
    for command in (
        ["composite", tmp_path / "x.png", text, "-o", tmp_path / "o.png"],
        ["predict", tmp_path / "x.png", tmp_path / "o.png", "--background", text],
        ["predict", tmp_path / "x.png", tmp_path / "o.png", "--matte-color", text],
    ):
        result = run(*command)
        assert result.exit_code == 1
        assert "is transparent" in result.stderr + str(result.exception)
    assert not (tmp_path / "o.png").exists()


def test_opaque_alpha_of_a_color_is_well():
    np.testing.assert_array_equal(parse_color("#112233ff"), parse_color("#112233"))
    with pytest.raises(MatteError, match="no color"):
        parse_color("rgba(1,2,3,0.5)")


def test_a_transparent_background_lies_on_white(tmp_path):
    behind = np.zeros((20, 30, 4), np.uint8)
    write_image(tmp_path / "behind.png", behind)
    write_image(tmp_path / "x.png", behind)
    assert (
        run(
            "composite", tmp_path / "x.png", tmp_path / "behind.png", "-o", tmp_path / "o.png"
        ).exit_code
        == 0
    )
    assert read_picture(tmp_path / "o.png").color.min() == 255


def test_a_reason_names_its_photo(tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    write_image(tmp_path / "in/photo.jpg", photo)
    (tmp_path / "trimaps").mkdir()
    (tmp_path / "trimaps/photo.png").write_bytes(encode(np.zeros((50, 10), np.uint8), ".png"))
    result = run(
        *("predict", tmp_path / "in", tmp_path / "out", "--device", "cpu"),
        *("--trimap", tmp_path / "trimaps"),
    )
    assert result.exit_code == 1
    assert "photo.jpg: " in result.stderr and "trimaps/photo.png" in result.stderr
