"""Frames of clips: alpha is respected, colors keep their meaning, no row of pixels is lost."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from clip_material import RATE, flash, make_clip, matte, one_line, see
from test_predict import load_red_is_subject

from mattecli.core.errors import MatteError
from mattecli.core.imaging.reading import read_picture
from mattecli.core.imaging.writing import write_image
from mattecli.core.runtime import loading

RED, ORANGE = (255, 0, 0), (200, 60, 40)
BASE = Fraction(1, RATE)


@pytest.fixture(autouse=True)
def network(monkeypatch):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)


def plain(size=(64, 48), color=RED):
    def picture(number):
        frame = np.full((size[1], size[0], 4), 255, np.uint8)
        frame[..., :3] = color
        return frame

    return picture


def half(number):
    """Red, which the network takes for subject; below the middle transparent."""
    frame = plain()(number)
    frame[24:, :, 3] = 0
    return frame


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "options"),
    [
        ("vp9.webm", "libvpx-vp9", "yuva420p", {"auto-alt-ref": "0"}),
        ("vp9.mkv", "libvpx-vp9", "yuva420p", {"auto-alt-ref": "0"}),
        ("vp8.webm", "libvpx", "yuva420p", {"auto-alt-ref": "0"}),
        ("prores.mov", "prores_ks", "yuva444p10le", {"profile": "4444"}),
        ("png.mov", "png", "rgba", {}),
        ("png16.mov", "png", "rgba64be", {}),
        ("animation.mov", "qtrle", "argb", {}),
        ("ffv1.mkv", "ffv1", "yuva420p", {}),
        ("raw.avi", "rawvideo", "bgra", {}),
    ],
)
def test_what_was_transparent_stays_transparent(tmp_path, name, codec, pixels, options):
    clip = make_clip(
        tmp_path / name, codec=codec, pixels=pixels, picture=half, options=options, base=BASE
    )
    for out in ("out.mov", "out.webm"):
        result = matte(clip, tmp_path / out)
        assert result.exit_code == 0, one_line(result)
        alpha = see(tmp_path / out).frames[..., 3]
        assert alpha[:, :20].min() > 250 and alpha[:, 28:].max() < 5, out
    assert matte(clip, tmp_path / "out.mp4", "--background", "#0000ff").exit_code == 0
    colors = see(tmp_path / "out.mp4").frames[..., :3]
    assert np.abs(colors[:, :16] - RED).max() < 16
    assert np.abs(colors[:, 32:] - [0, 0, 255]).max() < 16
    assert matte(clip, tmp_path / "frames").exit_code == 0
    picture = read_picture(tmp_path / "frames" / "000005.png")
    assert picture.alpha[:20].min() > 250 and picture.alpha[28:].max() < 5


def test_the_fourth_byte_of_avi_files_that_is_always_0_is_no_alpha(tmp_path):
    def idle(number):
        frame = plain()(number)
        frame[..., 3] = 0
        return frame

    clip = make_clip(
        tmp_path / "clip.avi", codec="rawvideo", pixels="bgra", picture=idle, base=BASE
    )
    assert matte(clip, tmp_path / "out.mov").exit_code == 0
    assert see(tmp_path / "out.mov").frames[..., 3].min() > 250


BT709, BT2020, PQ, HLG, P3 = 1, 9, 16, 18, 12


@pytest.mark.parametrize("out", [".mov", ".webm", ".mp4"])
@pytest.mark.parametrize(
    ("tags", "written", "said"),
    [
        ((BT709, BT709, BT709, 1), (BT709, BT709, BT709), ""),
        ((BT709, BT709, BT709, 2), (BT709, BT709, BT709), ""),
        ((5, 5, 6, 1), (6, 5, 6), ""),
        ((6, 6, 6, 1), (6, 6, 6), ""),
        ((7, 7, 7, 1), (BT709, 7, 7), ""),
        ((BT2020, BT2020, 14, 1), (BT2020, BT2020, 14), "BT.2020"),
        ((BT2020, BT2020, PQ, 1), (BT2020, BT2020, PQ), "BT.2020, PQ"),
        ((BT2020, BT2020, HLG, 1), (BT2020, BT2020, HLG), "BT.2020, HLG"),
        ((BT709, P3, BT709, 1), (BT709, P3, BT709), "Display P3"),
        ((2, 2, 2, 0), (6, BT709, BT709), ""),
    ],
)
def test_color_tags_are_obeyed_and_carried_over(tmp_path, tags, written, said, out):
    names = ("colorspace", "color_primaries", "color_trc", "color_range")
    clip = make_clip(
        tmp_path / "clip.mkv",
        picture=plain(color=ORANGE),
        times=[0, 0.04],
        colors={name: tag for name, tag in zip(names, tags, strict=True) if tag not in (0, 2)}
        | ({"color_range": 2} if tags[3] == 2 else {}),
    )
    assert see(clip).colors == tags
    kind = ["--save", "foreground"] if out != ".mov" else []
    result = matte(clip, tmp_path / f"out{out}", *kind)
    assert result.exit_code == 0, one_line(result)
    assert said in result.output and ("tone mapping" in result.output) == bool(said)
    after = see(tmp_path / f"out{out}")
    # ProRes has one name for the curves of BT.601, BT.709 and BT.2020.
    curve = BT709 if out == ".mov" and written[2] in (6, 14) else written[2]
    assert after.colors == (*written[:2], curve, 1)
    assert np.abs(after.frames[:, 8:40, 8:56, :3] - ORANGE).max() < 6


def test_mattes_of_hdr_are_no_hdr_and_pictures_of_it_are_said_to_be_dull(tmp_path):
    colors = {"colorspace": BT2020, "color_primaries": BT2020, "color_trc": PQ}
    clip = make_clip(tmp_path / "clip.mkv", times=[0, 0.04], colors=colors)
    assert matte(clip, tmp_path / "out.mp4", "--save", "alpha").exit_code == 0
    assert see(tmp_path / "out.mp4").colors == (BT709, BT709, BT709, 1)
    result = matte(clip, tmp_path / "frames")
    assert result.exit_code == 0 and "(BT.2020, PQ) are taken for sRGB" in result.output


@pytest.mark.parametrize(
    ("size", "written"),
    [
        ((1280, 536), (BT709, BT709)),
        ((640, 578), (BT709, BT709)),
        ((720, 576), (6, 5)),
        ((720, 480), (6, 6)),
        ((352, 288), (6, BT709)),
    ],
)
def test_untagged_clips_are_what_players_take_them_for(tmp_path, size, written):
    clip = make_clip(
        tmp_path / "clip.mkv",
        codec="ffv1",
        picture=plain(size),
        times=[0],
        base=BASE,
        matrix=5 if written[0] == 6 else BT709,
    )
    assert see(clip).colors[0] == 2
    assert matte(clip, tmp_path / "out.mov").exit_code == 0
    after = see(tmp_path / "out.mov")
    assert after.colors[:2] == written
    assert np.abs(after.frames[..., :3] - RED).max() < 4


@pytest.mark.parametrize("matrix", [8, 10])
def test_colors_that_would_be_converted_wrongly_are_refused(tmp_path, matrix):
    clip = make_clip(tmp_path / "clip.mkv", colors={"colorspace": matrix})
    result = matte(clip, tmp_path / "out.mov")
    assert result.exit_code == 1 and "convert it to BT.709" in one_line(result)
    assert not (tmp_path / "out.mov").exists()


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (63, 48), (17, 16), (3, 5), (1, 1)])
def test_odd_sizes_lose_no_row(tmp_path, size):
    """A green frame around red: if its last row or column were lost it would be seen."""
    width, height = size

    def framed(number):
        frame = plain(size, (255, 0, 0))(number)
        frame[-1], frame[:, -1] = (255, 200, 0, 255), (255, 200, 0, 255)
        return frame

    clip = make_clip(
        tmp_path / "clip.mkv", codec="ffv1", pixels="bgr0", picture=framed, base=BASE, times=[0]
    )
    for out in ("out.mov", "out.webm"):
        assert matte(clip, tmp_path / out).exit_code == 0
        assert see(tmp_path / out).frames.shape == (1, height, width, 4), out
    result = matte(clip, tmp_path / "out.mp4", "--save", "foreground", "--quality", "100")
    assert result.exit_code == 0
    even = width + width % 2, height + height % 2
    assert f"from {width}x{height} to {even[0]}x{even[1]}" in result.output
    frame = see(tmp_path / "out.mp4").frames[0]
    assert frame.shape == (even[1], even[0], 4)
    assert frame[height - 1 :, :, 1].mean() > 140 and frame[:, width - 1 :, 1].mean() > 140


@pytest.mark.parametrize("codec", ["ffv1", "libvpx-vp9"])
@pytest.mark.parametrize("width", [17, 18, 34, 322])
def test_no_shortcut_of_swscale_leaves_garbage_in_the_last_columns(tmp_path, codec, width):
    suffix, options = (".mkv", {}) if codec == "ffv1" else (".webm", {"auto-alt-ref": "0"})
    clip = make_clip(
        tmp_path / f"clip{suffix}",
        codec=codec,
        pixels="yuva420p",
        picture=plain((width, 18)),
        base=BASE,
        options=options,
    )
    assert matte(clip, tmp_path / "frames", "--format", "png").exit_code == 0
    for path in (tmp_path / "frames").iterdir():
        picture = read_picture(path)
        assert np.abs(picture.color.astype(int) - RED).max() < 16, path.name
        assert picture.alpha.min() > 245, path.name


@pytest.mark.parametrize(
    ("matrix", "turned", "said"),
    [
        ((-1, 0, 0, 1), lambda array: array[:, ::-1], ""),
        ((1, 0, 0, -1), lambda array: array[::-1], ""),
        ((0, 1, 1, 0), lambda array: array.swapaxes(0, 1), ""),
        ((0, -1, -1, 0), lambda array: array.swapaxes(0, 1)[::-1, ::-1], ""),
        ((0, 1, -1, 0), lambda array: np.rot90(array, -1), ""),
        ((0.5, 0.866, -0.866, 0.5), lambda array: np.rot90(array, -1), "of which -90"),
        ((0, 0, 0, 0), lambda array: array, "says nothing"),
    ],
)
def test_mirrored_and_turned_clips_are_shown_as_players_show_them(tmp_path, matrix, turned, said):
    def corner(number):
        frame = plain(color=(0, 0, 255))(number)
        frame[:16, :32] = 255, 0, 0, 255
        return frame

    clip = make_clip(tmp_path / "clip.mp4", picture=corner, times=[0, 0.04])
    data = bytearray(clip.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    for offset, value in zip((0, 4, 12, 16), matrix, strict=True):
        struct.pack_into(">i", data, place + offset, round(value * 65536))
    clip.write_bytes(data)
    result = matte(clip, tmp_path / "out.mov")
    assert result.exit_code == 0 and said in result.output
    alpha = see(tmp_path / "out.mov").frames[0, ..., 3]
    truth = turned(corner(0)[..., 0])
    assert alpha.shape == truth.shape
    assert np.abs(alpha - truth).mean() < 8


def test_interlaced_frames_are_noticed(tmp_path):
    clip = make_clip(
        tmp_path / "clip.ts",
        codec="mpeg2video",
        pixels="yuv420p",
        picture=flash,
        base=BASE,
        options={"flags": "+ildct+ilme"},
    )
    result = matte(clip, tmp_path / "out.mov")
    assert result.exit_code == 0 and "interlaced frames, cut without" in result.output


def test_numbered_exr_pictures_are_read_as_they_were_written(tmp_path):
    rgba = np.zeros((20, 30, 4), np.uint16)
    rgba[..., 0], rgba[..., 1], rgba[..., 3] = 60000, 20000, 65535
    rgba[:, 20:] = 0
    rgba[:, 10:20, 3] = 30000
    for number in range(3):
        write_image(tmp_path / "in" / f"{number:03}.exr", rgba)
    picture = read_picture(tmp_path / "in" / "000.exr")
    assert picture.color.dtype == np.uint16
    seen = rgba[..., 3] > 0
    assert np.abs(picture.color.astype(int) - rgba[..., :3])[seen].max() < 60
    assert np.abs(picture.alpha.astype(int) - rgba[..., 3]).max() < 40
    result = matte(tmp_path / "in" / "%03d.exr", tmp_path / "out" / "%03d.exr")
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out").glob("*.exr"))) == 3
    (tmp_path / "in" / "000.exr").write_bytes(b"no picture")
    result = matte(tmp_path / "in" / "%03d.exr", tmp_path / "again" / "%03d.png")
    assert isinstance(result.exception, MatteError) and "000.exr" in str(result.exception)
