"""What every kind of input that docs/inputs.md lists ends in: the table is the test."""

from __future__ import annotations

import io
import json
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.imaging.layered import encode_layers
from mattecli.core.imaging.writing import encode
from mattecli.core.inference.predictor import Predictor
from mattecli.core.network.config import NetworkConfig
from mattecli.core.runtime.torch_model import TorchModel

TABLE = Path(__file__).parents[1] / "docs" / "inputs.md"


class BrightIsSubject(torch.nn.Module):
    """Alpha is brightness."""

    config = NetworkConfig(predict_size=64)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.mean(dim=1, keepdim=True)


def photo(mode: str = "RGB") -> Image.Image:
    """A bright rectangle on black."""
    array = np.zeros((48, 64, 3), np.uint8)
    array[8:40, 16:48] = 250
    return Image.fromarray(array).convert(mode)


def encoded(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image or photo()).save(buffer, kind, **options)
    return buffer.getvalue()


def frames(kind: str, **options: object) -> bytes:
    """Two pictures in one file."""
    return encoded(kind, save_all=True, append_images=[Image.new("RGB", (64, 48))], **options)


def heic(path: Path) -> None:
    pytest.importorskip("pillow_heif").from_pillow(photo()).save(path)


def jpeg_xl(path: Path) -> None:
    pytest.importorskip("pillow_jxl")
    path.write_bytes(encoded("JXL"))


def open_exr(path: Path, end: int | None = None) -> None:
    pytest.importorskip("OpenEXR")
    path.write_bytes(encode(np.asarray(photo()), ".exr")[:end])


def open_raster(path: Path, end: int | None = None) -> None:
    layer = np.asarray(photo())
    data = encode_layers(".ora", layer, layer, np.ones((48, 64), np.float32), layer)
    path.write_bytes(data[:end])


def done_before(path: Path) -> None:
    """A photo whose cutout is there."""
    path.write_bytes(encoded("PNG"))
    (path.parents[1] / "out").mkdir()
    (path.parents[1] / "out" / path.name).write_bytes(encoded("PNG", photo("RGBA")))


def unreadable_archive() -> bytes:
    return b"PK\3\4" + bytes(60)


def sixteen_bits() -> bytes:
    array = np.zeros((48, 64), np.uint16)
    array[8:40, 16:48] = 60000
    return encoded("PNG", Image.fromarray(array))


def huge_header() -> bytes:
    """A PNG whose header promises 60,000 x 60,000 pixels."""
    data = bytearray(encoded("PNG"))
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.write(encoded("PNG"))
        file.truncate(40 * 10**9)


def two_of_a_name(path: Path) -> None:
    path.write_bytes(encoded("PNG"))
    path.with_suffix(".jpg").write_bytes(encoded("JPEG"))


#: Options that a row is tried with.
OPTIONS = {"photo that was cut before, with --resume": ["--resume"]}
#: By the first cell of a row: the file's suffix, and its bytes or what makes it.
INPUTS: dict[str, tuple[str, bytes | Callable[[Path], object]]] = {
    "JPEG": (".jpg", encoded("JPEG")),
    "PNG": (".png", encoded("PNG")),
    "PNG of 16 bits": (".png", sixteen_bits()),
    "PNG with a palette": (".png", encoded("PNG", photo("P"))),
    "PNG of 1 bit": (".png", encoded("PNG", photo("1"))),
    "PNG with alpha": (".png", encoded("PNG", photo("RGBA"))),
    "WebP": (".webp", encoded("WEBP")),
    "TIFF": (".tif", encoded("TIFF")),
    "BMP": (".bmp", encoded("BMP")),
    "AVIF": (".avif", encoded("AVIF")),
    "JPEG 2000": (".jp2", encoded("JPEG2000")),
    "TGA": (".tga", encoded("TGA")),
    "PPM": (".ppm", encoded("PPM")),
    "GIF": (".gif", encoded("GIF")),
    "MPO": (".mpo", frames("MPO")),
    "HEIC": (".heic", heic),
    "JPEG XL": (".jxl", jpeg_xl),
    "OpenEXR": (".exr", open_exr),
    "OpenRaster": (".ora", open_raster),
    "animated GIF": (".gif", frames("GIF")),
    "animated WebP": (".webp", frames("WEBP")),
    "animated PNG": (".png", frames("PNG")),
    "TIFF of two pages": (".tif", frames("TIFF")),
    "PNG of gray and alpha": (".png", encoded("PNG", photo("LA"))),
    "TIFF of floats": (".tif", encoded("TIFF", photo("F"))),
    "JPEG with bytes behind its end": (".jpg", encoded("JPEG") + bytes(5000)),
    "CMYK JPEG": (".jpg", encoded("JPEG", photo("CMYK"))),
    "JPEG named .png": (".png", encoded("JPEG")),
    "photo without a suffix": ("", encoded("JPEG")),
    "photo of 1 x 1 pixel": (".png", encoded("PNG", photo().crop((20, 20, 21, 21)))),
    "photo without a subject": (".png", encoded("PNG", Image.new("RGB", (64, 48)))),
    "truncated JPEG": (".jpg", encoded("JPEG")[:-300]),
    "truncated PNG": (".png", encoded("PNG")[:-30]),
    "truncated WebP": (".webp", encoded("WEBP")[:-60]),
    "truncated OpenEXR": (".exr", lambda path: open_exr(path, -300)),
    "truncated OpenRaster": (".ora", lambda path: open_raster(path, -300)),
    "truncated TIFF": (".tif", encoded("TIFF")[:-3000]),
    "JPEG of zeros": (".jpg", bytes(5000)),
    "zip archive named .jpg": (".jpg", unreadable_archive()),
    "empty file": (".jpg", b""),
    "text named .jpg": (".jpg", b"not a picture at all\n"),
    "EPS named .jpg": (".jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"),
    "SVG named .png": (".png", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    "PNG that promises 3,600 megapixels": (".png", huge_header()),
    "file of 40 GB": (".png", sparse),
    "link to nothing": (".jpg", lambda path: path.symlink_to("nowhere.jpg")),
    "folder named .jpg": (".jpg", lambda path: path.mkdir()),
    "named pipe": (".jpg", lambda path: os.mkfifo(path)),
    "two photos of one name": (".png", two_of_a_name),
    "text file": (".txt", b"notes\n"),
    "photo that was cut before, with --resume": (".png", done_before),
}


#: By the first cell of a row: what is typed behind `predict`, in a folder that holds photo.png.
REFUSED = {
    "photo that is not there": "nothing.png out.png",
    "IN = OUT": ". .",
    "OUT that is a photo already": "photo.png other.png",
    "OUT that is a photo already, with --save alpha": "photo.png other.png --save alpha",
    "OUT that is a photo already, with --background": "photo.png other.png --background red",
    "OUT of a format that is not written": "photo.png out.xcf",
    "folder into one file": ". out.png",
    "cutout as JPEG": "photo.png out.jpg",
    "16 bits as JPEG": "photo.png out.jpg --save alpha --bits 16",
    "composite without a background": "photo.png out.png --save composite",
    "color that is none": "photo.png out.png --background blu",
    "color with alpha of its own": "photo.png out.png --background #11223380",
    "canvas without pixels": "photo.png out.png --canvas 0x100",
    "threshold that is no share": "photo.png out.png --threshold 2",
    "address without --allow-url": "https://example.com/a.png out.png",
    "list that is not there": "--from-list nothing.txt out",
    "pattern with other fields": ". out --name {size}",
    "box of three numbers": "photo.png out.png --box 10,10,5",
    "option that is misspelt": "photo.png out.png --qualty 5",
}


def rows(header: str = "input") -> dict[str, tuple[str, str]]:
    """Of the table with this first cell, by input: how it ends, and a part of what is said."""
    table = re.search(
        rf"^\| {header} \|.*\n\|[-| ]+\n((?:\|.*\n?)+)", TABLE.read_text("utf-8"), re.MULTILINE
    )
    cells = [line.strip("|").split(" | ") for line in table[1].splitlines()]
    return {name.strip(): (end.strip(), said.strip(" `")) for name, end, said in cells}


@pytest.fixture(autouse=True)
def network(monkeypatch):
    def load(*_, **__):
        return Predictor(TorchModel(BrightIsSubject(), torch.device("cpu")))

    monkeypatch.setattr(Predictor, "load", load)


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_ends_as_the_table_says(tmp_path, name):
    suffix, content = INPUTS[name]
    path = tmp_path / "in" / f"photo{suffix}"
    path.parent.mkdir()
    (path.parent / "good.png").write_bytes(encoded("PNG"))
    path.write_bytes(content) if isinstance(content, bytes) else content(path)
    report, out = tmp_path / "report.jsonl", tmp_path / "out"
    command = ["predict", str(path.parent), str(out), "--report", str(report)]
    command += OPTIONS.get(name, [])
    result = CliRunner().invoke(app, command)
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    ends = {Path(line["input"]).name: line["status"] for line in lines}
    wanted, said = rows()[name]
    assert ends.pop("good.png") == "ok"
    assert ends.get(path.name, "passed over") == wanted
    assert result.exit_code == (1 if wanted == "failed" else 0)
    # Two photos of one name have results that keep their suffixes.
    assert any(out.glob("photo*.png")) == (wanted in ("ok", "empty", "skipped"))
    assert said in " ".join(result.stderr.split())


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_refused_as_the_table_says(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("photo.png").write_bytes(encoded("PNG"))
    Path("other.png").write_bytes(encoded("PNG"))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = CliRunner().invoke(app, ["predict", *REFUSED[name].split()], env={"COLUMNS": "500"})
    code, said = rows("what is typed")[name]
    assert result.exit_code == int(code)
    words = result.stderr if result.exception is None else f"{result.stderr} {result.exception}"
    assert said in " ".join(words.split())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_tables_list_what_is_tried():
    assert set(rows()) == set(INPUTS)
    assert set(rows("what is typed")) == set(REFUSED)
    assert {end for end, _ in rows().values()} == {
        "ok",
        "empty",
        "skipped",
        "failed",
        "passed over",
    }
