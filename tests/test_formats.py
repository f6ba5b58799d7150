"""Formats beside the usual ones: AVIF, EXR and layers out; PSD, JPEG XL and raw files in."""

from __future__ import annotations

import io
import struct
import sys
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from test_predict import matte, network, outputs, photo

from mattecli.core.errors import MatteError
from mattecli.core.imaging import raw
from mattecli.core.imaging.colors import srgb_to_linear
from mattecli.core.imaging.kinds import START, is_raw_start, kind_of
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.masks import MaskError
from mattecli.core.imaging.reading import image_size, read_alpha, read_picture
from mattecli.core.imaging.walking import walk
from mattecli.core.imaging.writing import encode, write_image

__all__ = ["network", "photo"]


@pytest.fixture
def source(photo, tmp_path):
    write_image(tmp_path / "photo.png", photo)
    return tmp_path / "photo.png"


def test_avif_keeps_colors_and_transparency(source, photo, tmp_path):
    assert matte(source, tmp_path / "cut.avif", "--size", 128).exit_code == 0
    cut = read_picture(tmp_path / "cut.avif")
    truth = photo[..., 0].astype(int)
    assert np.abs(cut.alpha.astype(int) - truth).mean() < 4
    assert np.abs(cut.color[40, 70].astype(int) - [255, 0, 0]).max() < 12
    small = (tmp_path / "cut.avif").stat().st_size
    assert matte(source, tmp_path / "cut.avif", "--quality", 20).exit_code == 0
    assert (tmp_path / "cut.avif").stat().st_size < small


def test_exr_is_linear_half_and_premultiplied(source, tmp_path):
    openexr = pytest.importorskip("OpenEXR")
    assert matte(source, tmp_path / "cut.exr", "--bits", 16).exit_code == 0
    assert matte(source, tmp_path / "cut.png", "--bits", 16).exit_code == 0
    with openexr.File(str(tmp_path / "cut.exr")) as file:
        pixels = np.array(file.channels()["RGBA"].pixels)
    assert pixels.dtype == np.float16
    straight = read_picture(tmp_path / "cut.png")
    alpha = straight.alpha / 65535
    assert np.abs(pixels[..., 3] - alpha).max() < 1e-3
    red = straight.color[..., 0] / 65535
    light = np.where(red <= 0.04045, red / 12.92, ((red + 0.055) / 1.055) ** 2.4)
    assert np.abs(pixels[..., 0] - light * alpha).max() < 2e-3
    assert matte(source, tmp_path / "a.exr", "--save", "alpha").exit_code == 0
    with openexr.File(str(tmp_path / "a.exr")) as file:
        assert np.abs(np.array(file.channels()["Y"].pixels) - alpha).max() < 4e-3


def test_an_exr_matte_of_what_is_no_number_is_refused(tmp_path):
    openexr = pytest.importorskip("OpenEXR")
    plane = np.full((8, 8), np.nan, np.float32)
    for channels in ({"Y": plane}, {"A": plane, "R": plane * 0, "G": plane * 0, "B": plane * 0}):
        with openexr.File({}, channels) as file:
            file.write(str(tmp_path / "m.exr"))
        with pytest.raises(MaskError, match=r"m\.exr: holds 64 of 64 values that are no numbers"):
            read_mask(tmp_path / "m.exr")
    # Below a matte colors do not matter.
    with openexr.File({}, {"A": np.eye(8, dtype="f4"), "R": plane, "G": plane, "B": plane}) as file:
        file.write(str(tmp_path / "m.exr"))
    assert np.array_equal(read_mask(tmp_path / "m.exr").alpha, np.eye(8) * 65535)


def test_ora_has_the_subject_over_its_photo(source, photo, tmp_path):
    assert matte(source, tmp_path / "cut.ora").exit_code == 0
    assert matte(source, tmp_path / "cut.png").exit_code == 0
    with zipfile.ZipFile(tmp_path / "cut.ora") as file:
        first = file.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
        assert file.read("mimetype") == b"image/openraster"
        stack = file.read("stack.xml").decode()
        assert stack.index("Subject") < stack.index("Photo") and 'w="120" h="90"' in stack
        behind = read_picture(file.read("data/photo.png"))
        subject = read_picture(file.read("data/subject.png"))
        merged = read_picture(file.read("mergedimage.png"))
        assert read_picture(file.read("Thumbnails/thumbnail.png")).color.shape[1] == 120
    assert np.array_equal(behind.color, photo)
    cut = read_picture(tmp_path / "cut.png")
    assert np.array_equal(subject.alpha, cut.alpha) and np.array_equal(merged.alpha, cut.alpha)
    # Beyond the edge the subject's colors go on, so that the edge can be moved.
    assert subject.color[5, 5][0] > 200


def test_layers_are_cropped_as_what_they_show(source, tmp_path):
    assert matte(source, tmp_path / "cut.png", "--crop").exit_code == 0
    assert matte(source, tmp_path / "cut.ora", "--crop").exit_code == 0
    cut = read_picture(tmp_path / "cut.png")
    with zipfile.ZipFile(tmp_path / "cut.ora") as file:
        subject = read_picture(file.read("data/subject.png"))
        assert np.array_equal(subject.alpha, cut.alpha)
        assert read_picture(file.read("data/photo.png")).color.shape == cut.color.shape


def test_the_shadow_of_a_cutout_is_a_layer(source, tmp_path):
    for name in ("cut.png", "cut.ora"):
        assert matte(source, tmp_path / name, "--shadow").exit_code == 0
    with zipfile.ZipFile(tmp_path / "cut.ora") as file:
        stack = file.read("stack.xml").decode()
        assert stack.index("Subject") < stack.index("Shadow") < stack.index("Photo")
        subject, shadow = (read_picture(file.read(f"data/{x}.png")) for x in ("subject", "shadow"))
    assert shadow.color.max() == 0 and shadow.alpha.max() > 50
    alpha, dark = subject.alpha / 255, shadow.alpha / 255
    shown = read_picture(tmp_path / "cut.png").alpha
    assert np.abs(255 * (alpha + dark * (1 - alpha)) - shown).max() < 2
    psd_tools = pytest.importorskip("psd_tools")
    for _ in range(2):  # the first is no photo that the second would overwrite
        assert matte(source, tmp_path / "cut.psd", "--shadow").exit_code == 0
    layers = list(psd_tools.PSDImage.open(tmp_path / "cut.psd"))
    assert [layer.name for layer in layers] == ["Photo", "Shadow", "Subject"]
    assert np.array_equal(np.asarray(layers[1].mask.topil()), shadow.alpha)


def test_psd_has_a_layer_mask_over_the_background(source, tmp_path):
    psd_tools = pytest.importorskip("psd_tools")
    options = ["--background", "#00ff00", "--canvas", "200x150"]
    assert matte(source, tmp_path / "made.psd", *options).exit_code == 0
    assert matte(source, tmp_path / "made.png", *options).exit_code == 0
    layers = list(psd_tools.PSDImage.open(tmp_path / "made.psd"))
    assert [layer.name for layer in layers] == ["Photo", "Subject"]
    assert layers[1].has_mask() and not layers[0].has_mask()
    mask = np.asarray(layers[1].mask.topil())
    assert mask.max() == 255
    assert np.asarray(layers[0].topil().convert("RGB"))[0, 0].tolist() == [0, 255, 0]
    # What other programs show is the composite, and we read it again.
    merged = read_picture(tmp_path / "made.psd").color
    assert np.abs(merged.astype(int) - read_picture(tmp_path / "made.png").color).max() <= 1


@pytest.mark.parametrize("arguments", [["x.ora", "--save", "alpha"], ["x.psd", "--bits", "16"]])
def test_layers_are_for_cutouts_of_eight_bits(source, tmp_path, arguments):
    assert matte(source, tmp_path / arguments[0], *arguments[1:]).exit_code == 2


@pytest.mark.parametrize(("name", "suffix"), [("psd_tools", ".psd"), ("OpenEXR", ".exr")])
def test_what_is_not_installed_is_told_before_anything_is_done(
    source, tmp_path, monkeypatch, name, suffix
):
    monkeypatch.setitem(sys.modules, name, None)
    result = matte(source, tmp_path / f"x{suffix}")
    assert result.exit_code == 2 and "pip" in " ".join(result.output.split())


def psd(photo: np.ndarray, *, merged: bool = True) -> bytes:
    """A PSD of one picture in RGB, with what says whether that is what its layers look like."""
    height, width = photo.shape[:2]
    info = struct.pack(">I?II", 1, merged, 0, 0) + b"\0\0\0\1"
    resource = b"8BIM" + struct.pack(">H", 1057) + b"\0\0" + struct.pack(">I", len(info)) + info
    resource += b"\0" * (len(info) % 2)
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, height, width, 8, 3)
    blocks = struct.pack(">I", 0) + struct.pack(">I", len(resource)) + resource
    return head + blocks + struct.pack(">IH", 0, 0) + photo.transpose(2, 0, 1).tobytes()


def test_psd_is_read_if_it_is_merged(photo, tmp_path):
    (tmp_path / "a.psd").write_bytes(psd(photo))
    assert np.array_equal(read_picture(tmp_path / "a.psd").color, photo)
    assert image_size(tmp_path / "a.psd") == (120, 90)
    (tmp_path / "b.psd").write_bytes(psd(photo, merged=False))
    with pytest.raises(MatteError, match=r"b\.psd was saved without a merged picture"):
        read_picture(tmp_path / "b.psd")


def test_jpeg_xl_is_read(photo, tmp_path, monkeypatch):
    pillow_jxl = pytest.importorskip("pillow_jxl")
    assert pillow_jxl
    Image.fromarray(photo).save(tmp_path / "a.jxl", lossless=True)
    assert kind_of((tmp_path / "a.jxl").read_bytes()[:START]) == "JPEG XL"
    assert np.array_equal(read_picture(tmp_path / "a.jxl").color, photo)
    monkeypatch.setitem(sys.modules, "pillow_jxl.JpegXLImagePlugin", None)
    with pytest.raises(MatteError, match=r"mattecli\[jxl\]"):
        read_picture(tmp_path / "a.jxl")


def dng(photo: np.ndarray) -> bytes:
    """A DNG: the photo behind a Bayer filter, in 16 bits, for a camera that sees as sRGB does."""
    linear = np.round(srgb_to_linear(photo.astype(np.float32) / 255) * 65535).astype("<u2")
    mosaic = linear[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = linear[::2, ::2, 0], linear[1::2, 1::2, 2]
    height, width = mosaic.shape
    # XYZ to the camera's colors, by 10,000, and the white that it saw.
    matrix = (32406, -15372, -4986, -9689, 18758, 415, 557, -2040, 10570)
    entries = [
        (254, "I", (0,)), (256, "I", (width,)), (257, "I", (height,)), (258, "H", (16,)),
        (259, "H", (1,)), (262, "H", (32803,)), (273, "I", (0,)), (277, "H", (1,)),
        (278, "I", (height,)), (279, "I", (mosaic.nbytes,)), (33421, "H", (2, 2)),
        (33422, "B", (0, 1, 1, 2)), (50706, "B", (1, 4, 0, 0)), (50708, "s", b"A camera\0"),
        (50721, "i", [part for value in matrix for part in (value, 10_000)]),
        (50728, "I2", (1, 1) * 3), (50778, "H", (21,)),
    ]  # fmt: skip
    kinds = {"B": 1, "s": 2, "H": 3, "I": 4, "I2": 5, "i": 10}
    place = 8 + 2 + 12 * len(entries) + 4
    directory, values = struct.pack("<H", len(entries)), b""
    for tag, kind, content in entries:
        packed = content if kind == "s" else struct.pack(f"<{len(content)}{kind[0]}", *content)
        count = len(content) // (2 if kind in ("I2", "i") else 1)
        if len(packed) > 4:
            pointer, values = struct.pack("<I", place + len(values)), values + packed
        else:
            pointer = packed.ljust(4, b"\0")
        directory += struct.pack("<HHI", tag, kinds[kind], count) + pointer
    pixels = place + len(values)
    directory = directory.replace(
        struct.pack("<HHII", 273, 4, 1, 0), struct.pack("<HHII", 273, 4, 1, pixels)
    )
    return b"II*\0\x08\0\0\0" + directory + bytes(4) + values + mosaic.tobytes()


def test_a_mosaic_of_a_camera_becomes_the_photo(tmp_path):
    """By the real LibRaw."""
    pytest.importorskip("rawpy")
    y, x = np.mgrid[0:90, 0:120]
    photo = np.dstack([60 + x, 200 - x, 80 + y]).astype(np.uint8)
    photo[30:60, 40:80] = (200, 40, 30)
    for name in ("a.dng", "a.DNG"):
        (tmp_path / name).write_bytes(dng(photo))
        picture = read_picture(tmp_path / name)
        assert image_size(tmp_path / name) == (120, 90) and picture.color.shape == (90, 120, 3)
        assert picture.color.dtype == np.uint16
        # LibRaw brightens until some pixels are white, and has a curve of its own.
        inside, outside = picture.color[35:55, 45:75], picture.color[5:25, 90:110]
        assert inside[..., 0].mean() > 3 * inside[..., 1].mean()
        assert outside[..., 0].mean() > outside[..., 1].mean()
        # The edges of the square are where they were.
        assert picture.color[45, 38, 0] < picture.color[45, 43, 0] / 1.3
    (tmp_path / "cut.dng").write_bytes(dng(photo)[:-6000])
    with pytest.raises(MatteError, match=r"cut\.dng"):
        read_picture(tmp_path / "cut.dng")


class FakeRaw:
    """A raw file as rawpy gives it: 40x30, the camera held upright."""

    sizes = SimpleNamespace(width=40, height=30, flip=5)

    def __init__(self, file: io.BytesIO) -> None:
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def postprocess(self, **options):
        assert options == {"use_camera_wb": True, "output_bps": 16}
        return np.full((40, 30, 3), 1000, np.uint16)


def test_raw_files_are_developed(tmp_path, monkeypatch, photo):
    rawpy = pytest.importorskip("rawpy")
    monkeypatch.setattr(rawpy, "imread", FakeRaw)
    (tmp_path / "a.nef").write_bytes(b"II*\0" + bytes(100))
    picture = read_picture(tmp_path / "a.nef")
    assert picture.color.dtype == np.uint16 and picture.color.shape == (40, 30, 3)
    assert image_size(tmp_path / "a.nef") == (30, 40)
    with pytest.raises(MatteError, match="more than the limit"):
        read_picture(tmp_path / "a.nef", max_pixels=1000)


def test_raw_files_that_are_none_or_cannot_be_read(tmp_path, monkeypatch):
    pytest.importorskip("rawpy")
    (tmp_path / "a.cr2").write_bytes(b"II*\0\x10\0\0\0CR\2\0" + bytes(100))
    with pytest.raises(MatteError, match=r"cannot develop .*a\.cr2"):
        read_picture(tmp_path / "a.cr2")
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(MatteError, match=r"a\.cr2 is a camera's raw file.*mattecli\[raw\]"):
        read_picture(tmp_path / "a.cr2")


def test_raw_files_are_told_by_their_start_where_that_is_theirs():
    assert is_raw_start(b"FUJIFILMCCD-RAW 0201") and is_raw_start(b"\0\0\0\x18ftypcrx \0")
    assert is_raw_start(b"II*\0\x10\0\0\0CR\2\0")
    assert not is_raw_start(b"II*\0\x08\0\0\0\1\2\3\4")
    assert raw.is_raw(b"IIU\0", b"IIU\0") and not raw.is_raw(b"II*\0", b"II*\0")


def test_a_raw_file_beside_its_jpeg_is_passed_over(photo, tmp_path):
    data = encode(photo, ".jpg")
    for name in ("in/DSC1.JPG", "in/other/DSC1.NEF", "in/DSC2.nef", "in/DSC1.NEF"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    images, passed_over = walk(tmp_path / "in")
    names = [image.relative_to(tmp_path / "in").as_posix() for image in images]
    assert names == ["DSC1.JPG", "DSC2.nef", "other/DSC1.NEF"]
    assert passed_over == {".nef beside a picture of that name": 1}


def test_every_format_of_a_folder(source, tmp_path):
    for image_format in ("avif", "ora"):
        assert matte(source.parent, tmp_path / "out", "--format", image_format).exit_code == 0
    assert outputs(tmp_path / "out") == ["photo.avif", "photo.ora"]
    assert read_alpha(tmp_path / "out/photo.avif").max() > 250
