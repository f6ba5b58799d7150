"""Finished pictures: canvas, room, alignment, size, blurred backgrounds and shadows."""

from __future__ import annotations

import numpy as np
import pytest
from test_predict import matte, network, outputs, photo

from mattecli.core.errors import MatteError
from mattecli.core.imaging.reading import read_color, read_picture
from mattecli.core.imaging.writing import write_image
from mattecli.core.matting.backgrounds import Blur
from mattecli.core.matting.framing import Canvas, Framing, parse_canvas, parse_share
from mattecli.core.matting.outputs import OutputSpec, render_outputs

__all__ = ["network", "photo"]


def block(height=40, width=20) -> tuple[np.ndarray, np.ndarray]:
    """A red block on green, 100x120, and its matte."""
    alpha = np.zeros((100, 120), np.float32)
    alpha[30 : 30 + height, 50 : 50 + width] = 1
    color = np.where(alpha[..., None] > 0, [200, 30, 30], [20, 120, 40]).astype(np.uint8)
    return color, alpha


def box_of(alpha: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = (np.flatnonzero((alpha > 127).any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


@pytest.mark.parametrize(
    ("framing", "size", "box"),
    [
        (Framing(parse_canvas("200x100"), pad=0.1), (100, 200), (10, 90, 80, 120)),
        (Framing(parse_canvas("100x200"), pad=0.1), (200, 100), (20, 180, 10, 90)),
        (Framing(parse_canvas("200x200"), subject_share=0.5), (200, 200), (50, 150, 75, 125)),
        (Framing(parse_canvas("200x200"), 0.05, "bottom", 0.5), (200, 200), (90, 190, 75, 125)),
        (Framing(parse_canvas("200x200"), None, "bottom", 0.5), (200, 200), (50, 150, 75, 125)),
        (Framing(parse_canvas("1:1"), pad=0.1), (50, 50), (5, 45, 15, 35)),
        (Framing(parse_canvas("4:1"), pad=0), (40, 160), (0, 40, 70, 90)),
        (Framing(pad=0.25), (80, 40), (20, 60, 10, 30)),
    ],
)
def test_where_the_subject_goes(framing, size, box):
    color, alpha = block()
    made = render_outputs(color, alpha, OutputSpec(("cutout", "alpha"), framing=framing))
    assert made["alpha"].shape == size and made["cutout"].shape == (*size, 4)
    assert np.abs(np.subtract(box_of(made["alpha"]), box)).max() <= 1
    assert np.array_equal(made["cutout"][..., 3], made["alpha"])
    top, bottom, left, right = box
    inside = made["cutout"][top + 5 : bottom - 5, left + 5 : right - 5]
    assert np.abs(inside.astype(int) - [200, 30, 30, 255]).max() <= 2


@pytest.mark.parametrize("align", ["bottom", "center"])
@pytest.mark.parametrize("canvas", ["300x300", "2x2", "1x50"])
def test_a_subject_of_less_than_a_pixel_is_there(canvas, align):
    color = np.full((3, 2000, 3), 200, np.uint8)
    framing = Framing(parse_canvas(canvas), pad=0, align=align)
    spec = OutputSpec(("cutout", "alpha"), framing=framing)
    made = render_outputs(color, np.ones((3, 2000), np.float32), spec)
    assert made["alpha"].max() == 255
    shown = made["alpha"] > 0
    assert np.array_equal(made["cutout"][shown][:, :3], np.full((shown.sum(), 3), 200))
    if align == "bottom":
        assert shown[-1].any() and not shown[:-1].any()


def test_no_black_or_green_gets_into_the_rim_of_what_is_enlarged():
    color, alpha = block()
    framing = Framing(parse_canvas("1000x1000"), pad=0.1)
    made = render_outputs(
        color,
        alpha,
        OutputSpec(("cutout", "composite"), 8, np.ones(3, np.float32), framing=framing),
    )
    rim = (made["cutout"][..., 3] > 0) & (made["cutout"][..., 3] < 255)
    assert rim.sum() > 500
    assert np.abs(made["cutout"][rim][:, :3].astype(int) - [200, 30, 30]).max() <= 4
    assert made["composite"][..., 0].min() >= 195  # red or white, nothing between but these


def test_a_photo_without_subject_keeps_the_canvas():
    color, alpha = block()
    framing = Framing(parse_canvas("64x32"))
    made = render_outputs(color, 0 * alpha, OutputSpec(("cutout",), framing=framing))["cutout"]
    assert made.shape == (32, 64, 4) and not made[..., 3].any()


def test_a_tiny_subject_on_a_large_canvas():
    color, alpha = block(1, 1)
    framing = Framing(parse_canvas("900x900"), pad=0)
    made = render_outputs(color, alpha, OutputSpec(("alpha",), framing=framing))["alpha"]
    assert made.shape == (900, 900) and made[450, 450] == 255


def test_a_subject_is_not_enlarged_beyond_any_canvas():
    color, alpha = block(1, 1)
    framing = Framing(parse_canvas("1000x1000"), max_pixels=1_000_000)
    with pytest.raises(MatteError, match="1x1 pixels is too small for a canvas of 1000x1000"):
        render_outputs(color, alpha, OutputSpec(framing=framing))


def test_sixteen_bits_stay():
    color, alpha = block()
    framing = Framing(parse_canvas("80x80"))
    made = render_outputs(color, alpha, OutputSpec(("cutout",), 16, framing=framing))["cutout"]
    assert made.dtype == np.uint16 and made.max() == 65535


@pytest.mark.parametrize("text", ["", "20", "0x10", "4:0", "1000:1", "99999x99999", "axb", "-1:2"])
def test_what_is_no_canvas(text):
    with pytest.raises(MatteError, match="canvas"):
        parse_canvas(text)


def test_canvases_and_shares_are_understood():
    assert parse_canvas("2000x1500") == parse_canvas("2000×1500") == Canvas(2000, 1500, True)
    assert parse_canvas("4:5") == Canvas(4, 5, False)
    assert parse_share("8%", 0.5) == parse_share("0.08", 0.5) == pytest.approx(0.08)
    for text in ("-1%", "60%", "x", "nan"):
        with pytest.raises(MatteError, match="no share"):
            parse_share(text, 0.5)


def test_a_blurred_background_holds_nothing_of_the_subject():
    color, alpha = block()
    color[:, :30] = [200, 200, 0]
    for radius in (2.0, 20.0, None):
        spec = OutputSpec(("composite",), 8, Blur(radius))
        made = render_outputs(color, alpha, spec)["composite"].astype(int)
        assert made.shape == color.shape
        # Beside the red block all is as green as it was, and the yellow edge is soft.
        assert np.abs(made[30:70, 72:] - [20, 120, 40]).max() <= 3, radius
        assert np.abs(made[30:70, 50:70] - [200, 30, 30]).max() <= 1
    assert 30 < made[50, 29, 0] < 200 and 30 < made[50, 31, 0] < 200


def test_shadows_darken_the_ground_below_the_subject():
    color, alpha = block()
    white = np.ones(3, np.float32)
    framing = Framing(parse_canvas("300x300"), pad=0.2)
    plain, shaded = (
        render_outputs(
            color,
            alpha,
            OutputSpec(("cutout", "composite"), 8, white, None, framing=framing, shadow=shadow),
        )
        for shadow in (False, True)
    )
    beside = np.s_[243:249, 130:170]
    assert plain["composite"][beside].min() == 255 and shaded["composite"][beside].mean() < 245
    assert shaded["composite"][:100].min() >= plain["composite"][:100].min() - 1
    cutout = shaded["cutout"].astype(np.float32) / 255
    laid = cutout[..., 3:] * cutout[..., :3] + 1 - cutout[..., 3:]
    assert np.abs(255 * laid - shaded["composite"]).max() <= 3


def test_a_crop_keeps_all_of_a_shadow():
    whole, cropped = (
        render_outputs(*block(), OutputSpec(crop=crop, shadow=True))["cutout"]
        for crop in (None, 0.0)
    )
    shown = whole[..., 3] > 0
    assert cropped[..., 3].sum() == whole[..., 3].sum()
    assert cropped.shape[:2] == (np.ptp(shown.nonzero()[0]) + 1, np.ptp(shown.nonzero()[1]) + 1)


def test_the_command_line_makes_a_picture_for_a_shop(photo, tmp_path):
    write_image(tmp_path / "in/photo.png", photo)
    options = ["--canvas", "300x240", "--pad", "10%", "--align", "bottom", "--background", "white"]
    result = matte(tmp_path / "in", tmp_path / "out", *options, "--format", "jpg", "--shadow")
    assert result.exit_code == 0, result.output
    assert outputs(tmp_path / "out") == ["photo.jpg"]
    assert "enlarged 3.0 times" in result.stderr
    made = read_color(tmp_path / "out/photo.jpg").astype(int)
    assert made.shape == (240, 300, 3)
    assert made[:10].min() > 245 and abs(made[120, 150, 1]) < 30
    red = made[..., 1] < 128
    assert box_of(255 * red)[1] == pytest.approx(216, abs=6)
    blurred = matte(tmp_path / "in", tmp_path / "out", "--background", "blur:5")
    assert blurred.exit_code == 0 and read_picture(tmp_path / "out/photo.png").alpha is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["--canvas", "10"],
        ["--pad", "50%"],
        ["--scale-subject", "0"],
        ["--scale-subject", "95%", "--pad", "5%"],
        ["--align", "bottom"],
        ["--canvas", "1:1", "--crop"],
        ["--canvas", "1:1", "--save", "background"],
        ["--shadow", "--save", "alpha"],
        ["--align", "top", "--canvas", "1:1"],
    ],
)
def test_what_does_not_go_together(photo, tmp_path, arguments):
    write_image(tmp_path / "in/photo.png", photo)
    assert matte(tmp_path / "in", tmp_path / "out", *arguments).exit_code == 2
    assert not (tmp_path / "out").exists()


def test_a_blur_needs_a_radius(photo, tmp_path):
    write_image(tmp_path / "photo.png", photo)
    for text in ("blur:x", "blur:-1"):
        result = matte(tmp_path / "photo.png", tmp_path / "out.png", "--background", text)
        assert isinstance(result.exception, MatteError) and "radius" in str(result.exception)
