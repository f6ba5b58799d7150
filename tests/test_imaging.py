"""Pictures of every kind, read, written and found."""

from __future__ import annotations

import io
import os
import stat
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.imaging.pixels import to_unit
from mattecli.core.imaging.reading import image_size, read_alpha, read_color, read_picture, to_srgb
from mattecli.core.imaging.walking import find_images, pair_by_stem, relative_stem, scan
from mattecli.core.imaging.writing import encode, write_image
from mattecli.core.matting.blocks import blocks, busy_blocks, grown
from mattecli.core.storage import write_whole


@pytest.fixture
def photo() -> np.ndarray:
    """A smooth 48x72 color picture, so that lossy formats stay close."""
    y, x = np.mgrid[0:48, 0:72]
    return np.stack([x * 3, y * 5, (x + y) * 2], axis=-1).astype(np.uint8)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
def test_every_format_is_read(photo, kind):
    picture = read_picture(saved(Image.fromarray(photo), kind))
    assert picture.color.dtype == np.uint8
    assert picture.color.shape == photo.shape
    assert np.abs(picture.color.astype(int) - photo).mean() < 8


def test_heic_is_read_and_its_size_told(photo, tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x010F] = "maker"
    path = tmp_path / "photo.heic"
    path.write_bytes(saved(Image.fromarray(photo), "HEIF", quality=90, exif=exif))
    picture = read_picture(path)
    assert np.abs(picture.color.astype(int) - photo).mean() < 8
    assert image_size(path) == (72, 48)
    kept = Image.Exif()
    kept.load(picture.exif)
    assert dict(kept) == {0x010F: "maker"}


def test_heic_without_its_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MatteError, match=r"mattecli\[heic\]"):
        read_picture(b"\0\0\0\x18ftypheic" + bytes(40))


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB"])
def test_every_mode_becomes_rgb(photo, mode):
    image = Image.fromarray(photo)
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    else:
        image = image.convert(mode)
    kind = {"CMYK": "TIFF", "LAB": "TIFF", "YCbCr": "JPEG"}.get(mode, "PNG")
    picture = read_picture(saved(image, kind))
    assert picture.color.shape == photo.shape
    assert picture.alpha is None
    if mode not in ("1", "L", "P"):
        assert np.abs(picture.color.astype(int) - photo).mean() < 4


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA"])
def test_alpha_is_kept_apart_from_color(photo, mode):
    alpha = np.tile(np.arange(72, dtype=np.uint8) * 3, (48, 1))
    image = Image.fromarray(np.dstack([photo, alpha])).convert("RGBA" if mode == "PA" else mode)
    picture = read_picture(
        saved(
            image,
            "WEBP" if mode == "PA" else "PNG",
            **({"lossless": True, "exact": True} if mode == "PA" else {}),
        )
    )
    np.testing.assert_array_equal(picture.alpha, alpha)


def test_transparent_palette_color_becomes_alpha():
    image = Image.new("P", (4, 4), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 1), 1)
    picture = read_picture(saved(image, "GIF", transparency=1))
    assert picture.alpha[1, 1] == 0
    assert picture.alpha[0, 0] == 255


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_size_told_upright(photo, kind, orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "maker"
    path = tmp_path / f"photo.{kind.lower()}"
    path.write_bytes(saved(Image.fromarray(photo), kind, exif=exif))
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.color, expected)
    assert image_size(path) == (expected.shape[1], expected.shape[0])
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept[0x010F] == "maker"
    assert 0x0112 not in kept


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_survive(suffix, channels):
    values = np.random.default_rng(1).integers(0, 65536, (9, 7, 4), dtype=np.uint16)
    array = values[..., 0] if channels == 1 else values[..., :channels]
    picture = read_picture(encode(array, suffix))
    assert picture.color.dtype == np.uint16
    if channels == 1:
        np.testing.assert_array_equal(picture.color[..., 1], array)
    else:
        np.testing.assert_array_equal(picture.color, array[..., :3])
    if channels == 4:
        np.testing.assert_array_equal(picture.alpha, array[..., 3])


def test_grey_with_alpha_of_sixteen_bits():
    values = np.random.default_rng(1).integers(0, 65536, (5, 6, 2), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 6, 5, 16, 4, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    picture = read_picture(b"\x89PNG\r\n\x1a\n" + data)
    np.testing.assert_array_equal(picture.color[..., 0], values[..., 0])
    np.testing.assert_array_equal(picture.alpha, values[..., 1])


def test_float_and_integer_files_become_sixteen_bits():
    tifffile = pytest.importorskip("tifffile")
    values = np.random.default_rng(1).random((6, 5, 3), dtype=np.float32)
    values[0, 0, 0], values[1, 1, 1] = 1.0, np.nan
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, photometric="rgb")
    expected = np.nan_to_num(values) * 65535
    assert np.abs(read_picture(buffer.getvalue()).color - expected).max() <= 0.51
    for grey, full in (
        (values[..., 2], 1),
        (values[..., 2] * 255, 255),
        (values[..., 2] * 6e4, 65535),
    ):
        picture = read_picture(saved(Image.fromarray(grey), "TIFF"))
        assert np.abs(picture.color[..., 0] - np.nan_to_num(grey) / full * 65535).max() <= 0.51


def test_color_profile_is_kept_and_can_be_applied(photo):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = read_picture(saved(Image.fromarray(photo), "PNG", icc_profile=profile))
    assert picture.icc == profile
    converted = to_srgb(picture)
    assert converted.icc is None
    np.testing.assert_array_equal(converted.color, photo)


def test_matte_is_alpha_or_grey_value(tmp_path):
    grey = np.random.default_rng(1).integers(0, 256, (5, 6), dtype=np.uint8)
    opaque = np.full_like(grey, 255)
    write_image(tmp_path / "grey.png", grey)
    write_image(tmp_path / "rgb.png", np.repeat(grey[..., None], 3, axis=2))
    write_image(tmp_path / "cutout.png", np.dstack([opaque, grey, grey, grey]))
    write_image(tmp_path / "grey-opaque.png", np.dstack([grey, grey, grey, opaque]))
    for name in ("grey", "rgb", "cutout", "grey-opaque"):
        np.testing.assert_array_equal(read_alpha(tmp_path / f"{name}.png"), grey)
    write_image(tmp_path / "deep.png", grey.astype(np.uint16) * 257)
    np.testing.assert_array_equal(to_unit(read_alpha(tmp_path / "deep.png")), to_unit(grey))
    assert read_color(tmp_path / "deep.png").dtype == np.uint8
    np.testing.assert_array_equal(read_color(tmp_path / "deep.png")[..., 0], grey)


def test_every_damaged_file_gives_one_line(photo, tmp_path):
    rng = np.random.default_rng(2)
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"):
        whole = saved(Image.fromarray(photo), kind)
        for round_ in range(25):
            data = bytearray(whole[: rng.integers(0, len(whole))] if round_ % 2 else whole)
            for _ in range(rng.integers(1, 20)):
                if data:
                    data[rng.integers(0, len(data))] = rng.integers(0, 256)
            path = tmp_path / f"{round_}.{kind}"
            path.write_bytes(data)
            try:
                assert read_picture(path, max_pixels=1_000_000).color.shape[2] == 3
            except MatteError as error:
                assert str(path) in str(error)
                assert "\n" not in str(error)


def test_limit_of_pixels(tmp_path, photo):
    with pytest.raises(MatteError, match=r"72x48.*limit"):
        read_picture(saved(Image.fromarray(photo), "PNG"), max_pixels=72 * 48 - 1)
    read_picture(saved(Image.fromarray(photo), "PNG"), max_pixels=72 * 48)


@pytest.mark.parametrize("name", ["missing.png", "."])
def test_unreadable_path_is_named(tmp_path, name):
    with pytest.raises(MatteError, match="cannot read"):
        read_picture(tmp_path / name)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff"])
def test_lossless_formats_keep_color_under_transparency(suffix):
    array = np.random.default_rng(1).integers(0, 256, (8, 9, 4), dtype=np.uint8)
    array[:4, :, 3] = 0
    picture = read_picture(encode(array, suffix))
    np.testing.assert_array_equal(np.dstack([picture.color, picture.alpha]), array)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_metadata_is_written(dtype):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x8298] = "someone"
    array = np.full((4, 5, 4), 77, dtype)
    picture = read_picture(encode(array, ".png", icc=profile, exif=exif.tobytes()))
    assert picture.icc == profile
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept[0x8298] == "someone"
    np.testing.assert_array_equal(picture.color, array[..., :3])


def test_impossible_formats_are_refused():
    array = np.zeros((4, 4, 4), np.uint8)
    with pytest.raises(MatteError, match="transparency"):
        encode(array, ".jpg")
    with pytest.raises(MatteError, match="16 bits"):
        encode(array.astype(np.uint16), ".webp")
    with pytest.raises(MatteError, match="use one of"):
        encode(array, ".xyz")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "new" / "x.png"
    write_whole(path, b"old")
    assert stat.S_IMODE(path.stat().st_mode) & 0o044 == 0o044 & ~_umask()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputUnusable, match="No space left"):
        write_whole(path, b"new")
    assert [p.name for p in path.parent.iterdir()] == ["x.png"]
    assert path.read_bytes() == b"old"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_names_of_255_bytes(tmp_path):
    name = "é" * 125 + "a.png"
    write_image(tmp_path / name, np.zeros((2, 2), np.uint8))
    assert [path.name for path in find_images(tmp_path)] == [name]
    with pytest.raises(MatteError, match="too long"):
        write_image(tmp_path / ("b" + name), np.zeros((2, 2), np.uint8))


def test_walking_skips_what_is_no_picture(tmp_path):
    for name in ("b/x.PNG", "a/y.jpg", "a-b.webp", "note.txt", ".hidden.png", ".git/z.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "b" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "b" / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "b" / "self.png").symlink_to(tmp_path / "b" / "self.png")
    images, ignored = scan(tmp_path)
    assert [relative_stem(path, tmp_path) for path in images] == ["a/y", "a-b", "b/x"]
    assert ignored == 6
    with pytest.raises(MatteError, match="does not exist"):
        find_images(tmp_path / "nowhere")


@pytest.mark.parametrize("shape", [(1, 1), (5, 200), (130, 67)])
def test_busy_blocks_cover_what_is_there_once(shape):
    mask = (np.random.default_rng(8).random(shape) < 0.002).astype(np.uint8)
    mask[-1, -1] = 1
    covered = np.zeros(shape, int)
    for block in busy_blocks(mask, 16):
        covered[block] += 1
        assert mask[block].any()
    assert covered.max() == 1 and covered[mask > 0].all()
    whole = np.zeros(shape, int)
    for block in blocks(shape, 16, 24):
        whole[block] += 1
    assert (whole == 1).all()
    outer, inner = grown((slice(3, 5), slice(0, 4)), 2, (6, 9))
    assert outer == (slice(1, 6), slice(0, 6)) and inner == (slice(2, 4), slice(0, 4))


def test_a_single_file_is_its_own_folder(tmp_path):
    path = tmp_path / "x.y.png"
    path.touch()
    assert find_images(path) == [path]
    assert relative_stem(path, path) == "x.y"


def test_pairing_by_relative_name(tmp_path):
    for name in ("first/a/x.jpg", "first/y.png", "second/a/x.png", "second/z.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    first, second = tmp_path / "first", tmp_path / "second"
    pairing = pair_by_stem(first, second)
    assert pairing.pairs == [(first / "a/x.jpg", second / "a/x.png")]
    assert pairing.only_first == [first / "y.png"]
    assert pairing.only_second == [second / "z.png"]
    assert pair_by_stem(first / "y.png", second / "z.png").pairs == [
        (first / "y.png", second / "z.png")
    ]
    (first / "y.jpg").touch()
    with pytest.raises(MatteError, match=r"y\.jpg.*y\.png"):
        pair_by_stem(first, second)


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MatteError, match="cannot write"):
        write_whole(tmp_path / "file" / "x.png", b"")
