"""Mutated pictures, masks and trimaps through all that reads them: ``python fuzz_images.py [N]``.

No input may end in anything but a result or a `MatteError` of one line that names the file, print
to standard error from a decoder, or take longer than `LIMIT` seconds. Some go through ``matte
predict`` in process. Seeded, so that what fails can be had again; exits with 1 if anything did.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mattecli.core.errors import MatteError
from mattecli.core.imaging.layered import encode_layers
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.reading import (
    has_alpha,
    image_size,
    read_color,
    read_picture,
    to_srgb,
)
from mattecli.core.imaging.strokes import read_strokes
from mattecli.core.imaging.trimaps import read_trimap
from mattecli.core.imaging.writing import encode

LIMIT = 20.0
MAX_PIXELS = 4_000_000
SEED = 20

Report = Callable[[str, str], None]


def seeds(rng: np.random.Generator) -> dict[str, bytes]:
    """Small whole files of every kind and of many modes."""
    y, x = np.mgrid[:48, :64]
    color = np.stack([x * 3, y * 5, (x + y) * 2], axis=-1).astype(np.uint8)
    noise = rng.integers(0, 65536, (48, 64, 4), dtype=np.uint16)
    disc = (np.hypot(y - 24, x - 32) < 18).astype(np.uint8)
    photo = Image.fromarray(color)
    found: dict[str, bytes] = {}

    def add(name: str, image: Image.Image, kind: str, **options) -> None:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        found[name] = buffer.getvalue()

    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "TGA", "PPM"):
        add(kind.lower(), photo, kind)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    add("turned.jpg", photo, "JPEG", exif=exif, dpi=(300, 300))
    add("ink.jpg", photo.convert("CMYK"), "JPEG")
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        add(f"{compression}.tif", photo, "TIFF", compression=compression)
    add("fax.tif", photo.convert("1"), "TIFF", compression="group4")
    frames = [photo, photo.rotate(90), photo.rotate(180)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF", "MPO"):
        add(f"several.{kind}", photo, kind, save_all=True, append_images=frames)
    add("rgba.webp", photo.convert("RGBA"), "WEBP", lossless=True)
    for name, values in {
        "one": disc,
        "one16": disc.astype(np.uint16),
        "labels": disc * 3,
        "white": disc * 255,
    }.items():
        add(f"mask-{name}.png", Image.fromarray(values), "PNG")
    ring = disc + (np.hypot(y - 24, x - 32) < 12).astype(np.uint8)
    levels = Image.fromarray(np.array([0, 128, 255], np.uint8)[ring])
    add("trimap.png", levels, "PNG")
    add("trimap.jpg", levels, "JPEG", quality=80)
    add("trimap-labels.png", Image.fromarray(ring), "PNG")
    layer = np.zeros((48, 64, 4), np.uint8)
    layer[20:24, 10:50] = (255, 0, 0, 255)
    add("strokes.png", Image.fromarray(layer), "PNG")
    add("mask-int.tif", Image.fromarray(disc.astype(np.int32)), "TIFF")
    add("mask-float.tif", Image.fromarray(disc.astype(np.float32)), "TIFF")
    palette = Image.fromarray(disc, "P")
    palette.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    add("mask-palette.png", palette, "PNG")
    add("mask-palette.gif", palette, "GIF")
    for suffix in (".png", ".tif"):
        for channels in (1, 3, 4):
            array = noise[..., 0] if channels == 1 else noise[..., :channels]
            found[f"deep-{channels}{suffix}"] = cv2.imencode(suffix, array)[1].tobytes()
    unit = (noise[..., :3] / 65535).astype(np.float32)
    found["float.tif"] = cv2.imencode(".tif", unit)[1].tobytes()
    found["planar.tif"] = planar(noise[..., :3])
    found["layers.ora"] = encode_layers(".ora", color, color, np.ones((48, 64), np.float32), color)
    for channels in (1, 3, 4):
        array = noise[..., 0] if channels == 1 else noise[..., :channels]
        found[f"light-{channels}.exr"] = encode(array, ".exr")
    return found


def planar(array: np.ndarray) -> bytes:
    """A 16-bit TIFF of separate planes, not compressed."""
    height, width, channels = array.shape
    planes = [array[..., i].astype("<u2").tobytes() for i in range(channels)]
    end = 8 + sum(map(len, planes))
    beyond = end + 2 + 12 * 11 + 4
    lists = struct.pack("<3H", 16, 16, 16)
    lists += struct.pack("<3I", *(8 + i * len(planes[0]) for i in range(3)))
    lists += struct.pack("<3I", *map(len, planes))
    entries = [
        *((256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, beyond), (259, 3, 1, 1)),
        *((262, 3, 1, 2), (273, 4, 3, beyond + 6), (277, 3, 1, 3), (278, 3, 1, height)),
        *((279, 4, 3, beyond + 18), (284, 3, 1, 2), (339, 3, 1, 1)),
    ]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<I", end)
    return b"".join([head, *planes, struct.pack("<H", 11), directory, bytes(4), lists])


def mutated(data: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    """Change, cut, double, move or mix; PNG files get right checksums half of the time."""
    changed = bytearray(data)
    way = rng.integers(0, 6)
    places = rng.integers(0, len(changed), rng.integers(1, 24))
    if way == 0:
        for place in places:
            changed[place] = rng.integers(0, 256)
    elif way == 1:  # the head alone, where sizes and types are
        for place in places % min(len(changed), 200):
            changed[place] = rng.choice([0, 1, 127, 128, 255, rng.integers(0, 256)])
    elif way == 2:
        changed = changed[: places[0]]
    elif way == 3:
        start, stop = sorted(rng.integers(0, len(changed), 2))
        changed[start:start] = changed[start:stop]
    elif way == 4:
        other = others[rng.integers(0, len(others))]
        changed = changed[: places[0]] + bytearray(other[places[0] :])
    else:
        for place in places:
            changed[place] ^= 1 << int(rng.integers(0, 8))
    if bytes(changed[:4]) == b"\x89PNG" and rng.random() < 0.5:
        changed = with_checksums(bytes(changed))
    return bytes(changed)


def with_checksums(png: bytes) -> bytearray:
    """Make every checksum of a PNG right, so that damage gets past them."""
    result, place = bytearray(png), 8
    while place + 12 <= len(result):
        (length,) = struct.unpack_from(">I", result, place)
        end = place + 12 + length
        if end > len(result):
            break
        struct.pack_into(">I", result, end - 4, zlib.crc32(result[place + 4 : end - 4]))
        place = end
    return result


READERS: dict[str, Callable] = {
    "picture": lambda path: to_srgb(read_picture(path, MAX_PIXELS)),
    "bytes": lambda path: read_picture(path.read_bytes(), MAX_PIXELS),
    "mask": read_mask,
    "prediction": lambda path: read_mask(path, lenient=True),
    "trimap": lambda path: read_trimap(path, MAX_PIXELS),
    "strokes": lambda path: read_strokes(path, MAX_PIXELS),
    "color": read_color,
    "size": image_size,
    "alpha": has_alpha,
}


def fuzz_readers(folder: Path, count: int, report: Report, stderr: Path) -> Counter[str]:
    """Read `count` mutated files in every way."""
    rng = np.random.default_rng(SEED)
    whole = seeds(rng)
    ended: Counter[str] = Counter()
    for number in range(count):
        name = list(whole)[number % len(whole)]
        path = folder / f"{number}-{name}"
        path.write_bytes(mutated(whole[name], list(whole.values()), rng))
        for way, reader in READERS.items():
            started, printed = time.perf_counter(), stderr.stat().st_size
            try:
                reader(path)
                ended[f"{way} ok"] += 1
            except MatteError as error:
                ended[f"{way} refused"] += 1
                named = "standard input" if way == "bytes" else str(path)
                if "\n" in str(error) or named not in str(error):
                    report(path.name, f"{way}: a bad message: {error}")
            except Exception:
                report(path.name, f"{way}: {traceback.format_exc(limit=-3)}")
            if time.perf_counter() - started > LIMIT:
                report(path.name, f"{way}: {time.perf_counter() - started:.0f} s")
            if stderr.stat().st_size > printed:
                report(path.name, f"{way}: printed {stderr.read_bytes()[printed:][:200]!r}")
        path.unlink()
    return ended


def fuzz_predict(folder: Path, count: int, report: Report) -> Counter[str]:
    """Let ``matte predict`` cut `count` mutated files in one run."""
    import json

    from typer.testing import CliRunner

    from mattecli.cli.app import app

    rng = np.random.default_rng(SEED + 1)
    whole = seeds(rng)
    source = folder / "in"
    source.mkdir()
    for number in range(count):
        name = list(whole)[number % len(whole)]
        suffix = Path(name).suffix or f".{name.replace('jpeg2000', 'jp2')}"
        (source / f"{number}{suffix.lower().replace('.mpo', '.jpg')}").write_bytes(
            mutated(whole[name], list(whole.values()), rng)
        )
    log = folder / "report.jsonl"
    options = ["--device", "cpu", "--report", str(log), "--look-once", "--max-megapixels", "4"]
    result = CliRunner().invoke(app, ["predict", str(source), str(folder / "out"), *options])
    if result.exception and not isinstance(result.exception, SystemExit):
        report("predict", repr(result.exception))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    if len(lines) != count:
        report("predict", f"{len(lines)} of {count} photos are in the report")
    for line in lines:
        if line["status"] == "failed" and "Error:" in line["reason"]:
            report(line["input"], f"predict: {line['reason']}")
    return Counter(f"predict {line['status']}" for line in lines)


def captured() -> Iterator[tuple[Path, int]]:
    """Send what C libraries print into a file."""
    with tempfile.NamedTemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield Path(file.name), kept
        finally:
            os.dup2(kept, 2)


def main(count: int = 1200) -> int:
    """Fuzz and print the figures."""
    warnings.simplefilter("ignore")
    failures: list[str] = []

    def report(name: str, what: str) -> None:
        failures.append(f"{name}: {what}")
        print(f"FAILED {name}: {what}", flush=True)

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        for stderr, _ in captured():
            ended = fuzz_readers(Path(name), count, report, stderr)
        ended += fuzz_predict(Path(name), max(20, count // 12), report)
    for way, number in sorted(ended.items()):
        print(f"{number:6} {way}")
    seconds = time.perf_counter() - started
    print(f"{count} files, {len(failures)} failures, {seconds:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
