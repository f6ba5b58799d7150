"""``matte predict``, with a network that takes red for subject, so that right results are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.imaging.reading import read_alpha, read_picture
from mattecli.core.imaging.writing import encode, write_image
from mattecli.core.network.config import NetworkConfig
from mattecli.core.runtime import loading
from mattecli.core.runtime.torch_model import TorchModel


class RedIsSubject(torch.nn.Module):
    """Alpha is the red channel."""

    config = NetworkConfig(predict_size=64)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image[:, :1]


def load_red_is_subject(weights, device, precision, size, max_concurrency=1) -> TorchModel:
    return TorchModel(RedIsSubject(), torch.device("cpu"), size=size)


@pytest.fixture(autouse=True)
def network(monkeypatch):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)


@pytest.fixture
def photo() -> np.ndarray:
    """A red disc on blue, with a soft rim of a known alpha, 90x120."""
    y, x = np.mgrid[0:90, 0:120]
    alpha = np.clip((30 - np.hypot(y - 40, x - 70)) / 6 + 0.5, 0, 1)[..., None]
    color = alpha * [255, 0, 0] + (1 - alpha) * [0, 0, 200]
    return np.rint(color).astype(np.uint8)


def matte(*arguments: object, stdin: bytes | None = None):
    return CliRunner().invoke(app, ["predict", *map(str, arguments)], input=stdin)


def outputs(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_cutout_has_straight_colors_and_no_old_background(photo, tmp_path):
    write_image(tmp_path / "photo.png", photo)
    assert matte(tmp_path / "photo.png", tmp_path / "cutout.png", "--size", 128).exit_code == 0
    cutout = read_picture(tmp_path / "cutout.png")
    truth = photo[..., 0] / 255
    assert np.abs(cutout.alpha / 255 - truth).mean() < 0.01
    rim = (cutout.alpha > 25) & (cutout.alpha < 230)
    # Premultiplied color would be dark here, the photo's own color bluish.
    assert cutout.color[rim].mean(axis=0)[0] > 235
    assert cutout.color[rim].mean(axis=0)[2] < 20
    assert not cutout.color[:5, :5].any()


def test_kinds_get_folders_of_their_own(photo, tmp_path):
    write_image(tmp_path / "in" / "a" / "photo.jpg", photo)
    kinds = ["--save", "alpha", "--save", "foreground", "--save", "composite"]
    result = matte(tmp_path / "in", tmp_path / "out", *kinds, "--background", "#00ff00")
    assert result.exit_code == 0
    assert outputs(tmp_path / "out") == [
        f"{k}/a/photo.png" for k in ("alpha", "composite", "foreground")
    ]
    alpha = Image.open(tmp_path / "out/alpha/a/photo.png")
    assert (alpha.mode, alpha.size) == ("L", (120, 90))
    composite = read_picture(tmp_path / "out/composite/a/photo.png")
    assert composite.alpha is None
    assert np.abs(composite.color[0, 0].astype(int) - [0, 255, 0]).max() <= 12
    foreground = read_picture(tmp_path / "out/foreground/a/photo.png")
    assert foreground.alpha is None
    assert np.abs(foreground.color[40, 70].astype(int) - [255, 0, 0]).max() <= 8


def test_no_photo_loses_its_result_to_another(photo, tmp_path):
    results = {
        "a/x.jpg": "a/x.jpg.png",
        "a/x.webp": "a/x.webp.png.png",
        "a/x.webp.png": "a/x.webp.png",
        "b/x.png": "b/x.png",
        "a/y.png": "a/y.png",
        "Y/é ü.png": "Y/é ü.png",
        "-z.png": "-z.png",
    }
    for name in results:
        write_image(tmp_path / "in" / name, photo)
    assert matte(tmp_path / "in", tmp_path / "out").exit_code == 0
    assert outputs(tmp_path / "out") == sorted(results.values())


def test_very_long_names(photo, tmp_path):
    name = "n" * 251 + ".jpg"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(encode(photo, ".jpg"))
    result = matte(tmp_path / "in", tmp_path / "out", "--format", "webp")
    assert result.exit_code == 0
    (output,) = outputs(tmp_path / "out")
    assert len(output.encode()) == 255


def test_a_bad_photo_is_named_and_the_rest_is_done(photo, tmp_path):
    write_image(tmp_path / "in" / "good.png", photo)
    whole = (tmp_path / "in" / "good.png").read_bytes()
    (tmp_path / "in" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in" / "empty.jpg").touch()
    (tmp_path / "in" / "text.jpg").write_text("no picture")
    (tmp_path / "in" / "notes.txt").touch()
    report = tmp_path / "report.jsonl"
    result = matte(tmp_path / "in", tmp_path / "out", "--report", report)
    assert result.exit_code == 1
    assert outputs(tmp_path / "out") == ["good.png"]
    for name in ("cut.png", "empty.jpg", "text.jpg"):
        assert result.stderr.count(name) == 1
    assert "1 done, 3 failed" in result.stderr
    assert "1 other file" in result.stderr
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert sorted(line["status"] for line in lines) == ["failed"] * 3 + ["ok"]
    (done,) = [line for line in lines if line["status"] == "ok"]
    assert done["outputs"] == {"cutout": str(tmp_path / "out" / "good.png")}
    assert (done["width"], done["height"]) == (120, 90)


def test_orientation_decides_the_size_of_the_matte(photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "turned.jpg")))
    assert matte(tmp_path / "turned.jpg", tmp_path / "a.png", "--save", "alpha").exit_code == 0
    alpha = read_alpha(tmp_path / "a.png")
    assert alpha.shape == (120, 90)
    assert np.abs(alpha.astype(int) - expected[..., 0]).mean() < 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (900, 3), (333, 517)])
def test_photos_of_any_size(shape, tmp_path):
    write_image(tmp_path / "photo.png", np.full((*shape, 3), 255, np.uint8))
    assert matte(tmp_path / "photo.png", tmp_path / "a.png", "--save", "alpha").exit_code == 0
    alpha = read_alpha(tmp_path / "a.png")
    assert alpha.shape == shape
    assert alpha.min() == 255


def test_transparency_of_the_photo_is_combined(photo, tmp_path):
    own = np.full(photo.shape[:2], 255, np.uint8)
    own[:, :70] = 0
    write_image(tmp_path / "photo.png", np.dstack([photo, own]))
    assert matte(tmp_path / "photo.png", tmp_path / "a.png", "--save", "alpha").exit_code == 0
    alpha = read_alpha(tmp_path / "a.png")
    assert not alpha[:, :70].any()
    assert alpha[40, 80] == 255


def test_sixteen_bits_and_metadata(photo, tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", 3
    Image.fromarray(photo).save(tmp_path / "photo.jpg", exif=exif)
    arguments = ["--bits", 16, "--keep-metadata"]
    assert matte(tmp_path / "photo.jpg", tmp_path / "c.png", *arguments).exit_code == 0
    cutout = read_picture(tmp_path / "c.png")
    assert cutout.color.dtype == np.uint16
    assert np.unique(cutout.alpha).size > 256
    kept = Image.Exif()
    kept.load(cutout.exif)
    assert dict(kept) == {0x010F: "maker"}


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff"])
def test_profile_and_metadata_reach_every_format(photo, tmp_path, suffix):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x8298] = "someone"
    path = tmp_path / "photo.jpg"
    Image.fromarray(photo).save(path, exif=exif, icc_profile=profile)
    out = tmp_path / f"c{suffix}"
    assert matte(path, out, "--keep-metadata").exit_code == 0
    cutout = read_picture(out)
    assert cutout.icc == profile
    kept = Image.Exif()
    kept.load(cutout.exif)
    assert kept[0x8298] == "someone"
    assert matte(path, out).exit_code == 0
    assert read_picture(out).icc is None


def test_a_failing_network_names_the_photo(photo, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no such\nkernel")

    monkeypatch.setattr(TorchModel, "infer", fail)
    write_image(tmp_path / "a.png", photo)
    result = matte(tmp_path / "a.png", tmp_path / "b.png")
    assert result.exit_code == 1
    assert f"{tmp_path / 'a.png'}: RuntimeError: no such kernel" in result.stderr


def test_crop_leaves_the_subject_and_its_margin(photo, tmp_path):
    write_image(tmp_path / "photo.png", photo)
    arguments = ["--crop", "--margin", 0.1, "--size", 128]
    assert matte(tmp_path / "photo.png", tmp_path / "c.png", *arguments).exit_code == 0
    alpha = read_picture(tmp_path / "c.png").alpha
    rows = (alpha > 0).any(axis=1).nonzero()[0]
    assert 60 <= rows[-1] - rows[0] <= 72
    assert rows[0] == pytest.approx(0.1 * (rows[-1] - rows[0]), abs=1.1)
    write_image(tmp_path / "nothing.png", np.zeros((30, 40, 3), np.uint8))
    assert matte(tmp_path / "nothing.png", tmp_path / "n.png", "--crop").exit_code == 0
    assert read_picture(tmp_path / "n.png").alpha.shape == (30, 40)


def test_background_picture_fills_the_frame(photo, tmp_path):
    write_image(tmp_path / "photo.png", photo)
    scene = np.zeros((20, 60, 3), np.uint8)
    scene[:, :, 1] = 255
    scene[:, :5] = scene[:, -5:] = 255
    write_image(tmp_path / "scene.png", scene)
    arguments = ["--background", tmp_path / "scene.png"]
    assert matte(tmp_path / "photo.png", tmp_path / "c.jpg", *arguments).exit_code == 0
    picture = read_picture(tmp_path / "c.jpg")
    assert picture.color.shape == photo.shape
    # Covering 120x90 with 60x20 cuts the white ends off.
    assert np.abs(picture.color[:, 0].astype(int) - [0, 255, 0]).max() < 40


def test_pipes_carry_nothing_but_the_image(photo):
    result = matte("-", "-", stdin=encode(photo, ".jpg"))
    assert result.exit_code == 0
    assert read_picture(result.stdout_bytes).alpha.shape == photo.shape[:2]
    assert "1 done" in result.stderr
    failed = matte("-", "-", stdin=b"nonsense")
    assert failed.exit_code == 1
    assert failed.stdout_bytes == b""
    assert "standard input" in failed.stderr


@pytest.mark.parametrize("image_format", ["png", "webp", "tiff"])
def test_formats(photo, tmp_path, image_format):
    write_image(tmp_path / "in" / "photo.png", photo)
    assert matte(tmp_path / "in", tmp_path / "out", "--format", image_format).exit_code == 0
    assert outputs(tmp_path / "out") == [f"photo.{image_format}"]
    with Image.open(tmp_path / "out" / f"photo.{image_format}") as image:
        assert image.format == image_format.upper()


def test_finished_photos_are_skipped_on_demand(photo, tmp_path):
    for name in "abc":
        write_image(tmp_path / "in" / f"{name}.png", photo)
    first = tmp_path / "out" / "a.png"
    first.parent.mkdir()
    first.write_bytes(b"finished")
    result = matte(tmp_path / "in", tmp_path / "out", "--skip-existing")
    assert result.exit_code == 0
    assert "2 done, 1 skipped" in result.stderr
    assert first.read_bytes() == b"finished"
    assert matte(tmp_path / "in", tmp_path / "out").exit_code == 0
    assert read_picture(first).alpha is not None


def test_results_inside_the_tree_are_not_cut_again(photo, tmp_path):
    write_image(tmp_path / "a.png", photo)
    for _ in range(2):
        assert matte(tmp_path, tmp_path / "out").exit_code == 0
    assert outputs(tmp_path) == ["a.png", "out/a.png"]


def test_photos_are_never_overwritten(photo, tmp_path):
    write_image(tmp_path / "a.png", photo)
    before = (tmp_path / "a.png").read_bytes()
    for out in (tmp_path, tmp_path / "a.png"):
        result = matte(tmp_path, out) if out == tmp_path else matte(tmp_path / "a.png", out)
        assert result.exit_code == 1
        assert "overwrite" in str(result.exception)
    assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["{in}", "{tmp}/out.png"],
        ["{in}", "-"],
        ["-", "{tmp}/folder"],
        ["{in}/a.png", "{tmp}/out.xcf"],
        ["{in}/a.png", "{tmp}/out.jpg"],
        ["{in}/a.png", "{tmp}/out.png", "--format", "webp"],
        ["{in}/a.png", "{tmp}/out.png", "--save", "alpha", "--save", "cutout"],
        ["{in}", "{tmp}/out", "--save", "composite"],
        ["{in}", "{tmp}/out", "--save", "alpha", "--background", "white"],
        ["{in}", "{tmp}/out", "--bits", "12"],
        ["{in}", "{tmp}/out", "--bits", "16", "--format", "webp"],
        ["{in}", "{tmp}/out", "--save", "mask"],
        ["{in}", "{tmp}/out", "--preview", "{tmp}/sheet.gif"],
        ["{in}"],
    ],
)
def test_wrong_usage_is_told_before_anything_is_done(photo, tmp_path, arguments):
    write_image(tmp_path / "in" / "a.png", photo)
    filled = [text.format(**{"in": tmp_path / "in", "tmp": tmp_path}) for text in arguments]
    assert matte(*filled).exit_code == 2
    assert outputs(tmp_path) == ["in/a.png"]


def test_a_limit_on_size_can_be_set(photo, tmp_path):
    write_image(tmp_path / "a.png", photo)
    result = matte(tmp_path / "a.png", tmp_path / "b.png", "--max-megapixels", 0.01)
    assert result.exit_code == 1
    assert "limit" in result.stderr


def test_preview_shows_every_photo(photo, tmp_path):
    for name in "ab":
        write_image(tmp_path / "in" / f"{name}.png", photo)
    assert matte(tmp_path / "in", tmp_path / "out", "--preview", tmp_path / "p.png").exit_code == 0
    sheet = read_picture(tmp_path / "p.png").color
    assert sheet.shape[0] > 2 * 240
    # The middle column of each row is grey: alpha.
    middle = sheet[:, sheet.shape[1] // 2]
    assert (middle == middle[:, :1]).all()


def test_quiet_prints_nothing(photo, tmp_path):
    write_image(tmp_path / "a.png", photo)
    result = matte(tmp_path / "a.png", tmp_path / "b.png", "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_a_trimap_decides_what_it_knows_and_the_rest_is_solved(photo, tmp_path):
    """The disc is twice as dark below: the network misses half of it, a trimap brings it back."""
    photo = photo.copy()
    photo[40:] = photo[40:] * [0.3, 1, 1]
    y, x = np.mgrid[0:90, 0:120]
    distance = np.hypot(y - 40, x - 70)
    truth = np.clip((30 - distance) / 6 + 0.5, 0, 1)
    trimap = np.uint8(np.where(distance < 24, 255, np.where(distance > 36, 0, 128)))
    write_image(tmp_path / "in/a/photo.png", photo)
    write_image(tmp_path / "in/other.png", photo)
    write_image(tmp_path / "trimaps/a/photo.png", trimap)
    arguments = [tmp_path / "in", tmp_path / "out", "--save", "alpha", "--size", 128]
    assert matte(*arguments, "--trimap", tmp_path / "trimaps").exit_code == 0
    with_trimap = read_alpha(tmp_path / "out/a/photo.png") / 255
    without = read_alpha(tmp_path / "out/other.png") / 255
    assert (with_trimap[trimap == 255] == 1).all() and (with_trimap[trimap == 0] == 0).all()
    unknown = trimap == 128
    error = np.abs(with_trimap - truth)[unknown].mean()
    assert error < 0.05 and error < 0.3 * np.abs(without - truth)[unknown].mean()


def test_a_trimap_of_another_size_fits_and_one_of_another_shape_fails(photo, tmp_path):
    trimap = np.full((45, 60), 128, np.uint8)
    trimap[:, :20] = 255
    write_image(tmp_path / "photo.png", photo)
    write_image(tmp_path / "trimap.png", trimap)
    arguments = [tmp_path / "photo.png", tmp_path / "alpha.png", "--save", "alpha"]
    assert matte(*arguments, "--trimap", tmp_path / "trimap.png").exit_code == 0
    assert (read_alpha(tmp_path / "alpha.png")[:, :40] == 255).all()
    write_image(tmp_path / "trimap.png", trimap[:, :45])
    result = matte(*arguments, "--trimap", tmp_path / "trimap.png")
    assert result.exit_code == 1 and "proportions of its photo" in result.stderr


def test_trimaps_that_belong_to_no_photo_are_a_mistake(photo, tmp_path):
    write_image(tmp_path / "in/photo.png", photo)
    write_image(tmp_path / "trimaps/other.png", photo[..., 0])
    result = matte(tmp_path / "in", tmp_path / "out", "--trimap", tmp_path / "trimaps")
    assert result.exit_code == 1 and "no trimap in" in str(result.exception)


def test_json_log_is_nothing_but_json(photo, tmp_path):
    write_image(tmp_path / "in/photo.png", photo)
    (tmp_path / "in/broken.png").write_bytes(b"no picture")
    result = matte(tmp_path / "in", tmp_path / "out", "--json-log")
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert {line["status"] for line in lines} == {"ok", "failed"}
    assert len(lines) == 2


def test_a_photo_from_stdin_has_no_name_that_a_trimap_could_share(photo, tmp_path):
    write_image(tmp_path / "trimaps" / "a.png", photo)
    result = matte(
        "-", tmp_path / "x.png", "--trimap", tmp_path / "trimaps", stdin=encode(photo, ".png")
    )
    assert isinstance(result.exception, MatteError) and "no trimap" in str(result.exception)
