"""What matte writes, it reads again: every format as a cutout, a matte, a trimap and a photo."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_decoding_limits import run
from test_deep_color import ADOBE, GAMMA, profile
from test_predict import network  # noqa: F401

from mattecli.core.errors import MatteError
from mattecli.core.imaging.colors import srgb_to_linear
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.pixels import to_8_bit
from mattecli.core.imaging.quiet import without_lines
from mattecli.core.imaging.reading import has_alpha, image_size, read_alpha, read_picture, to_srgb
from mattecli.core.imaging.trimaps import read_trimap
from mattecli.core.imaging.walking import find_images
from mattecli.core.imaging.writing import LAYERED, SUFFIXES, WITH_ALPHA, encode, write_image

#: Extras that formats need.
PACKAGES = {".exr": "OpenEXR", ".psd": "psd_tools"}
#: Mean difference of pixels, of 255; those that are not here keep every one.
LOSSES = {".avif": 2, ".jpg": 2, ".jpeg": 2, ".exr": 0.1}


@pytest.fixture
def photo(tmp_path) -> Path:
    """A disc of orange hues on blue with a broad soft rim, 48x64; red is taken for subject."""
    y, x = np.mgrid[0:48, 0:64]
    alpha = np.clip((16 - np.hypot(y - 24, x - 32)) / 10 + 0.5, 0, 1)[..., None]
    subject = np.dstack([np.full(y.shape, 255), 20 + 3 * x, 2 * y])
    array = np.rint(alpha * subject + (1 - alpha) * [0, 0, 200]).astype(np.uint8)
    write_image(tmp_path / "photo.png", array)
    return tmp_path / "photo.png"


def far_apart(first: Path, second: Path) -> float:
    one, other = (to_8_bit(read_picture(path).color).astype(int) for path in (first, second))
    assert one.shape == other.shape
    return float(np.abs(one - other).mean())


@pytest.mark.parametrize("suffix", [s for s in WITH_ALPHA if s != ".psd"])
def test_a_cutout_of_any_format_lies_on_a_background_as_its_png_does(photo, tmp_path, suffix):
    pytest.importorskip(PACKAGES.get(suffix, "numpy"))
    (tmp_path / "cuts").mkdir()
    for cut in (tmp_path / f"cuts/cut{suffix}", tmp_path / "cut.png"):
        assert run("predict", photo, cut).exit_code == 0
        assert run("predict", photo, cut, "--crop").exit_code == 0  # over the first
        assert has_alpha(cut)
        # Straight or premultiplied colors: a wrong reading makes the rim dark or bright.
        made = run("composite", cut, "#c0e8f0", "-o", tmp_path / f"{cut.suffix[1:]}.made.png")
        assert made.exit_code == 0, made.output
        assert image_size(cut) == read_picture(cut).color.shape[1::-1]
    name = f"{suffix[1:]}.made.png"
    assert far_apart(tmp_path / name, tmp_path / "png.made.png") <= LOSSES.get(suffix, 0)
    # A folder of them is one of cutouts, too.
    assert find_images(tmp_path / "cuts") == [tmp_path / f"cuts/cut{suffix}"]
    result = run("composite", tmp_path / "cuts", "#c0e8f0", "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert far_apart(tmp_path / "out/cut.png", tmp_path / name) == 0


def test_layers_of_a_psd_are_no_cutout_and_it_says_so(photo, tmp_path):
    pytest.importorskip("psd_tools")
    for _ in range(2):
        assert run("predict", photo, tmp_path / "cut.psd").exit_code == 0
    # What other programs show is all of its layers together.
    assert run("predict", photo, tmp_path / "cut.png").exit_code == 0
    assert run("composite", tmp_path / "cut.png", photo, "-o", tmp_path / "all.png").exit_code == 0
    assert far_apart(tmp_path / "cut.psd", tmp_path / "all.png") < 0.5
    result = run("composite", tmp_path / "cut.psd", "white", "-o", tmp_path / "made.png")
    assert result.exit_code == 1
    assert "cut.psd has no transparency" in result.output and "save it as PNG" in result.output
    assert not (tmp_path / "made.png").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_matte_of_any_format_scores_as_its_png_does(photo, tmp_path, suffix):
    pytest.importorskip(PACKAGES.get(suffix, "numpy"))
    for name in (f"mattes/photo{suffix}", "truth/photo.png"):
        (tmp_path / name).parent.mkdir()
        assert run("predict", photo, tmp_path / name, "--save", "alpha").exit_code == 0
    result = run("evaluate", tmp_path / "mattes", tmp_path / "truth", "--json", tmp_path / "s.json")
    assert result.exit_code == 0, result.output
    (scores,) = json.loads((tmp_path / "s.json").read_text())["images"]
    assert scores["mad"] <= LOSSES.get(suffix, 0) / 255 * 1000 / 2


@pytest.mark.parametrize("suffix", WITH_ALPHA)
def test_of_a_cutout_of_any_format_the_alpha_is_evaluated(photo, tmp_path, suffix):
    if suffix == ".psd":
        pytest.skip("a PSD is opaque as a whole")
    pytest.importorskip(PACKAGES.get(suffix, "numpy"))
    assert run("predict", photo, tmp_path / f"cut{suffix}").exit_code == 0
    assert run("predict", photo, tmp_path / "a.png", "--save", "alpha").exit_code == 0
    alpha, truth = read_mask(tmp_path / f"cut{suffix}").alpha, read_mask(tmp_path / "a.png").alpha
    assert np.abs(alpha / np.iinfo(alpha.dtype).max - truth / 255).mean() < 0.004


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_trimap_of_any_format_is_understood(photo, tmp_path, suffix):
    pytest.importorskip(PACKAGES.get(suffix, "numpy"))
    for path in (tmp_path / f"t{suffix}", tmp_path / "truth.png"):
        assert run("predict", photo, path, "--save", "trimap").exit_code == 0
    same = read_trimap(tmp_path / f"t{suffix}") == read_trimap(tmp_path / "truth.png")
    assert same.mean() > (0.9 if suffix in LOSSES and suffix != ".exr" else 0.9999)


@pytest.mark.parametrize("suffix", [*SUFFIXES, *LAYERED])
def test_a_composite_of_any_format_is_a_photo_again(photo, tmp_path, suffix):
    pytest.importorskip(PACKAGES.get(suffix, "numpy"))
    for path in (tmp_path / f"made{suffix}", tmp_path / "truth.png"):
        result = run("predict", photo, path, "--save", "composite", "--background", "#336699")
        assert result.exit_code == 0, result.output
    assert run("predict", tmp_path / f"made{suffix}", tmp_path / "again.png").exit_code == 0
    picture, truth = read_picture(tmp_path / f"made{suffix}"), read_picture(tmp_path / "truth.png")
    color = picture.color / np.iinfo(picture.color.dtype).max * 255
    assert np.abs(color - truth.color).mean() <= max(0.2, LOSSES.get(suffix, 0))


@pytest.mark.parametrize("suffix", [s for s in (*WITH_ALPHA, ".bmp", ".jpg") if s != ".tif"])
def test_colors_of_a_wide_profile_come_out_right_where_it_is_kept_and_where_not(tmp_path, suffix):
    """Not every format can say that its colors are not those of sRGB."""
    pytest.importorskip(PACKAGES.get(suffix, "numpy"))
    color = np.broadcast_to(np.uint8([200, 120, 90]), (32, 32, 3))
    path = tmp_path / "wide.png"
    write_image(path, color, icc=profile(GAMMA, ADOBE, "wide"))
    out = tmp_path / f"out{suffix}"
    layers = ["--save", "cutout" if suffix in LAYERED else "foreground"]
    assert run("predict", path, out, "--keep-metadata", *layers).exit_code == 0
    picture, truth = to_srgb(read_picture(out)), to_srgb(read_picture(path)).color[16, 16]
    assert abs(int(truth[0]) - 200) > 10
    assert np.abs(to_8_bit(picture.color)[16, 16].astype(int) - truth).max() <= 4


def test_light_of_other_programs_is_read_in_its_frame(tmp_path):
    """Programs for compositing write only the part of the frame where there is something."""
    openexr = pytest.importorskip("OpenEXR")
    y, x = np.mgrid[0:6, 0:8] / 8
    planes = np.dstack([x, y, x * y, 0.25 + x / 2]).astype(np.float32)
    planes[..., :3] *= planes[..., 3:]

    def window(*corners):
        return tuple(np.array(corner, np.int32) for corner in corners)

    header = {
        "compression": openexr.ZIP_COMPRESSION,
        "type": openexr.scanlineimage,
        "dataWindow": window((2, -1), (9, 4)),
        "displayWindow": window((0, 0), (11, 9)),
    }
    path = tmp_path / "light.exr"
    # Channels of two kinds, and one that is no color.
    channels = {name: planes[..., i].copy() for i, name in enumerate("RGB")}
    channels |= {"A": planes[..., 3].astype(np.float16), "Z": planes[..., 0].copy()}
    with openexr.File(header, channels) as file:
        file.write(str(path))
    picture = read_picture(path)
    assert image_size(path) == (12, 10) == picture.color.shape[1::-1]
    alpha = picture.alpha / 65535
    assert np.abs(alpha[0:5, 2:10] - planes[1:, :, 3]).max() < 1e-3
    assert not alpha[5:].any() and not alpha[:, :2].any() and not alpha[:, 10:].any()
    light = srgb_to_linear(picture.color[0:5, 2:10] / 65535)
    straight = planes[1:, :, :3] / planes[1:, :, 3:]
    assert np.abs(light - straight).max() < 2e-3
    assert read_picture(path.read_bytes()).color.shape == picture.color.shape


@pytest.mark.parametrize("channel", ["Y", "A"])
def test_mattes_of_other_programs_are_numbers(tmp_path, channel):
    openexr = pytest.importorskip("OpenEXR")
    values = np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    with openexr.File(header, {channel: values}) as file:
        file.write(str(tmp_path / "m.exr"))
    for alpha in (read_mask(tmp_path / "m.exr").alpha, read_alpha(tmp_path / "m.exr")):
        assert np.abs(alpha / 65535 - values).max() < 1e-4


@pytest.mark.parametrize(
    ("channels", "header", "says"),
    [
        ("XZ", {}, "has the channels X, Z, and no R, G and B or Y"),
        ("A", {}, "has the channels A"),
        (["Y", "RY", "BY"], {}, "and no R, G and B or Y"),
        ("RGB", {"chromaticities": (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329)},
         "other primaries than sRGB"),
    ],
)  # fmt: skip
def test_what_is_no_such_light_is_refused(tmp_path, channels, header, says):
    openexr = pytest.importorskip("OpenEXR")
    header |= {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    planes = {name: np.ones((6, 8), np.float16) for name in channels}
    with openexr.File(header, planes) as file:
        file.write(str(tmp_path / "x.exr"))
    with pytest.raises(MatteError, match=says):
        read_picture(tmp_path / "x.exr")


def test_damaged_and_large_ones_are_refused_by_name(tmp_path):
    pytest.importorskip("OpenEXR")
    data = encode(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8), ".exr")
    for end in (9, 100, len(data) // 2, len(data) - 10):
        (tmp_path / "cut.exr").write_bytes(data[:end])
        with pytest.raises(MatteError, match=r"cut\.exr"):
            read_picture(tmp_path / "cut.exr")
    (tmp_path / "large.exr").write_bytes(data)
    with pytest.raises(MatteError, match=r"large\.exr has 64x48 pixels, more than the limit"):
        read_picture(tmp_path / "large.exr", max_pixels=1000)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"dataWindow\0", b"dataWindov\0"),
        (b"displayWindow\0box2i\0", b"displayWindow\0box2j\0"),
        (b"channels\0", b"channelz\0"),
        (b"lineOrder\0lineOrder\0\1", b"lineOrder\0lineOrder\0\xff"),
        (b"compression\0compression\0\1", b"compression\0compression\0\0"),
        (b"v/1\1\2\0", b"v/1\1\2\x08"),
    ],
)
def test_bad_headers_never_reach_the_library(tmp_path, monkeypatch, old, new):
    """Some of them would end the process."""
    openexr = pytest.importorskip("OpenEXR")
    data = encode(np.zeros((6, 8, 3), np.uint8), ".exr")
    assert data.count(old) == 1
    monkeypatch.setattr(openexr, "InputFile", None)
    (tmp_path / "bad.exr").write_bytes(data.replace(old, new))
    for read in (read_picture, read_mask, image_size, has_alpha):
        with pytest.raises(MatteError, match=r"bad\.exr"):
            read(tmp_path / "bad.exr")


def test_layered_files_without_a_merged_picture_or_with_a_huge_one(tmp_path):
    for name, size in {"none.ora": 0, "huge.ora": 10**8}.items():
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("mimetype", "image/openraster")
            if size:
                file.writestr("mergedimage.png", bytes(size), zipfile.ZIP_DEFLATED)
        (tmp_path / name).write_bytes(buffer.getvalue())
    with pytest.raises(MatteError, match=r"none\.ora was saved without a merged picture"):
        read_picture(tmp_path / "none.ora")
    with pytest.raises(MatteError, match=r"huge\.ora is 100 MB, more than"):
        read_picture(tmp_path / "huge.ora", max_pixels=10**6)


def test_the_librarys_own_words_of_a_damaged_file_are_left_out(tmp_path, capfd):
    """They would tear a log of JSON; what others write meanwhile stays."""
    pytest.importorskip("OpenEXR")
    data = encode(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8), ".exr")
    (tmp_path / "cut.exr").write_bytes(data[: len(data) // 2])
    with without_lines(b"<Python Stream>"), pytest.raises(MatteError, match=r"cut\.exr"):
        os.write(2, b"of another thread\n")
        read_picture(tmp_path / "cut.exr")
    os.write(2, b"afterwards\n")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "of another thread\nafterwards\n")
