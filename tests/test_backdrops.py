"""Backgrounds that move: clips, animated pictures and numbered pictures behind clips, by time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from clip_material import COUNT, RATE, SIZE, make_clip, matte, one_line, see
from PIL import Image
from test_predict import load_red_is_subject

from mattecli.core.errors import MatteError
from mattecli.core.imaging.writing import write_image
from mattecli.core.matting.backdrops import Backdrop, moves
from mattecli.core.runtime import loading

#: Green of the frames of a background; 5 of them at 50 a second last .1 second.
GREENS = (40, 80, 120, 160, 200)


@pytest.fixture(autouse=True)
def network(monkeypatch):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)


def half_red(number: int) -> np.ndarray:
    """RGBA: the left half is subject."""
    frame = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
    frame[..., 2:] = 255
    frame[:, : SIZE[0] // 2] = (255, 0, 0, 255)
    return frame


def green(number: int, alpha: int = 255) -> np.ndarray:
    frame = np.zeros((24, 32, 4), np.uint8)
    frame[..., 1], frame[..., 3] = GREENS[number], alpha
    return frame


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "clip.mp4", picture=half_red)


def make_background(folder, kind: str):
    if kind == "clip":
        times = [number / 50 for number in range(len(GREENS))]
        return make_clip(folder / "behind.mkv", picture=green, times=times, rate=50)
    if kind == "gif":
        frames = [Image.fromarray(green(number)[..., :3]) for number in range(len(GREENS))]
        path = folder / "behind.gif"
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=20)
        return path
    (folder / "behind").mkdir()
    for number in range(len(GREENS)):
        write_image(folder / "behind" / f"{number:03}.png", green(number)[..., :3])
    return folder / "behind" / "%03d.png"


@pytest.mark.parametrize("kind", ["clip", "gif", "pictures"])
@pytest.mark.parametrize("loops", [True, False])
def test_a_background_moves_by_its_own_time(clip, tmp_path, kind, loops):
    path = make_background(tmp_path, kind)
    options = [] if loops else ["--background-hold"]
    options += ["--fps", 50] if kind == "pictures" else []
    result = matte(clip, tmp_path / "out.mp4", "--background", path, *options)
    assert result.exit_code == 0, result.output
    seen = see(tmp_path / "out.mp4")
    assert len(seen.frames) == COUNT
    for number, frame in enumerate(seen.frames):
        shown = number * 50 // RATE
        shown = shown % len(GREENS) if loops else min(shown, len(GREENS) - 1)
        right = frame[:, SIZE[0] // 2 + 4 :, :3].mean(axis=(0, 1))
        assert right == pytest.approx([0, GREENS[shown], 0], abs=6), number
        assert frame[:, : SIZE[0] // 2 - 4, 0].min() > 240


def test_into_pictures_and_where_the_background_is_transparent(clip, tmp_path):
    path = tmp_path / "behind.webp"
    frames = [Image.fromarray(green(number, alpha=0)) for number in range(2)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40, lossless=True)
    result = matte(clip, tmp_path / "out", "--background", path)
    assert result.exit_code == 0, result.output
    picture = np.asarray(Image.open(tmp_path / "out" / "000004.png"))
    # As everywhere, what is transparent lies on white.
    assert picture[:, SIZE[0] // 2 + 4 :].min() > 250


def test_what_is_wrong_with_a_background_is_said(clip, tmp_path):
    (tmp_path / "no.mp4").write_bytes(b"no clip")
    for path in (tmp_path / "no.mp4", tmp_path / "gone.mov", tmp_path / "gone" / "%03d.png"):
        result = matte(clip, tmp_path / "out.mp4", "--background", path)
        assert result.exit_code != 0
        assert str(path.parent) in one_line(result)
        assert not (tmp_path / "out.mp4").exists()


def test_photos_take_no_clip_as_their_background(clip, tmp_path):
    write_image(tmp_path / "photo.png", half_red(0)[..., :3])
    behind = make_background(tmp_path, "clip")
    result = matte(tmp_path / "photo.png", tmp_path / "out.png", "--background", behind)
    assert result.exit_code != 0 and "photos need a picture" in one_line(result)


def test_what_moves(tmp_path, clip):
    still = tmp_path / "still.gif"
    Image.fromarray(green(0)[..., :3]).save(still)
    assert moves(str(clip)) and moves(str(make_background(tmp_path, "gif")))
    assert moves(str(make_background(tmp_path, "pictures")))
    for text in ("white", "#abc", str(still), "blur", "nothing.png"):
        assert not moves(text)


def test_a_backdrop_can_be_asked_far_ahead_and_again(tmp_path):
    backdrop = Backdrop(make_background(tmp_path, "clip"))
    tones = [int(backdrop.at(Fraction(ms, 1000)).mean(axis=(0, 1))[1]) for ms in (0, 0, 19, 20)]
    assert tones == pytest.approx([40, 40, 40, 80], abs=3)
    assert backdrop.at(Fraction(7, 1) + Fraction(1, 25)).mean(axis=(0, 1))[1] == pytest.approx(
        GREENS[2], abs=3
    )
    assert not backdrop.problems
    backdrop.close()
    with pytest.raises(MatteError, match="gone"):
        Backdrop(tmp_path / "gone.mp4")
