"""``import mattecli``: the same results as the command line, from and to memory."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import mattecli as matte
from mattecli.cli.app import app
from mattecli.core.imaging.reading import read_alpha, read_color, read_picture
from mattecli.core.imaging.writing import encode, write_image

EXAMPLES = Path(__file__).parents[1] / "examples"
PHOTO = EXAMPLES / "cat.jpg"


def run(*arguments: object):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def alpha() -> np.ndarray:
    return matte.predict(PHOTO, device="cpu")


def test_predict_and_cutout_are_those_of_the_command_line(alpha, tmp_path):
    run("predict", PHOTO, tmp_path, "--save", "alpha", "--save", "cutout", "--device", "cpu")
    assert alpha.dtype == np.float32 and alpha.shape == (300, 451)
    assert np.abs(alpha * 255 - read_alpha(tmp_path / "alpha/cat.png")).max() <= 0.51
    expected = read_picture(tmp_path / "cutout/cat.png")
    found = matte.cutout(PHOTO, device="cpu")
    assert np.array_equal(found, np.dstack([expected.color, expected.alpha]))


def color() -> np.ndarray:
    return read_color(PHOTO)


KINDS = {
    "path": lambda: str(PHOTO),
    "bytes": PHOTO.read_bytes,
    "pillow": lambda: Image.open(PHOTO),
    "uint8": color,
    "uint16": lambda: color().astype(np.uint16) * 257,
    "float64": lambda: color() / 255,
    "another byte order": lambda: (color().astype(np.uint16) * 257).astype(">u2"),
    "tensor": lambda: torch.tensor(color()).permute(2, 0, 1),
    "float tensor": lambda: torch.tensor(color()).permute(2, 0, 1)[None] / 255,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture_gives_the_same_matte(kind, alpha):
    assert np.abs(matte.predict(KINDS[kind](), device="cpu") - alpha).max() < 1e-6


def test_orientation_of_pillow_images_is_applied(alpha):
    turned = Image.fromarray(np.rot90(color(), 1))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise makes it upright
    buffer = io.BytesIO()
    turned.save(buffer, "png", exif=exif)
    found = matte.predict(Image.open(buffer), device="cpu")
    assert np.abs(found - alpha).max() < 1e-3


def test_what_is_transparent_stays_so(alpha):
    opacity = np.full((300, 451), 128, np.uint8)
    opacity[:, 225:] = 255
    found = matte.predict(np.dstack([color(), opacity]), device="cpu")
    assert found[:, :225].max() <= 128 / 255 + 1e-6
    assert found[:, 225:].max() == 1


def test_a_trimap_decides(alpha):
    trimap = np.full((300, 451), 0.5, np.float32)
    trimap[:40], trimap[-40:] = 0, 1
    found = matte.predict(color(), trimap=trimap, device="cpu")
    assert not found[:40].any() and (found[-40:] == 1).all()


def test_composite_is_that_of_the_command_line(alpha, tmp_path):
    cutout = matte.cutout(color(), alpha)
    assert np.abs(cutout[..., 3] / 255 - alpha).max() < 0.51 / 255
    write_image(tmp_path / "cat.png", cutout)
    options = ["--position", "top-left", "--scale", "0.5", "--canvas", "background", "--shadow"]
    result = tmp_path / "on.png"
    run("composite", tmp_path / "cat.png", EXAMPLES / "coffee.jpg", "-o", result, *options)
    found = matte.composite(
        cutout,
        Image.open(EXAMPLES / "coffee.jpg"),
        position="top-left",
        scale=0.5,
        canvas="background",
        shadow=True,
    )
    assert np.array_equal(found, read_color(result))
    white = matte.composite(Image.fromarray(cutout), "white", bits=16)
    assert white.dtype == np.uint16
    assert (white[alpha == 0] == 65535).all()


@pytest.mark.parametrize("region", ["whole", "unknown", "detail"])
def test_evaluate_is_that_of_the_command_line(region, tmp_path):
    data = Path(__file__).parent / "data" / "metrics"
    name = "fur-blurred.png"
    options = ["--trimap", data / "trimap" / name] if region == "unknown" else []
    run(
        *("evaluate", data / "pred" / name, data / "gt" / name, "--region", region),
        *(*options, "--csv", tmp_path / "scores.csv"),
    )
    header, row = (line.split(",") for line in (tmp_path / "scores.csv").read_text().split()[:2])
    expected = {key.lower(): value for key, value in zip(header, row, strict=True)}
    pred, gt, trimap = (read_alpha(data / kind / name) for kind in ("pred", "gt", "trimap"))
    given = trimap / 255 if region == "unknown" else None
    for prediction in (pred, Image.fromarray(pred), torch.tensor(pred)):
        scores = matte.evaluate(prediction, gt, trimap=given, region=region)
        for key, value in scores._asdict().items():
            assert value == pytest.approx(float(expected[key]), rel=1e-5)


def test_the_network_is_loaded_once(monkeypatch):
    from mattecli.core.runtime import loading

    matte.predict(color(), size=64, device="cpu")
    monkeypatch.setattr(loading, "load_model", None)
    matte.predict(color(), size=64, device="cpu")


def test_importing_costs_nothing():
    code = (
        "import sys, mattecli\n"
        "assert not {'torch', 'cv2', 'numpy', 'PIL', 'typer'} & set(sys.modules)\n"
        "assert 'predict' in dir(mattecli)\n"
        "try: mattecli.nothing\n"
        "except AttributeError: pass\n"
        "else: raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


MATTE = np.full((300, 451), 1.0)
CUTOUT = np.full((8, 8, 4), 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: matte.predict("none.jpg"), "cannot read none.jpg"),
        (lambda: matte.predict(b"no picture"), "the given file is not a picture"),
        (lambda: matte.predict(np.zeros((3, 64, 64))), "shape"),
        (lambda: matte.predict(np.zeros((64, 64, 3), np.int64)), "int64"),
        (lambda: matte.predict(np.full((64, 64, 3), 255.0)), r"in \[0, 1\]"),
        (lambda: matte.predict(torch.zeros(64, 64, 3)), r"\(C, H, W\)"),
        (lambda: matte.predict([1, 2, 3]), "not list"),
        (lambda: matte.predict(color(), weights="none.safetensors"), "none.safetensors"),
        (lambda: matte.predict(color(), device="tpu"), "tpu"),
        (lambda: matte.predict(color(), device=None), "None"),
        (lambda: matte.predict(color(), points=5), "'5' is no place"),
        (lambda: matte.predict(color(), points=[None]), "the point 'None' is not x,y"),
        (lambda: matte.cutout(color(), np.zeros((10, 10))), "10x10"),
        (lambda: matte.predict(color(), size=-5), "size -5 is not from 32"),
        (lambda: matte.predict(color(), size="64"), "size '64' is not from 32"),
        (lambda: matte.predict(color(), subject=3), "no subject '3'"),
        (lambda: matte.cutout(color(), MATTE, crop=-1), "0 or more, not -1"),
        (lambda: matte.cutout(color(), MATTE, bits=12), "8 or 16 bits, not 12"),
        (lambda: matte.composite(np.zeros((9, 9, 4), np.uint8), "red", bits=10), "bits, not 10"),
        (lambda: matte.predict(Image.new("RGB", (0, 5))), "a picture has pixels, not 0x5"),
        (lambda: matte.composite(color(), "white"), "no transparency"),
        (lambda: matte.composite(CUTOUT, "white", canvas="Foreground"), "no canvas 'Foreground'"),
        (lambda: matte.composite(CUTOUT, "white", fit="covr"), "'covr' is no way to fit"),
        (lambda: matte.composite(CUTOUT, "white", scale=0), "scale 0 is not 0.001 or more"),
        (lambda: matte.composite(CUTOUT, "white", position=(1, 2, 3)), "is no position"),
        (lambda: matte.composite(CUTOUT, "white", position=(0, math.nan)), "is no position"),
        (lambda: matte.composite(encode(np.zeros((8, 8, 4), np.uint8), ".png"), "whi"), "'whi'"),
        (lambda: matte.evaluate(np.zeros((8, 8)), np.zeros((8, 9))), "9x8"),
        (lambda: matte.evaluate(np.zeros((8, 8)), np.zeros((8, 8)), region="unknown"), "trimap"),
        (lambda: matte.evaluate(MATTE, MATTE, region="detial"), "no region 'detial'"),
        (lambda: matte.evaluate(MATTE, MATTE, trimap=0 * MATTE), "no pixel in the region"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(matte.MatteError, match=message):
        call()
