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
    "CMYK JPEG": (".jpg", encoded("JPEG", photo("CMYK"))),
    "JPEG named .png": (".png", encoded("JPEG")),
    "photo without a suffix": ("", encoded("JPEG")),
    "photo of 1 x 1 pixel": (".png", encoded("PNG", photo().crop((20, 20, 21, 21)))),
    "photo without a subject": (".png", encoded("PNG", Image.new("RGB", (64, 48)))),
    "truncated JPEG": (".jpg", encoded("JPEG")[:-300]),
    "truncated PNG": (".png", encoded("PNG")[:-30]),
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
}


def rows() -> dict[str, tuple[str, str]]:
    """By input: how it ends, and a part of what is said."""
    lines = re.findall(r"^\| (.+?) \| (.+?) \| (.*?) ?\|$", TABLE.read_text("utf-8"), re.MULTILINE)
    return {name: (end, said) for name, end, said in lines[1:]}


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
    result = CliRunner().invoke(app, command)
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    ends = {Path(line["input"]).name: line["status"] for line in lines}
    wanted, said = rows()[name]
    assert ends.pop("good.png") == "ok"
    assert ends.get(path.name, "passed over") == wanted
    assert result.exit_code == (1 if wanted == "failed" else 0)
    # Two photos of one name have results that keep their suffixes.
    assert any(out.glob("photo*.png")) == (wanted in ("ok", "empty"))
    assert said.strip("`") in " ".join(result.stderr.split())


def test_the_table_lists_what_is_tried():
    assert set(rows()) == set(INPUTS)
