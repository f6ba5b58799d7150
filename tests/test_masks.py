"""What the numbers of masks mean, in every command that takes some."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import mattecli as matte
from mattecli.cli.app import app
from mattecli.core.dataset.sample_cache import SampleCache
from mattecli.core.errors import MatteError
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.masks import MaskError
from mattecli.core.imaging.writing import write_image

DISC = np.hypot(*np.mgrid[-24:24, -32:32]) < 18
TRUTH = DISC.astype(np.uint8) * np.uint8(255)
VOC = np.zeros((256, 3), np.uint8)
# Index 7 is grey, which makes its mask look like a faint matte.
VOC[1:8] = [[128 * (i & 1), 128 * (i >> 1 & 1), 128 * (i >> 2 & 1)] for i in range(1, 8)]
VOC[255] = (224, 224, 192)


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def palette(indices: np.ndarray, colors: np.ndarray = VOC) -> Image.Image:
    image = Image.fromarray(indices.astype(np.uint8), "P")
    image.putpalette(colors.tobytes())
    return image


def stored(what: object, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image = what if isinstance(what, Image.Image) else Image.fromarray(what)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


ONE = DISC.astype(np.uint8)
UNDERSTOOD = {
    "0 and 1": (stored(ONE), "0 and 1"),
    "0 and 1, 16 bits": (stored(ONE.astype(np.uint16)), "0 and 1"),
    "0 and 1, RGB": (stored(np.stack([ONE] * 3, axis=-1)), "0 and 1"),
    "0 and 1, opaque RGBA": (stored(np.dstack([ONE, ONE, ONE, ONE * 0 + 255])), "0 and 1"),
    "0 and 1 in alpha": (stored(np.dstack([ONE * 9] * 3 + [ONE])), "0 and 1"),
    "0 and 1, BMP": (stored(ONE, "BMP"), "0 and 1"),
    "0 and 1, PGM": (stored(ONE, "PPM"), "0 and 1"),
    "0 and 1, 2 bits": (
        stored(palette(ONE, VOC[:4] * 0 + np.uint8([[0], [1], [2], [3]]))),
        "0 and",
    ),
    "8 in 16 bits": (stored(TRUTH.astype(np.uint16)), "8-bit values in 16 bits"),
    "12 in 16 bits": (stored(TRUTH.astype(np.uint16) // 255 * 4095), "12-bit values in 16 bits"),
    "15 in 16 bits": (stored(TRUTH.astype(np.uint16) // 255 * 32767), "15-bit values in 16 bits"),
    "palette 1": (stored(palette(ONE)), "index 1 is taken as opaque"),
    "palette 7, grey": (stored(palette(ONE * 7)), "index 7 is taken as opaque"),
    "palette 15": (stored(palette(ONE * 15)), "index 15 is taken as opaque"),
    "palette, GIF": (stored(palette(ONE), "GIF"), "is taken as opaque"),
    "palette, TIFF": (stored(palette(ONE), "TIFF"), "index 1 is taken as opaque"),
    "int32 0 and 1": (stored(ONE.astype(np.int32), "TIFF"), "0 and 1"),
    "int32 0 and 255": (stored(TRUTH.astype(np.int32), "TIFF"), "255 is taken as opaque"),
    "int32 0 and 65535": (stored(TRUTH.astype(np.int32) * 257, "TIFF"), "65535 is taken"),
    "int32, all": (stored(ONE.astype(np.int32) * (2**31 - 1), "TIFF"), "2147483647 is taken"),
}
PLAIN = {
    "grey": stored(TRUTH),
    "one bit": stored(Image.fromarray(TRUTH).convert("1")),
    "grey palette": stored(palette(ONE, np.uint8([[0] * 3, [255] * 3]))),
    "two bits": stored(palette(ONE * 3, np.uint8([[v] * 3 for v in (0, 85, 170, 255)])), bits=2),
    "float": stored(DISC.astype(np.float32), "TIFF"),
    "float to 255": stored(TRUTH.astype(np.float32), "TIFF"),
    "cutout": stored(np.dstack([TRUTH // 2, TRUTH, TRUTH // 3, TRUTH])),
    "JPEG": stored(Image.fromarray(TRUTH).convert("RGB"), "JPEG", quality=100),
    "empty": stored(TRUTH * 0),
    "16 bits": stored(TRUTH.astype(np.uint16) * 257),
}
REFUSED = {
    "labels": (stored(ONE * 2), "up to 2 of 255"),
    "many labels": (stored((np.arange(3072).reshape(48, 64) // 150).astype(np.uint8)), "up to 20"),
    "palette, several": (stored(palette(ONE + np.roll(ONE, 8))), "labels 0, 1, 2"),
    "palette, void": (stored(palette(TRUTH)), "labels 0, 255"),
    "RGB labels": (stored(VOC[ONE]), "is colored"),
    "photo": (stored(VOC[np.arange(3072).reshape(48, 64) % 8]), "is colored"),
    "int32 labels": (stored(ONE.astype(np.int32) * 1000, "TIFF"), "up to 1000"),
    "int32 negative": (stored(ONE.astype(np.int32) * -1, "TIFF"), "from -1 to 0"),
    "float labels": (stored(ONE.astype(np.float32) * 3, "TIFF"), "labels"),
    "float, nan": (stored(np.where(DISC, np.float32("nan"), 0), "TIFF"), "no numbers"),
    "float, inf": (stored(np.where(DISC, np.float32("inf"), 0), "TIFF"), "no numbers"),
    "faint 16 bits": (stored(ONE.astype(np.uint16) * 200), "up to 200 of 65535"),
}


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_odd_masks_are_understood_and_said(name):
    data, words = UNDERSTOOD[name]
    mask = read_mask(data)
    full = np.iinfo(mask.alpha.dtype).max
    np.testing.assert_array_equal(mask.alpha, DISC * full)
    assert words in mask.note


@pytest.mark.parametrize("name", PLAIN)
def test_plain_masks_need_no_word(name):
    mask = read_mask(PLAIN[name])
    full = np.iinfo(mask.alpha.dtype).max
    expected = DISC * full if name != "empty" else DISC * 0
    assert np.abs(mask.alpha.astype(int) - expected).max() <= (12 if name == "JPEG" else 0)
    assert mask.note == ""


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_mask_is_refused(name, tmp_path):
    data, words = REFUSED[name]
    (tmp_path / "mask.png").write_bytes(data)
    with pytest.raises(MaskError, match=words) as error:
        read_mask(tmp_path / "mask.png")
    assert "mask.png" in str(error.value)


def test_what_a_prediction_hardly_found_is_scored(tmp_path):
    faint = np.zeros((48, 64), np.uint8)
    faint[10:20, 10:20] = 3
    write_image(tmp_path / "pred/x.png", faint)
    write_image(tmp_path / "gt/x.png", TRUTH)
    result = run("evaluate", tmp_path / "pred", tmp_path / "gt", "--json", tmp_path / "s.json")
    assert result.exit_code == 0
    assert "up to 3 of 255 only" in result.stderr
    assert json.loads((tmp_path / "s.json").read_text())["mean"]["mse"] > 0.2


def dataset(root: Path, mask: bytes, count: int = 3) -> Path:
    for i in range(count):
        rng = np.random.default_rng(i)
        write_image(root / f"image/{i}.png", rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
        (root / "alpha").mkdir(exist_ok=True)
        (root / f"alpha/{i}.png").write_bytes(mask)
    return root


@pytest.mark.parametrize("name", ["0 and 1", "palette 1", "int32 0 and 1", "8 in 16 bits"])
def test_every_command_understands_the_same(name, tmp_path):
    data, _words = UNDERSTOOD[name]
    root = dataset(tmp_path / "set", data)
    write_image(tmp_path / "pred/0.png", TRUTH)
    (tmp_path / "gt").mkdir()
    (tmp_path / "gt/0.png").write_bytes(data)

    scored = run("evaluate", tmp_path / "pred", tmp_path / "gt", "--json", tmp_path / "s.json")
    assert scored.exit_code == 0, scored.output
    assert json.loads((tmp_path / "s.json").read_text())["mean"]["sad"] == 0
    assert "is taken as opaque" in scored.stderr

    checked = run("build-dataset", "--check", root, "--workers", 1)
    assert checked.exit_code == 0, checked.output
    assert "read as" in checked.output

    sample = SampleCache(None, 64).photo(root / "image/0.png", root / "alpha/0.png")
    np.testing.assert_array_equal(sample[..., 3], TRUTH)


@pytest.mark.parametrize("name", ["labels", "palette, several", "RGB labels", "int32 labels"])
def test_every_command_refuses_the_same(name, tmp_path):
    data, words = REFUSED[name]
    root = dataset(tmp_path / "set", data)
    write_image(tmp_path / "pred/0.png", TRUTH)
    (tmp_path / "gt").mkdir()
    (tmp_path / "gt/0.png").write_bytes(data)

    scored = run("evaluate", tmp_path / "pred", tmp_path / "gt")
    assert scored.exit_code == 1
    assert words in str(scored.exception)
    checked = run("build-dataset", "--check", root, "--workers", 1)
    assert checked.exit_code == 1
    assert "alpha is no matte" in checked.output
    with pytest.raises(MaskError, match=words):
        SampleCache(None, 64).photo(root / "image/0.png", root / "alpha/0.png")
    trained = run("train", root, "--out", tmp_path / "run", "--device", "cpu", "--steps", 1)
    assert trained.exit_code == 1
    assert words in str(trained.exception)
    assert not (tmp_path / "run").exists()


def test_training_says_how_masks_are_read(tmp_path, monkeypatch):
    from mattecli.core.training import trainer

    monkeypatch.setattr(trainer, "train", lambda *_, **__: tmp_path / "weights")
    root = dataset(tmp_path / "set", UNDERSTOOD["0 and 1"][0])
    result = run("train", root, "--out", tmp_path / "run", "--device", "cpu", "--steps", 1)
    assert result.exit_code == 0, result.output
    assert "0.png and 2 more: holds 0 and 1 only" in result.stderr


def test_building_says_how_masks_are_read(tmp_path):
    root = dataset(tmp_path / "raw", UNDERSTOOD["palette 1"][0], count=12)
    for i in range(12):
        write_image(tmp_path / f"bg/{i}.png", np.full((48, 64, 3), 20 * i, np.uint8))
    result = run(
        *("build-dataset", tmp_path / "out", "--foregrounds", root / "image"),
        *("--alphas", root / "alpha", "--backgrounds", tmp_path / "bg", "--workers", 1),
        *("--per-foreground", 1),
    )
    assert result.exit_code == 0, result.output
    assert "index 1 is taken as opaque" in result.stderr
    alphas = [np.asarray(Image.open(path)) for path in (tmp_path / "out").rglob("alpha/*.png")]
    assert alphas and all(alpha.max() == 255 for alpha in alphas)


def test_masks_in_memory_are_understood_with_a_warning():
    pred = TRUTH / 255.0
    with pytest.warns(UserWarning, match="0 and 1 only"):
        assert matte.evaluate(pred, ONE).sad == 0
    with pytest.warns(UserWarning, match="index 1"):
        assert matte.evaluate(pred, palette(ONE)).sad == 0
    photo = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    with pytest.warns(UserWarning, match="0 and 1 only"):
        cut = matte.cutout(photo, ONE)
    np.testing.assert_array_equal(cut[..., 3], TRUTH)
    with pytest.raises(MatteError, match="labels 0, 1, 2"):
        matte.evaluate(pred, palette(ONE + np.roll(ONE, 8)))
