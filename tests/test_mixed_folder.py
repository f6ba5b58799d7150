"""A folder of two hundred files of everybody's formats, as many suppliers send them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_formats import dng, psd
from test_input_outcomes import encoded, frames, heic, jpeg_xl, network, photo
from typer.testing import CliRunner

from mattecli.cli.app import app

__all__ = ["network"]

RGB = np.asarray(photo())
PHOTOS: dict[str, bytes | Callable[[Path], object]] = {
    ".jpg": encoded("JPEG"),
    ".JPEG": encoded("JPEG", photo("CMYK")),
    ".jfif": encoded("JPEG", photo("L")),
    ".png": encoded("PNG"),
    ".PNG": encoded("PNG", photo("P")),
    ".webp": encoded("WEBP", photo("RGBA")),
    ".tif": encoded("TIFF"),
    ".tiff": frames("TIFF"),
    ".bmp": encoded("BMP"),
    ".gif": frames("GIF"),
    ".avif": encoded("AVIF"),
    ".jp2": encoded("JPEG2000"),
    ".tga": encoded("TGA"),
    ".ppm": encoded("PPM"),
    ".pgm": encoded("PPM", photo("L")),
    ".mpo": frames("MPO"),
    ".heic": heic,
    ".jxl": jpeg_xl,
    ".psd": psd(RGB),
    ".dng": dng(RGB),
    "": encoded("JPEG"),
}
OTHERS = {".txt": b"notes", ".xmp": b"<x/>", ".pdf": b"%PDF-1.7", ".zip": b"PK", ".mp3": b"ID3"}
BROKEN = {".jpg": encoded("JPEG")[:-300], ".png": b"", ".webp": b"<html>not found</html>"}


def test_a_walk_over_two_hundred_files(tmp_path):
    for module in ("pillow_heif", "pillow_jxl", "rawpy"):
        pytest.importorskip(module)
    folder = tmp_path / "in"
    for number in range(168):
        suffix, content = list(PHOTOS.items())[number % len(PHOTOS)]
        path = folder / f"supplier {number % 5}" / "täglich" / f"{number}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content) if isinstance(content, bytes) else content(path)
    for number in range(20):
        suffix, content = list(OTHERS.items())[number % len(OTHERS)]
        (folder / f"other {number}{suffix}").write_bytes(content)
    for number in range(12):
        suffix, content = list(BROKEN.items())[number % len(BROKEN)]
        (folder / f"broken {number}{suffix}").write_bytes(content)
    assert sum(path.is_file() for path in folder.rglob("*")) == 200

    report, out = tmp_path / "report.jsonl", tmp_path / "out"
    arguments = ["predict", str(folder), str(out), "--report", str(report), "--compression", "0"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    ended = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
    assert Counter(line["status"] for line in ended) == {"ok": 168, "failed": 12}
    assert all("broken" in line["input"] for line in ended if line["status"] == "failed")
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("168 done, 12 failed")
    for suffix in OTHERS:
        assert f"4 {suffix}" in " ".join(result.stderr.split()), result.stderr[-500:]
    # The tree is kept, and every result is a picture of its photo's size.
    made = sorted(out.rglob("*.png"))
    assert len(made) == 168
    assert {path.parent.relative_to(out).parts[1:] for path in made} == {("täglich",)}
    assert {Image.open(path).size for path in made} == {(64, 48)}
    assert not [path for path in out.rglob("*") if path.is_file() and path.suffix != ".png"]
