"""Animated pictures and files of several pages, cut frame by frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence
from test_predict import matte, network, outputs

from mattecli.core.errors import MatteError
from mattecli.core.imaging.animations import AnimationReader, AnimationWriter
from mattecli.core.imaging.clips.reading import Frame
from mattecli.core.imaging.pixels import to_8_bit
from mattecli.core.imaging.reading import read_picture

__all__ = ["network"]

DURATIONS = [40, 120, 80, 200]


def frames(count: int = 4) -> list[Image.Image]:
    """A red disc on blue that goes to the right."""
    y, x = np.mgrid[0:64, 0:96]
    made = []
    for number in range(count):
        disc = np.hypot(y - 32, x - 25 - 12 * number) < 16
        made.append(np.where(disc[..., None], [255, 0, 0], [0, 0, 200]).astype(np.uint8))
    return [Image.fromarray(frame) for frame in made]


def animation(path: Path, form: str) -> Path:
    first, *rest = frames()
    options = {"lossless": True} if form == "WEBP" else {}
    first.save(path, form, save_all=True, append_images=rest, duration=DURATIONS, loop=3, **options)
    return path


def seen(path: Path) -> tuple[list[np.ndarray], list[int]]:
    """Every frame of a file in RGBA, and how long it is shown."""
    with Image.open(path) as image:
        found = [
            (np.asarray(frame.convert("RGBA")), round(frame.info.get("duration", 0)))
            for frame in ImageSequence.Iterator(image)
        ]
    return [pixels for pixels, _ in found], [duration for _, duration in found]


@pytest.mark.parametrize("source", ["GIF", "WEBP", "PNG"])
@pytest.mark.parametrize("out", ["out.gif", "out.webp", "out.apng"])
def test_every_frame_is_cut_and_keeps_its_time(tmp_path, source, out):
    name = {"GIF": "a.gif", "WEBP": "a.webp", "PNG": "a.png"}[source]
    path = animation(tmp_path / name, source)
    result = matte(path, tmp_path / out, "--no-smooth")
    assert result.exit_code == 0, result.output
    assert "4 frames" in result.stderr
    pictures, durations = seen(tmp_path / out)
    assert len(pictures) == 4 and durations == DURATIONS
    for number, picture in enumerate(pictures):
        middle = picture[32, 25 + 12 * number]
        assert middle[3] == 255 and middle[0] > 240 and middle[2] < 30
        assert not picture[:8, :, 3].any()
        assert not picture[32, : 25 + 12 * number - 22, 3].any()
    if out == "out.gif":
        assert set(np.unique(np.stack(pictures)[..., 3])) == {0, 255}
    with Image.open(tmp_path / out) as image:
        # A GIF says how often it plays again, others how often it plays.
        assert image.info.get("loop") == 3 + (source == "GIF") - (out == "out.gif")


@pytest.mark.parametrize(
    ("source", "loop", "out", "written"),
    [
        ("gif", None, "webp", 1),
        ("gif", None, "gif", None),
        ("webp", 1, "gif", None),
        ("webp", 0, "gif", 0),
        ("gif", 0, "apng", 0),
    ],
)
def test_the_number_of_rounds_is_kept(tmp_path, source, loop, out, written):
    first, *rest = frames()
    looping = {} if loop is None else {"loop": loop}
    first.save(tmp_path / f"a.{source}", save_all=True, append_images=rest, duration=40, **looping)
    assert matte(tmp_path / f"a.{source}", tmp_path / f"b.{out}").exit_code == 0
    with Image.open(tmp_path / f"b.{out}") as image:
        assert image.info.get("loop") == written


@pytest.mark.parametrize(
    ("rate", "out", "times"),
    [
        (30, "out.gif", [30, 40, 30, 30, 40, 30]),
        (30, "out.webp", [33, 34, 33, 33, 34, 33]),
        (60, "out.gif", [20, 30, 20, 30]),
        (60, "out.apng", [17, 16, 17, 17, 16, 17]),
    ],
)
def test_times_that_a_format_cannot_say_do_not_add_up_to_another_speed(tmp_path, rate, out, times):
    for number, frame in enumerate(frames(6)):
        frame.save(tmp_path / f"{number}.png")
    result = matte(tmp_path / "%d.png", tmp_path / out, "--fps", rate, "--no-smooth")
    assert result.exit_code == 0, result.output
    assert seen(tmp_path / out)[1] == times
    assert ("2 of 6 frames left out" in result.stderr) == (len(times) == 4)


def test_a_gif_that_is_too_fast_is_read_as_it_is_seen(tmp_path):
    first, *rest = frames()
    first.save(tmp_path / "a.gif", save_all=True, append_images=rest, duration=[10, 20, 0, 10])
    assert matte(tmp_path / "a.gif", tmp_path / "b.gif").exit_code == 0
    assert seen(tmp_path / "b.gif")[1] == [100, 20, 100, 100]


def test_an_animation_becomes_a_clip_and_a_clip_an_animation(tmp_path):
    pytest.importorskip("av")
    path = animation(tmp_path / "a.gif", "GIF")
    assert matte(path, tmp_path / "a.webm", "--no-smooth").exit_code == 0
    result = matte(tmp_path / "a.webm", tmp_path / "b.webp", "--no-smooth")
    assert result.exit_code == 0, result.output
    pictures, durations = seen(tmp_path / "b.webp")
    assert len(pictures) == 4
    assert durations[:3] == pytest.approx(DURATIONS[:3], abs=2)
    assert pictures[2][32, 49, 3] > 200 and pictures[2][32, 5, 3] < 30


def test_mattes_and_backgrounds_of_animations(tmp_path):
    path = animation(tmp_path / "a.gif", "GIF")
    assert matte(path, tmp_path / "alpha.webp", "--save", "alpha").exit_code == 0
    pictures, _ = seen(tmp_path / "alpha.webp")
    assert pictures[0][32, 25, 0] > 240 and pictures[0][4, 90, 0] < 15
    assert matte(path, tmp_path / "white.gif", "--background", "white").exit_code == 0
    pictures, _ = seen(tmp_path / "white.gif")
    assert pictures[1][2, 2].tolist() == [255, 255, 255, 255]


def test_other_outputs_still_take_the_first_frame_and_say_so(tmp_path):
    path = animation(tmp_path / "a.gif", "GIF")
    result = matte(path, tmp_path / "still.png")
    assert result.exit_code == 0 and "only the first of 4 frames is used" in result.stderr
    first, _ = seen(tmp_path / "still.png")
    assert len(first) == 1
    still = tmp_path / "one.gif"
    frames()[0].save(still)
    assert matte(still, tmp_path / "one.webp").exit_code == 0
    assert len(seen(tmp_path / "one.webp")[0]) == 1


def test_pages_are_cut_one_by_one(tmp_path):
    pages = frames(3)
    pages[1] = pages[1].resize((48, 80))
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    result = matte(tmp_path / "scan.tif", tmp_path / "cut.tiff")
    assert result.exit_code == 0, result.output
    pictures, _ = seen(tmp_path / "cut.tiff")
    assert [picture.shape[:2] for picture in pictures] == [(64, 96), (80, 48), (64, 96)]
    assert pictures[2][32, 49, 3] == 255 and pictures[2][32, 10, 3] == 0


@pytest.mark.parametrize("suffix", ["gif", "webp", "apng", "tif"])
def test_animations_and_pages_replace_results_but_no_photos(tmp_path, suffix):
    form = {"gif": "GIF", "webp": "WEBP", "apng": "PNG", "tif": "TIFF"}[suffix]
    source = animation(tmp_path / f"a.{suffix.replace('apng', 'png')}", form)
    first, second, *_ = frames()
    photo, clear = tmp_path / f"photo.{suffix}", tmp_path / f"clear.{suffix}"
    first.save(photo, form)
    first.putalpha(128)
    second.putalpha(0)
    first.save(clear, form, save_all=True, append_images=[second])
    for out in (photo, clear):
        before = out.read_bytes()
        result = matte(source, out)
        assert isinstance(result.exception, MatteError)
        assert f"{out} would overwrite a photo" in str(result.exception)
        assert out.read_bytes() == before
    for option in ([], ["--save", "alpha"], ["--background", "red"], []):
        before = (tmp_path / f"own.{suffix}").read_bytes() if option else b""
        result = matte(source, tmp_path / f"own.{suffix}", *option)
        assert result.exit_code == 0, result.output
        assert (tmp_path / f"own.{suffix}").read_bytes() != before


@pytest.mark.parametrize("suffix", ["png", "webp", "exr"])
@pytest.mark.parametrize("source", ["GIF", "WEBP", "TIFF"])
def test_to_a_pattern_every_frame_is_a_picture_with_a_number(tmp_path, source, suffix):
    if suffix == "exr":
        pytest.importorskip("OpenEXR")
    path = tmp_path / f"a.{source.lower()}"
    if source == "TIFF":
        pages = [frames()[0], frames()[1].resize((48, 80)), *frames()[2:]]
        pages[0].save(path, save_all=True, append_images=pages[1:])
    else:
        animation(path, source)
    result = matte(path, tmp_path / f"cut/%03d.{suffix}", "--save", "alpha")
    assert result.exit_code == 0, result.output
    assert outputs(tmp_path / "cut") == [f"{number:03d}.{suffix}" for number in (1, 2, 3, 4)]
    last = read_picture(tmp_path / f"cut/004.{suffix}")
    # Where the disc is in the fourth frame, and was in the first.
    alpha = to_8_bit(last.color)[..., 0]
    assert alpha[32, 61] > 250 and alpha[32, 20] < 5


def test_a_pattern_is_for_pictures(tmp_path):
    animation(tmp_path / "a.gif", "GIF")
    for suffix in ("gif", "apng"):
        result = matte(tmp_path / "a.gif", tmp_path / f"cut/%03d.{suffix}")
        assert result.exit_code == 2 and "numbered pictures are" in result.output
    assert outputs(tmp_path) == ["a.gif"]


def test_a_damaged_animation_leaves_nothing(tmp_path):
    data = animation(tmp_path / "a.webp", "WEBP").read_bytes()
    (tmp_path / "b.webp").write_bytes(data[: len(data) * 2 // 3])
    result = matte(tmp_path / "b.webp", tmp_path / "c.apng")
    assert result.exit_code != 0
    assert outputs(tmp_path) == ["a.webp", "b.webp"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["{a}", "{out}.gif", "--bits", "16"],
        ["{a}", "{out}.gif", "--format", "png"],
        ["{a}", "{out}.apng", "--crop"],
        ["{a}", "{out}.gif", "--save", "alpha", "--save", "cutout"],
    ],
)
def test_what_animations_cannot_hold(tmp_path, arguments):
    animation(tmp_path / "a.gif", "GIF")
    filled = [text.format(a=tmp_path / "a.gif", out=tmp_path / "out") for text in arguments]
    assert matte(*filled).exit_code == 2
    assert outputs(tmp_path) == ["a.gif"]


def test_memory_is_bounded(tmp_path, monkeypatch):
    from mattecli.core.imaging import animations

    reader = AnimationReader(animation(tmp_path / "a.gif", "GIF"))
    assert (reader.width, reader.height, reader.frame_count) == (96, 64, 4)
    assert reader.rate == Fraction(4000, sum(DURATIONS))
    monkeypatch.setattr(animations, "MAX_PIXELS", 2 * 96 * 64)
    pixels = np.zeros((64, 96, 3), np.uint8)
    with (
        pytest.raises(MatteError, match=r"make it a \.webm"),
        AnimationWriter(tmp_path / "x", ".gif", reader) as writer,
    ):
        for time in range(3):
            writer.write(writer.convert(pixels, Frame(pixels, time, 10)))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("out", ["out.mov", "out.gif"])
def test_a_damaged_animation_is_at_fault_and_not_its_result(tmp_path, out):
    (tmp_path / "walk.gif").write_bytes(b"GIF89a and no more")
    result = matte(tmp_path / "walk.gif", tmp_path / out)
    assert result.exit_code == 1 and isinstance(result.exception, MatteError)
    assert "walk.gif is not a picture" in str(result.exception)
