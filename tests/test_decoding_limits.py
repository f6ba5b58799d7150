"""What is opened, how much is read, and that the rest of the process is left as it was."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import warnings
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError, not_found
from mattecli.core.imaging import opening
from mattecli.core.imaging.kinds import START, kind_of
from mattecli.core.imaging.reading import image_size, read_color, read_picture
from mattecli.core.imaging.walking import scan
from mattecli.core.imaging.writing import write_image

PHOTO = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def saved(kind: str, image: Image.Image | None = None, **options) -> bytes:
    buffer = io.BytesIO()
    (image or Image.fromarray(PHOTO)).save(buffer, kind, **options)
    return buffer.getvalue()


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


KINDS = {
    "JPEG": "JPEG",
    "MPO": "JPEG",
    "PNG": "PNG",
    "WEBP": "WebP",
    "TIFF": "TIFF",
    "BMP": "BMP",
    "GIF": "GIF",
    "AVIF": "AVIF",
    "JPEG2000": "JPEG 2000",
    "TGA": "TGA",
    "PPM": "PPM",
}


@pytest.mark.parametrize("kind", KINDS)
def test_named_kinds_are_known_by_content_under_any_name(kind, tmp_path):
    data = saved(kind)
    assert kind_of(data[:START]) == KINDS[kind]
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    color = read_picture(path).color
    assert color.shape == PHOTO.shape
    if kind in ("PNG", "TIFF", "BMP", "TGA", "PPM"):
        np.testing.assert_array_equal(color, PHOTO)
    assert image_size(path) == (30, 20)


@pytest.mark.parametrize(
    "kind", ["EPS", "PDF", "ICO", "PCX", "SGI", "IM", "DDS", "XBM", "SPIDER", "MSP"]
)
def test_other_kinds_are_refused_whatever_they_are_called(kind, tmp_path, monkeypatch):
    image = Image.fromarray(PHOTO)
    image = image.convert({"XBM": "1", "MSP": "1", "SPIDER": "F"}.get(kind, "RGB"))
    path = tmp_path / "photo.jpg"
    path.write_bytes(saved(kind, image))
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(a))
    monkeypatch.setattr(subprocess, "check_call", lambda *a, **k: started.append(a))
    with pytest.raises(MatteError, match=r"photo\.jpg is not a picture that can be read"):
        read_picture(path)
    result = run("predict", path, tmp_path / "out.png", "--device", "cpu")
    assert result.exit_code == 1
    assert not started


def test_importing_and_reading_leave_pillow_and_opencv_as_they_were(tmp_path):
    (tmp_path / "x.png").write_bytes(saved("PNG"))
    code = f"""
import warnings, cv2
from PIL import Image
before = (Image.MAX_IMAGE_PIXELS, list(warnings.filters), list(Image.OPEN))
level = cv2.utils.logging.getLogLevel()
import mattecli
from mattecli.core.imaging.reading import read_picture
from pathlib import Path
read_picture(Path({str(tmp_path / "x.png")!r}))
assert Image.MAX_IMAGE_PIXELS == before[0] == 89478485, Image.MAX_IMAGE_PIXELS
assert [f for f in warnings.filters if f not in before[1] and "PIL" in str(f)] == []
assert cv2.utils.logging.getLogLevel() == level
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_host_limit_does_not_stop_what_ours_allows(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in KINDS:
            assert read_picture(saved(kind)).color.shape == PHOTO.shape
            assert image_size(saved(kind)) == (30, 20)
    for kind in KINDS:
        with pytest.raises(MatteError, match="30x20 pixels, more than the limit"):
            read_picture(saved(kind), max_pixels=599)


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\0\0"}])
def test_the_decoder_of_a_large_webp_is_not_even_made(monkeypatch, options):
    """It takes memory for the whole picture at once."""
    data = saved("WEBP", **options)
    monkeypatch.setattr(opening, "_factory", None)
    with pytest.raises(MatteError, match="30x20 pixels, more than the limit"):
        read_picture(data, max_pixels=599)


def test_a_huge_sparse_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    for name, start in (("a.png", b""), ("b.png", saved("PNG")), ("c", saved("TIFF"))):
        with (tmp_path / name).open("wb") as file:
            file.write(start)
            file.truncate(40_000_000_000)
        with pytest.raises(MatteError, match=r"is 40,000 MB, more than a picture of 200 meg"):
            read_picture(tmp_path / name)
        with pytest.raises(MatteError, match="40,000 MB"):
            image_size(tmp_path / name)
    result = run("predict", tmp_path, tmp_path / "out", "--device", "cpu")
    assert result.exit_code == 1
    assert result.stderr.count("40,000 MB") == 3
    # With a smaller limit of pixels smaller files are too large.
    with (tmp_path / "d.png").open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(MatteError, match="more than a picture of 1 megapixels"):
        read_picture(tmp_path / "d.png", max_pixels=1_000_000)


def test_standard_input_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "_BYTES_BESIDE", 1000)
    monkeypatch.setattr(opening, "_BYTES_PER_PIXEL", 0)
    for command in (["predict", "-", "-"], ["composite", "-", "white"]):
        result = CliRunner().invoke(app, command, input=bytes(2000))
        assert result.exit_code == 1
        assert "more than a picture" in str(result.exception)


def test_a_photo_is_not_read_into_memory_beside_its_pixels(tmp_path, monkeypatch):
    path = tmp_path / "x.jpg"
    path.write_bytes(saved("JPEG"))

    def refuse(*_):
        raise AssertionError("the whole file was read")

    monkeypatch.setattr(type(path), "read_bytes", refuse)
    assert read_picture(path).color.shape == PHOTO.shape


def test_pipes_and_devices_are_no_photos(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        result = run("predict", path, tmp_path / "out.png")
        assert result.exit_code == 1
        assert "neither a file nor a folder" in str(result.exception)
        with pytest.raises(MatteError, match="no regular file"):
            read_picture(tmp_path / "pipe.png")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("https://example.com/a/x.jpg", "https://example.com/a/x.jpg is an address"),
        ("sftp://host/x.jpg", "sftp://host/x.jpg is an address"),
        ("photo.jgp", "did you mean '{tmp}/photo.jpg'"),
        ("dangling.jpg", "is a link to {tmp}/nowhere.jpg, which does not exist"),
        ("zzzzz", "{tmp}/zzzzz does not exist"),
    ],
)
def test_what_is_not_there_is_named_well(name, words, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(saved("JPEG"))
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    path = name if "://" in name else str(tmp_path / name)
    result = run("predict", path, tmp_path / "out.png")
    assert result.exit_code == 1
    assert words.format(tmp=tmp_path) in str(result.exception)
    if "://" in name:
        from pathlib import Path

        with pytest.raises(MatteError, match="is an address"):
            read_picture(Path(name))


def test_nothing_is_suggested_that_was_asked_for(tmp_path):
    (tmp_path / "x.png").symlink_to(tmp_path / "gone.png")
    assert "did you mean" not in str(not_found(tmp_path / "x.png"))


def test_folders_hold_every_kind_and_files_without_suffix(tmp_path):
    for name in ("a.tga", "b.ppm", "c.jp2", "d.mpo", "e.hif", "F.TGA", "g.pgm"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "photo").write_bytes(saved("PNG"))
    (tmp_path / "shot").write_bytes(saved("TGA"))
    (tmp_path / "LICENSE").write_text("P2P means peer to peer")
    (tmp_path / "empty").touch()
    (tmp_path / "noise").write_bytes(np.random.default_rng(1).bytes(5000))
    images, ignored = scan(tmp_path)
    assert {path.name for path in images} == {
        *("a.tga", "b.ppm", "c.jp2", "d.mpo", "e.hif", "F.TGA", "g.pgm", "photo", "shot")
    }
    assert ignored == 3


def test_a_targa_without_alpha_bits_is_not_transparent():
    data = bytearray(saved("TGA", Image.fromarray(np.dstack([PHOTO, PHOTO[..., 0] * 0]))))
    assert read_picture(bytes(data)).alpha.max() == 0
    data[17] &= 0xF0  # says: no bits of alpha
    picture = read_picture(bytes(data))
    assert picture.alpha is None
    np.testing.assert_array_equal(picture.color, PHOTO)


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(5):
        changed[rng.integers(8, len(changed))] = rng.integers(0, 256)
    return bytes(changed)


def test_decoders_print_nothing(capfd, tmp_path):
    rng = np.random.default_rng(3)
    deep = PHOTO.astype(np.uint16) * 257
    write_image(tmp_path / "deep.png", deep)
    write_image(tmp_path / "deep.tif", np.dstack([deep, deep[..., 0]]))
    wholes = [
        *(saved("TIFF", compression=c) for c in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")),
        saved("TIFF", Image.fromarray(PHOTO).convert("1"), compression="group4"),
        (tmp_path / "deep.png").read_bytes(),
        (tmp_path / "deep.tif").read_bytes(),
    ]
    capfd.readouterr()
    failed = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for whole in wholes:
            for data in (
                whole,
                *(damaged(whole, rng) for _ in range(30)),
                whole[: len(whole) // 2],
            ):
                try:
                    read_picture(data)
                except MatteError:
                    failed += 1
    assert failed > 50
    assert capfd.readouterr().err == ""


def test_deep_png_with_bad_extras_is_read_in_silence(capfd):
    from mattecli.core.imaging.writing import _insert_png_chunks

    deep = PHOTO.astype(np.uint16) * 257
    png = cv2.imencode(".png", deep)[1].tobytes()
    odd = _insert_png_chunks(png, [(b"iCCP", b"x\0\0y"), (b"sRGB", b"\xff"), (b"gAMA", bytes(4))])
    np.testing.assert_array_equal(read_picture(odd).color, deep[..., ::-1])
    assert capfd.readouterr().err == ""


def test_reading_in_many_threads_puts_the_log_level_back():
    level = cv2.utils.logging.getLogLevel()
    data = saved("TIFF", compression="tiff_lzw")
    failures = []

    def work():
        for _ in range(20):
            if read_picture(data).color.shape != PHOTO.shape:
                failures.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert cv2.utils.logging.getLogLevel() == level


def test_photos_given_as_backgrounds_or_masks_are_named_in_errors(tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50))
    with pytest.raises(MatteError, match=r"bad\.jpg"):
        read_color(tmp_path / "bad.jpg")


def test_the_size_of_a_png_is_told_without_decoding_it(monkeypatch):
    from PIL import PngImagePlugin

    def refuse(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", refuse)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved("PNG", exif=exif)
    assert image_size(saved("PNG")) == (30, 20)
    assert image_size(data) == (20, 30)
    place = data.index(b"eXIf") - 4
    length = int.from_bytes(data[place : place + 4], "big") + 12
    behind = data[:place] + data[place + length : -12] + data[place : place + length] + data[-12:]
    assert image_size(behind) == (20, 30)
    huge = bytearray(saved("PNG"))
    huge[16:24] = (2**30).to_bytes(4, "big") * 2
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    assert image_size(bytes(huge)) == (2**30, 2**30)


def test_deep_pictures_are_decoded_once(monkeypatch):
    from PIL import ImageFile

    deep = PHOTO.astype(np.uint16) * 257 + 1
    files = [cv2.imencode(suffix, deep)[1].tobytes() for suffix in (".png", ".tif")]

    def refuse(*_):
        raise AssertionError("decoded by Pillow too")

    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", refuse)
    for data in files:
        np.testing.assert_array_equal(read_picture(data).color, deep[..., ::-1])
