"""Pictures of more than 8 bits: planes, profiles, and what white is."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import PIL
import pytest
from PIL import Image, ImageCms
from typer.testing import CliRunner

import mattecli as matte
from mattecli.cli.app import app
from mattecli.core.imaging.icc import convert_8_bit, convert_16_bit, is_srgb
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.pixels import Picture
from mattecli.core.imaging.reading import has_alpha, image_size, read_picture, to_srgb
from mattecli.core.imaging.writing import encode, write_image


def tiff(tags: dict[int, tuple[int, tuple[int, ...]]], strips: list[bytes], order: str) -> bytes:
    """A TIFF of raw strips; `tags` give type (3 SHORT, 4 LONG) and values."""
    data = b"".join(strips)
    offsets = tuple(8 + sum(map(len, strips[:i])) for i in range(len(strips)))
    tags = {**tags, 273: (4, offsets), 279: (4, tuple(map(len, strips)))}
    start = 8 + len(data)
    beyond, entries = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            place = start + 2 + 12 * len(tags) + 4 + len(beyond)
            beyond, packed = beyond + packed, struct.pack(f"{order}I", place)
        entries += struct.pack(f"{order}HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + beyond
    return header + data + directory


def planar(array: np.ndarray, order: str, rows: int, bits: int, extra=None, meaning=2) -> bytes:
    height, width, channels = array.shape
    stored = array.astype(array.dtype.newbyteorder(order))
    strips = [
        stored[top : top + rows, :, channel].tobytes()
        for channel in range(channels)
        for top in range(0, height, rows)
    ]
    tags = {
        256: (3, (width,)),
        257: (3, (height,)),
        258: (3, (bits,) * channels),
        259: (3, (1,)),
        262: (3, (meaning,)),
        277: (3, (channels,)),
        278: (3, (rows,)),
        284: (3, (2,)),
        339: (3, (3 if array.dtype.kind == "f" else 1,) * channels),
    }
    if extra is not None:
        tags[338] = (3, (extra,))
    return tiff(tags, strips, order)


DEEP = np.random.default_rng(0).integers(0, 65536, (11, 13, 4), dtype=np.uint16)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("rows", [11, 4])
def test_planes_of_16_bits_are_read_whole(order, rows):
    picture = read_picture(planar(DEEP[..., :3], order, rows, 16))
    assert picture.color.dtype == np.uint16 and picture.alpha is None
    np.testing.assert_array_equal(picture.color, DEEP[..., :3])
    picture = read_picture(planar(DEEP, order, rows, 16, extra=2))
    np.testing.assert_array_equal(np.dstack([picture.color, picture.alpha]), DEEP)


def test_planes_of_orange():
    orange = np.full((4, 5, 3), (60000, 30000, 10000), np.uint16)
    color = read_picture(planar(orange, "<", 4, 16)).color
    assert (color == (60000, 30000, 10000)).all()


def test_premultiplied_planes_become_straight():
    alpha = np.full((4, 5, 1), 32768, np.uint16)
    half = np.concatenate([np.full((4, 5, 3), 16384, np.uint16), alpha], axis=2)
    picture = read_picture(planar(half, "<", 4, 16, extra=1))
    assert np.abs(picture.color.astype(int) - 32768).max() <= 1


def interleaved(array: np.ndarray, extra: int, orientation: int = 1) -> bytes:
    """A TIFF of floats, channel beside channel."""
    height, width, channels = array.shape
    tags = {256: (3, (width,)), 257: (3, (height,)), 258: (3, (32,) * channels), 259: (3, (1,))}
    tags |= {262: (3, (2,)), 274: (3, (orientation,)), 277: (3, (channels,)), 278: (3, (height,))}
    tags |= {338: (3, (extra,)), 339: (3, (3,) * channels)}
    return tiff(tags, [array.astype("<f4").tobytes()], "<")


def test_premultiplied_floats_become_straight():
    half = np.dstack([np.full((4, 5, 3), 0.25), np.full((4, 5), 0.5)])
    for extra, color in ((1, 32768), (2, 16384)):
        picture = read_picture(interleaved(half, extra))
        assert np.abs(picture.color.astype(int) - color).max() <= 1
        assert np.abs(picture.alpha.astype(int) - 32768).max() <= 1


@pytest.mark.parametrize("kind", ["planes", "floats"])
def test_headers_say_what_decoding_gives(tmp_path, kind):
    """Alpha keeps a cutout from being taken for a photo, and a photo from being replaced."""
    unit = DEEP / np.float32(65535)
    for name, extra, count in (("cut", 2, 4), ("photo", None, 3)):
        data = planar(DEEP[..., :count], "<", 4, 16, extra=extra)
        if kind == "floats":
            data = interleaved(unit[..., :count], extra or 0, orientation=6)
        (tmp_path / name).write_bytes(data)
        picture = read_picture(tmp_path / name)
        assert has_alpha(tmp_path / name) == (picture.alpha is not None) == (name == "cut")
        assert image_size(tmp_path / name) == picture.color.shape[1::-1]


def test_a_transparent_grey_of_16_bits():
    grey = np.arange(20, dtype=np.uint16).reshape(4, 5) * 3000
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG", transparency=9000)
    data = buffer.getvalue()
    if b"tRNS" not in data:
        chunk = b"tRNS" + struct.pack(">H", 9000)
        chunk = struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk))
        data = data[:33] + chunk + data[33:]
    picture = read_picture(data)
    np.testing.assert_array_equal(picture.alpha, np.where(grey == 9000, 0, 65535))
    np.testing.assert_array_equal(picture.color[..., 0], grey)


@pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="Pillow refuses the kind")
def test_premultiplied_greys_become_straight():
    stored = np.dstack([np.full((4, 5), 50), np.full((4, 5), 100)]).astype(np.uint8)
    tags = {256: (3, (5,)), 257: (3, (4,)), 258: (3, (8, 8)), 259: (3, (1,)), 262: (3, (1,))}
    tags |= {277: (3, (2,)), 278: (3, (4,)), 338: (3, (1,))}
    picture = read_picture(tiff(tags, [stored.tobytes()], "<"))
    assert np.abs(picture.color.astype(int) - 127).max() <= 1 and (picture.alpha == 100).all()


def test_planes_of_floats_and_long_integers():
    unit = (DEEP[..., :3] / 65535).astype(np.float32)
    unit[0, 0] = 1
    np.testing.assert_allclose(
        read_picture(planar(unit, "<", 4, 32)).color, unit * 65535, atol=0.51
    )
    long = DEEP[..., :3].astype(np.uint32) * 65537
    long[0, 0] = 2**32 - 1
    np.testing.assert_allclose(
        read_picture(planar(long, "<", 4, 32)).color, long / 65537, atol=0.51
    )


def test_planes_of_ink():
    ink = np.zeros((4, 5, 4), np.uint16)
    ink[..., 3] = 65535  # all black, no color
    assert read_picture(planar(ink, "<", 4, 16, meaning=5)).color.max() < 60
    assert read_picture(planar(ink * 0, "<", 4, 16, meaning=5)).color.min() == 255


@pytest.mark.parametrize("bits", [8, 16])
def test_white_may_be_zero(bits):
    grey = np.arange(20, dtype=np.uint16).reshape(4, 5) * (12 if bits == 8 else 3000)
    stored = grey.astype("<u2" if bits == 16 else np.uint8)
    tags = {256: (3, (5,)), 257: (3, (4,)), 258: (3, (bits,)), 259: (3, (1,)), 262: (3, (0,))}
    tags |= {277: (3, (1,)), 278: (3, (4,))}
    color = read_picture(tiff(tags, [stored.tobytes()], "<")).color
    np.testing.assert_array_equal(color[..., 0], 2**bits - 1 - grey)


def test_floats_that_overshoot_white_are_not_black():
    grey = np.linspace(0, 1.2, 100, dtype=np.float32).reshape(10, 10)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "TIFF")
    found = read_picture(buffer.getvalue()).color[..., 0]
    np.testing.assert_allclose(found, np.clip(grey, 0, 1) * 65535, atol=0.51)


def profile(curve: bytes, primaries: list[tuple[float, float, float]], name: str) -> bytes:
    """A matrix profile (ICC.1 v2) with one curve for all channels; of grey without primaries."""

    def xyz(values) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))

    text = name.encode() + b"\0"
    desc = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": desc, b"cprt": b"text\0\0\0\0none\0", b"wtpt": xyz((0.9642, 1, 0.8249))}
    if not primaries:
        tags[b"kTRC"] = curve
    for letter, values in zip("rgb" if primaries else "", primaries, strict=True):
        tags[f"{letter}XYZ".encode()] = xyz(values)
        tags[f"{letter}TRC".encode()] = curve
    body, table = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for key, data in tags.items():
        data += bytes(-len(data) % 4)
        table += key + struct.pack(">II", start + len(body), len(data))
        body += data
    size = start + len(body)
    space = b"RGB " if primaries else b"GRAY"
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    header += struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


SRGB = [(0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)]
ADOBE = [(0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)]
LINEAR = b"curv" + bytes(8)
GAMMA = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
PIECEWISE = b"para" + bytes(4) + struct.pack(">HH", 3, 0)
PIECEWISE += struct.pack(
    ">5i", *(round(v * 65536) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
)


def to_linear(srgb: np.ndarray) -> np.ndarray:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def test_a_linear_profile_is_not_srgb_whatever_its_name():
    linear = profile(LINEAR, SRGB, "sRGB built-in linear")
    assert not is_srgb(linear)
    assert is_srgb(profile(PIECEWISE, SRGB, "my display"))
    assert is_srgb(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert not is_srgb(profile(PIECEWISE, ADOBE, "sRGB"))
    assert not is_srgb(profile(GAMMA, SRGB, "sRGB"))
    assert not is_srgb(b"no profile")
    srgb = np.tile(np.linspace(0, 1, 256)[None, :, None], (4, 1, 3))
    stored = np.rint(to_linear(srgb) * 65535).astype(np.uint16)
    for depth, color, tolerance in ((16, stored, 6), (8, (stored // 257).astype(np.uint8), 257)):
        found = to_srgb(Picture(color, icc=linear)).color
        assert found.dtype == color.dtype
        expected = srgb[:, 128:] * (65535 if depth == 16 else 255)
        assert np.abs(found[:, 128:] - expected).max() <= (tolerance if depth == 16 else 1.5)


@pytest.mark.parametrize("curve", [GAMMA, PIECEWISE, LINEAR])
def test_wide_gamut_is_converted_in_16_bits(curve):
    wide = profile(curve, ADOBE, "wide")
    color = np.random.default_rng(1).integers(0, 65536, (70, 50, 3), dtype=np.uint16)
    alpha = color[..., 0].copy()
    found = to_srgb(Picture(color, alpha, icc=wide))
    assert found.color.dtype == found.alpha.dtype == np.uint16
    assert (found.color % 257 != 0).mean() > 0.4, "no 8-bit values"
    np.testing.assert_array_equal(found.alpha, alpha)
    narrow = ((color.astype(int) + 128) // 257).astype(np.uint8)
    reference = convert_8_bit(narrow, wide)
    again = convert_16_bit(narrow.astype(np.uint16) * 257, wide)
    # The 8-bit engine is coarse in the darkest colors.
    difference = np.abs(again / 257 - reference)
    assert np.percentile(difference, 99) < 1.5 and difference.mean() < 0.5


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_profiles_of_grey_pictures_count_but_not_those_of_mattes(tmp_path, mode, suffix):
    grey = np.tile(np.linspace(0, 1, 256), (40, 1))
    icc, path = profile(LINEAR, [], "linear grey"), tmp_path / f"grey.{suffix}"
    if mode == "I;16":
        image = Image.fromarray(np.rint(grey * 65535).astype(np.uint16))
    else:
        image = Image.fromarray(np.rint(grey * 255).astype(np.uint8)).convert(mode)
    image.save(path, icc_profile=icc)
    picture = read_picture(path)
    white = np.iinfo(picture.color.dtype).max
    assert picture.color[..., 0] / white == pytest.approx(grey, abs=0.01)
    found = to_srgb(picture).color
    assert found.dtype == picture.color.dtype
    light = to_linear(found / white)
    assert np.abs(light - grey[..., None])[:, 16:].max() < 0.01
    mask = np.asarray(read_mask(path, lenient=True).alpha, float)
    if mode != "LA":
        assert mask / white == pytest.approx(grey, abs=0.01)
    # A cutout has three channels, of which such a profile says nothing.
    out = tmp_path / "cutout.png"
    command = ["predict", str(path), str(out), "--keep-metadata", "--device", "cpu"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert read_picture(out).icc is None


def test_profiles_change_no_numbers_of_trimaps(tmp_path):
    trimap = np.zeros((40, 256), np.uint8)
    trimap[:, 64:192], trimap[:, 192:] = 128, 255
    found = []
    for name, icc in (("plain", None), ("linear", profile(LINEAR, [], "linear grey"))):
        path = tmp_path / f"{name}.png"
        Image.fromarray(trimap).save(path, icc_profile=icc)
        truth = np.tile(np.linspace(0, 1, 256), (40, 1))
        found.append(matte.evaluate(1 - truth, truth, trimap=path))
        photo = np.zeros((40, 256, 3), np.uint8)
        alpha = matte.predict(photo, trimap=path, device="cpu")
        assert alpha[:, :60].max() == 0 and alpha[:, 196:].min() == 1
    assert found[0] == found[1]


def test_a_broken_profile_is_passed_over():
    color = DEEP[..., :3].copy()
    for icc in (b"", b"x" * 200, profile(GAMMA, ADOBE, "x")[:300]):
        found = to_srgb(Picture(color, icc=icc))
        assert found.color.shape == color.shape


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_dots_per_inch_are_written_and_read(suffix):
    photo = np.zeros((8, 9, 3), np.uint8)
    picture = read_picture(encode(photo, suffix, dpi=(300, 150)))
    np.testing.assert_allclose(picture.dpi, (300, 150), atol=0.1)
    assert read_picture(encode(photo, ".png")).dpi is None


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_files_keep_profile_metadata_and_dots(suffix, tmp_path):
    exif = Image.Exif()
    exif[0x8298] = "someone"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    icc = profile(GAMMA, ADOBE, "wide")
    write_image(tmp_path / f"x{suffix}", DEEP, icc=icc, exif=exif.tobytes(), dpi=(300, 300))
    picture = read_picture(tmp_path / f"x{suffix}")
    np.testing.assert_array_equal(np.dstack([picture.color, picture.alpha]), DEEP)
    assert picture.icc == icc
    np.testing.assert_allclose(picture.dpi, (300, 300), atol=0.1)
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept[0x8298] == "someone"
    assert kept.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"


def test_dots_turn_with_the_picture():
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (9, 8)).save(buffer, "JPEG", dpi=(300, 150), exif=exif)
    assert read_picture(buffer.getvalue()).dpi == (150, 300)
