"""``matte composite`` with clips: of cutouts, as backgrounds, and both."""

from __future__ import annotations

import numpy as np
import pytest
from clip_material import COUNT, RATE, SIZE, Tone, make_clip, see
from PIL import Image
from test_backdrops import GREENS, make_background
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.imaging.writing import write_image

WIDTH, HEIGHT = SIZE


def composite(*arguments: object):
    environment = {"COLUMNS": "300", "TERMINAL_WIDTH": "300"}
    return CliRunner().invoke(app, ["composite", *map(str, arguments)], env=environment)


def cutout(number: int) -> np.ndarray:
    """RGBA: an opaque red column that moves right by 3 pixels a frame."""
    frame = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    frame[:, 3 * number : 3 * number + 20] = (255, 0, 0, 255)
    return frame


@pytest.fixture
def moving(tmp_path):
    """A ProRes clip of cutouts, with sound."""
    options = {"profile": "4444"}
    return make_clip(
        tmp_path / "cut.mov",
        codec="prores_ks",
        pixels="yuva444p10le",
        picture=cutout,
        tones=[Tone()],
        options=options,
    )


def is_column(frame: np.ndarray, number: int) -> bool:
    left = 3 * number
    inside = frame[4:-4, left + 3 : left + 17]
    return bool(inside[..., 0].min() > 230 and inside[..., 1].max() < 25)


def test_a_clip_of_cutouts_on_a_color_keeps_times_and_sound(moving, tmp_path):
    result = composite(moving, "#00ff00", "--out", tmp_path / "out.mp4")
    assert result.exit_code == 0 and f"{COUNT} frames" in result.output
    seen = see(tmp_path / "out.mp4")
    assert np.allclose(seen.times, np.arange(COUNT) / RATE, atol=1e-3)
    assert seen.beep == pytest.approx(0.2, abs=0.03)
    for number, frame in enumerate(seen.frames):
        assert is_column(frame, number)
        assert frame[10, -4:, 1].min() > 230 and frame[10, -4:, 0].max() < 25


@pytest.mark.parametrize("hold", [False, True])
def test_a_clip_of_cutouts_on_a_clip(moving, tmp_path, hold):
    behind = make_background(tmp_path, "clip")
    options = ["--background-hold"] if hold else []
    result = composite(moving, behind, "--out", tmp_path / "out.mov", *options)
    assert result.exit_code == 0, result.output
    for number, frame in enumerate(see(tmp_path / "out.mov").frames):
        shown = min(2 * number, 4) if hold else 2 * number % 5
        assert is_column(frame, number)
        assert frame[10, -3:, 1].mean() == pytest.approx(GREENS[shown], abs=6)


def test_a_still_cutout_on_a_clip_has_its_length_and_sound(tmp_path):
    write_image(tmp_path / "cut.png", cutout(2))
    behind = make_clip(tmp_path / "behind.mp4", tones=[Tone()])
    result = composite(
        tmp_path / "cut.png", behind, "--out", tmp_path / "out.webm", "--canvas", "background"
    )
    assert result.exit_code == 0, result.output
    seen = see(tmp_path / "out.webm")
    assert len(seen.frames) == COUNT and seen.flash == pytest.approx(0.2, abs=0.03)
    assert seen.beep == pytest.approx(0.2, abs=0.03)
    assert all(is_column(frame, 2) for frame in seen.frames)


def test_the_name_is_made_up_where_none_is_given(moving, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert composite(moving, "white").exit_code == 0
    assert len(see(tmp_path / "cut_white.mp4").frames) == COUNT


def test_animations_become_clips_only_where_they_can_be_held(tmp_path):
    frames = [Image.fromarray(cutout(number)) for number in range(3)]
    path = tmp_path / "walk.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40, lossless=True)
    assert composite(path, "white", "--out", tmp_path / "out.gif").exit_code == 0
    with Image.open(tmp_path / "out.gif") as image:
        assert image.n_frames == 3
    assert composite(path, "white", "--out", tmp_path / "out.png").exit_code == 0
    with Image.open(tmp_path / "out.png") as image:
        assert getattr(image, "n_frames", 1) == 1


def test_what_cannot_be_composed_is_said(moving, tmp_path):
    opaque = make_clip(tmp_path / "opaque.mp4")
    result = composite(opaque, "white", "--out", tmp_path / "out.mp4")
    assert isinstance(result.exception, MatteError) and "no transparency" in str(result.exception)
    assert not (tmp_path / "out.mp4").exists()
    assert not list(tmp_path.glob(".matte*"))
    refused = composite(moving, "white", "--out", tmp_path / "out.png")
    assert refused.exit_code == 2 and ".mov, .webm, .mp4" in refused.output
    refused = composite(moving, tmp_path, "--out", tmp_path / "out.mp4")
    assert refused.exit_code == 2 and f"one background, not the folder {tmp_path}" in refused.output
    refused = composite(moving, "white", "--format", "png")
    assert refused.exit_code == 2 and "--format" in refused.output
    result = composite(moving, "white", "--out", moving)
    assert "overwrite" in str(result.exception)
    before = opaque.read_bytes()
    result = composite(moving, "white", "--out", opaque)
    assert "would overwrite a clip" in str(result.exception) and opaque.read_bytes() == before
    for color in ("white", "black"):
        assert composite(moving, color, "--out", tmp_path / "own.mp4").exit_code == 0
    result = composite(tmp_path / "gone.mov", "white", "--out", tmp_path / "out.mp4")
    assert "gone.mov" in str(result.exception)


def test_no_numbered_cutout_is_overwritten(tmp_path):
    for number in (1, 2):
        write_image(tmp_path / f"cut{number}.webp", cutout(number))
    before = (tmp_path / "cut2.webp").read_bytes()
    result = composite(tmp_path / "cut%d.webp", "#00ff00", "--out", tmp_path / "cut2.webp")
    assert result.exit_code == 1 and "would overwrite an input" in str(result.exception)
    assert (tmp_path / "cut2.webp").read_bytes() == before
    result = composite(tmp_path / "cut%d.webp", "#00ff00", "--out", tmp_path / "out.webp")
    assert result.exit_code == 0, result.output
