"""``matte composite`` seen from outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.imaging.colors import linear_to_srgb, srgb_to_linear
from mattecli.core.imaging.mask_reading import read_mask
from mattecli.core.imaging.reading import read_picture
from mattecli.core.imaging.writing import encode, write_image


def lay(*arguments: object, stdin: bytes | None = None):
    return CliRunner().invoke(app, ["composite", *map(str, arguments)], input=stdin)


def outputs(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def cutout() -> np.ndarray:
    """Random straight colors and alphas, 20x30."""
    return np.random.default_rng(5).integers(0, 256, (20, 30, 4), dtype=np.uint8)


@pytest.fixture
def scene() -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def over(cutout: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """The compositing equation in exact integers, rounded once."""
    alpha, color = cutout[..., 3:].astype(int), cutout[..., :3].astype(int)
    return (2 * (alpha * color + (255 - alpha) * scene.astype(int)) + 255) // 510


def test_equation_is_exact_on_a_picture_and_on_a_color(cutout, scene, tmp_path):
    write_image(tmp_path / "cutout.png", cutout)
    write_image(tmp_path / "scene.png", scene)
    out = tmp_path / "out.png"
    assert lay(tmp_path / "cutout.png", tmp_path / "scene.png", "-o", out).exit_code == 0
    np.testing.assert_allclose(read_picture(out).color, over(cutout, scene), atol=1)
    assert read_picture(out).alpha is None
    assert lay(tmp_path / "cutout.png", "#ff8000", "-o", out).exit_code == 0
    expected = over(cutout, np.broadcast_to(np.array([255, 128, 0]), scene.shape))
    np.testing.assert_allclose(read_picture(out).color, expected, atol=1)


def test_result_equals_pillows(cutout, scene, tmp_path):
    write_image(tmp_path / "cutout.png", cutout)
    write_image(tmp_path / "scene.png", scene)
    lay(tmp_path / "cutout.png", tmp_path / "scene.png", "-o", tmp_path / "out.png")
    base = Image.fromarray(scene).convert("RGBA")
    base.alpha_composite(Image.fromarray(cutout))
    difference = read_picture(tmp_path / "out.png").color.astype(int) - np.asarray(base)[..., :3]
    assert np.abs(difference).max() <= 1


def test_sixteen_bits_stay(tmp_path):
    deep = np.random.default_rng(7).integers(0, 65536, (4, 5, 4), dtype=np.uint16)
    write_image(tmp_path / "cutout.png", deep)
    lay(tmp_path / "cutout.png", "black", "-o", tmp_path / "out.png")
    result = read_picture(tmp_path / "out.png").color
    expected = deep[..., :3].astype(float) * (deep[..., 3:] / 65535)
    np.testing.assert_allclose(result, expected, atol=1)
    lay(tmp_path / "cutout.png", "black", "-o", tmp_path / "out.jpg")
    assert read_picture(tmp_path / "out.jpg").color.dtype == np.uint8


def test_linear_light(tmp_path):
    half = np.full((4, 4, 4), 255, np.uint8)
    half[..., 3] = 128
    write_image(tmp_path / "cutout.png", half)
    lay(tmp_path / "cutout.png", "black", "-o", tmp_path / "out.png", "--linear")
    # Half the light of white is sRGB 188, not 128.
    assert np.abs(read_picture(tmp_path / "out.png").color.astype(int) - 188).max() <= 1
    values = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-9)


def red_square(size: int) -> np.ndarray:
    return np.broadcast_to(np.array([255, 0, 0, 255], np.uint8), (size, size, 4)).copy()


def red_box(path: Path) -> tuple[int, int, int, int]:
    color = read_picture(path).color.astype(int)
    red = (color[..., 0] > 128) & (color[..., 1] < 128)
    rows, columns = red.any(axis=1).nonzero()[0], red.any(axis=0).nonzero()[0]
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


@pytest.mark.parametrize(
    ("options", "size", "box"),
    [
        ([], (40, 40), (2, 38, 2, 38)),
        (["--scale", 0.5], (40, 40), (11, 29, 11, 29)),
        (["--scale", 0.5, "--position", "top-left"], (40, 40), (1, 19, 1, 19)),
        (["--scale", 0.5, "--position", "1,0.5"], (40, 40), (11, 29, 21, 39)),
        (["--scale", 2, "--position", "bottom"], (40, 40), (0, 36, 0, 40)),
        (["--canvas", "background"], (60, 100), (3, 57, 23, 77)),
        (["--canvas", "background", "--fit", "cover"], (60, 100), (0, 60, 5, 95)),
        (["--canvas", "background", "--fit", "stretch"], (60, 100), (3, 57, 5, 95)),
        (
            ["--canvas", "background", "--scale", 0.5, "--position", "bottom-right"],
            (60, 100),
            (32, 58, 72, 98),
        ),
    ],
)
def test_frame_fit_scale_and_position(tmp_path, options, size, box):
    square = red_square(40)
    square[:2], square[-2:], square[:, :2], square[:, -2:] = 0, 0, 0, 0
    write_image(tmp_path / "cutout.png", square)
    write_image(tmp_path / "scene.png", np.full((60, 100, 3), 255, np.uint8))
    result = lay(
        tmp_path / "cutout.png", tmp_path / "scene.png", "-o", tmp_path / "o.png", *options
    )
    assert result.exit_code == 0
    assert read_picture(tmp_path / "o.png").color.shape[:2] == size
    assert np.abs(np.subtract(red_box(tmp_path / "o.png"), box)).max() <= 1


@pytest.mark.parametrize(("fit", "corner"), [("cover", 255), ("contain", 0), ("stretch", 255)])
def test_fit_of_the_background(tmp_path, fit, corner):
    empty = red_square(40)
    empty[..., 3] = 0
    write_image(tmp_path / "cutout.png", empty)
    write_image(tmp_path / "scene.png", np.full((10, 100, 3), 255, np.uint8))
    arguments = [tmp_path / "cutout.png", tmp_path / "scene.png", "-o", tmp_path / "o.png"]
    assert lay(*arguments, "--fit", fit).exit_code == 0
    color = read_picture(tmp_path / "o.png").color
    assert (color[0, 0] == corner).all()
    assert (color[20, 20] == 255).all()


def test_scaling_draws_no_dark_rim(tmp_path):
    disc = np.zeros((101, 101, 4), np.uint8)
    y, x = np.mgrid[:101, :101]
    disc[np.hypot(y - 50, x - 50) < 40] = 255  # white; what is transparent is black
    write_image(tmp_path / "cutout.png", disc)
    for scale in (0.37, 1.9):
        lay(tmp_path / "cutout.png", "white", "-o", tmp_path / "o.png", "--scale", scale)
        assert read_picture(tmp_path / "o.png").color.min() >= 253


def test_orientation_of_the_background_is_applied(tmp_path):
    scene = np.zeros((30, 60, 3), np.uint8)
    scene[:, :30] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(scene).save(tmp_path / "scene.png", exif=exif)
    empty = red_square(10)
    empty[..., 3] = 0
    write_image(tmp_path / "cutout.png", empty)
    arguments = [tmp_path / "cutout.png", tmp_path / "scene.png", "-o", tmp_path / "o.png"]
    lay(*arguments, "--canvas", "background")
    color = read_picture(tmp_path / "o.png").color
    assert color.shape[:2] == (60, 30)
    assert color[:30].min() == 255
    assert color[30:].max() == 0


def test_folders_give_every_pair(cutout, scene, tmp_path):
    for name in ("a/x.png", "a/x.webp", "y.png"):
        write_image(tmp_path / "fg" / name, cutout)
    for name in ("one.jpg", "two.png"):
        write_image(tmp_path / "bg" / name, scene)
    out = tmp_path / "out"
    assert lay(tmp_path / "fg", tmp_path / "bg", "-o", out, "--format", "jpg").exit_code == 0
    assert outputs(out) == sorted(
        f"{fg}_{bg}.jpg" for fg in ("a/x.png", "a/x.webp", "y") for bg in ("one", "two")
    )
    assert lay(tmp_path / "fg", "white", "-o", tmp_path / "plain").exit_code == 0
    assert outputs(tmp_path / "plain") == ["a/x.png.png", "a/x.webp.png", "y.png"]
    named = lay(tmp_path / "fg", tmp_path / "bg", "-o", tmp_path / "n", "--name", "{bg}/{fg}")
    assert named.exit_code == 0
    assert "two/a/x.webp.png" in outputs(tmp_path / "n")
    clash = lay(tmp_path / "fg", tmp_path / "bg", "-o", tmp_path / "c", "--name", "{fg}")
    assert clash.exit_code == 1
    assert "several results" in str(clash.exception)
    assert not (tmp_path / "c").exists()


def test_a_photo_is_no_cutout(cutout, scene, tmp_path):
    write_image(tmp_path / "fg" / "good.png", cutout)
    write_image(tmp_path / "fg" / "photo.jpg", scene)
    result = lay(tmp_path / "fg", "white", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "photo.jpg" in result.stderr
    assert "matte predict" in result.stderr
    assert outputs(tmp_path / "out") == ["good.png"]


@pytest.mark.parametrize("quality", [None, 80])
@pytest.mark.parametrize("suffix", [".webp", ".avif"])
def test_a_cutout_that_is_opaque_everywhere_is_one(cutout, tmp_path, suffix, quality):
    """Encoders of these formats leave such an alpha channel out."""
    cutout[..., 3] = 255
    path = tmp_path / f"full{suffix}"
    exif = Image.Exif()
    exif[0x013B] = "Somebody"
    write_image(path, cutout, quality=quality, exif=exif.tobytes())
    assert not Image.open(path).has_transparency_data
    assert Image.open(path).getexif()[0x013B] == "Somebody"
    assert lay(path, "white", "-o", tmp_path / "out.png").exit_code == 0
    expected = read_picture(path).color
    np.testing.assert_array_equal(read_picture(tmp_path / "out.png").color, expected)
    assert (read_mask(path).alpha == 255).all()


@pytest.mark.parametrize("suffix", [".webp", ".avif", ".png"])
def test_a_photo_without_alpha_is_refused_in_every_format(scene, tmp_path, suffix):
    write_image(tmp_path / f"photo{suffix}", scene)
    result = lay(tmp_path / f"photo{suffix}", "white", "-o", tmp_path / "out.png")
    assert result.exit_code == 1 and "has no transparency" in result.stderr
    assert ("save it as PNG" in result.stderr) is (suffix != ".png")


def test_pipes(cutout):
    result = lay("-", "white", "-o", "-", stdin=encode(cutout, ".png"))
    assert result.exit_code == 0
    expected = over(cutout, np.full((20, 30, 3), 255))
    np.testing.assert_allclose(read_picture(result.stdout_bytes).color, expected, atol=1)


def test_inputs_are_never_overwritten(cutout, tmp_path):
    write_image(tmp_path / "x.png", cutout)
    before = (tmp_path / "x.png").read_bytes()
    assert lay(tmp_path, "white", "-o", tmp_path).exit_code == 1
    assert lay(tmp_path / "x.png", "white", "-o", tmp_path / "x.png").exit_code == 1
    assert (tmp_path / "x.png").read_bytes() == before


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_photo_is_never_overwritten_but_a_composite_is(cutout, scene, tmp_path, suffix):
    write_image(tmp_path / "x.png", cutout)
    photo, own = tmp_path / f"photo{suffix}", tmp_path / f"own{suffix}"
    write_image(photo, scene)
    before = photo.read_bytes()
    for cut, stdin in ((tmp_path / "x.png", None), ("-", encode(cutout, ".png"))):
        result = lay(cut, "white", "-o", photo, stdin=stdin)
        assert result.exit_code == 1 and "would overwrite a photo" in str(result.exception)
        assert photo.read_bytes() == before
        assert lay(cut, "white", "-o", own, stdin=stdin).exit_code == 0
        assert lay(cut, "black", "-o", own, stdin=stdin).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["{tmp}/x.png", "no-color", "-o", "{tmp}/o.png"], 1),
        (["{tmp}/missing.png", "white", "-o", "{tmp}/o.png"], 1),
        (["{tmp}/x.png", "white", "-o", "{tmp}/o.png", "--position", "up"], 1),
        (["{tmp}/x.png", "white", "-o", "{tmp}/o.psd"], 2),
        (["{tmp}/x.png", "white", "-o", "{tmp}/o.png", "--fit", "squeeze"], 2),
        (["{tmp}/x.png", "white", "-o", "{tmp}/o.png", "--scale", "0"], 2),
        (["{tmp}", "white", "-o", "-"], 2),
    ],
)
def test_wrong_usage(cutout, tmp_path, arguments, code):
    write_image(tmp_path / "x.png", cutout)
    result = lay(*(text.format(tmp=tmp_path) for text in arguments))
    assert result.exit_code == code
    assert outputs(tmp_path) == ["x.png"]


def test_only_formats_that_are_written_are_offered():
    refused = lay("x.png", "white", "--format", "psd").output
    assert "is not one of" in refused and "'exr'" in refused and "'ora'" not in refused


@pytest.mark.parametrize("pattern", ["{fg}{x}", "{fg.__class__}", "{fg:>99999999999}", "{"])
def test_patterns_that_are_none(cutout, tmp_path, pattern):
    write_image(tmp_path / "in/x.png", cutout)
    result = lay(tmp_path / "in", "white", "-o", tmp_path / "out", "--name", pattern)
    assert result.exit_code == 1 and "may hold {fg}, {bg} only" in str(result.exception)


@pytest.mark.parametrize("pattern", ["../{fg}", "{fg}/../../y", "/{fg}"])
def test_results_stay_in_their_folder(cutout, tmp_path, pattern):
    write_image(tmp_path / "in/x.png", cutout)
    result = lay(tmp_path / "in", "white", "-o", tmp_path / "out", "--name", pattern)
    assert result.exit_code == 1 and "no file below" in str(result.exception)
    assert outputs(tmp_path) == ["in/x.png"]


def test_without_out_the_result_lies_here_under_both_names(cutout, scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "in/cutout.png", cutout)
    write_image(tmp_path / "in/scene.jpg", scene)
    assert lay("in/cutout.png", "in/scene.jpg").exit_code == 0
    assert lay("in/cutout.png", "#ffffff", "--format", "jpg").exit_code == 0
    assert lay("in", "white").exit_code == 1, "a photo is no cutout"
    expected = {"cutout_scene.png", "cutout_ffffff.jpg", "composites/cutout.png"}
    assert expected <= set(outputs(tmp_path))


def test_match_goes_towards_the_background_but_never_all_the_way(tmp_path):
    rng = np.random.default_rng(2)
    cutout = np.dstack([rng.integers(100, 140, (60, 60, 3)), np.full((60, 60), 255)]).astype(
        np.uint8
    )
    cutout[:, :20, 3] = 0
    write_image(tmp_path / "cutout.png", cutout)
    lab = {}
    for name, color in (("dark", (20, 20, 90)), ("bright", (250, 240, 200))):
        write_image(tmp_path / f"{name}.png", np.full((60, 60, 3), color, np.uint8))
        out = tmp_path / "out.png"
        assert lay(tmp_path / "cutout.png", tmp_path / f"{name}.png", "--match", "-o", out)
        lab[name] = read_picture(out).color[:, 20:].mean(axis=(0, 1))
        assert (read_picture(out).color[:, :20] == color).all(), "the background stays"
    before = cutout[:, 20:, :3].mean()
    assert lab["dark"].mean() < before - 10 and lab["bright"].mean() > before + 10
    assert lab["dark"].mean() > 50, "it does not vanish"
    assert lab["dark"][2] - lab["dark"][0] > 5, "blue surroundings tint it blue"


def test_match_tints_what_is_neutral_and_spares_black_and_what_is_colorful(tmp_path):
    patches = {"black": (0, 0, 0), "grey": (130, 130, 130), "skin": (224, 172, 140)}
    cutout = np.zeros((30, 90, 4), np.uint8)
    for i, color in enumerate(patches.values()):
        cutout[:, 30 * i : 30 * i + 30] = [*color, 255]
    cutout[0, 0, 3] = 0
    forest = np.full((30, 90, 3), (70, 120, 60), np.uint8)
    write_image(tmp_path / "cutout.png", cutout)
    write_image(tmp_path / "forest.png", forest)
    run = lay(tmp_path / "cutout.png", tmp_path / "forest.png", "--match", "-o", tmp_path / "o.png")
    assert run.exit_code == 0
    result = read_picture(tmp_path / "o.png").color.astype(int)
    black, grey, skin = (result[15, 30 * i + 15] for i in range(3))
    assert black.max() <= 2
    assert grey[1] > grey[0] + 5 and grey[1] > grey[2] + 5
    assert skin[0] > skin[1] > skin[2], "a face in a forest is no leaf"


@pytest.mark.parametrize("options", [["--match"], ["--match", "--linear"], ["--shadow"]])
def test_sixteen_bits_are_used_by_match_and_shadow(tmp_path, options):
    ramp = np.linspace(5000, 60000, 256).astype(np.uint16)
    cutout = np.empty((64, 256, 4), np.uint16)
    cutout[:] = ramp[None, :, None]
    cutout[..., 3] = 0
    cutout[8:40, :, 3] = 65535
    write_image(tmp_path / "cutout.png", cutout)
    lay(tmp_path / "cutout.png", "#334455", *options, "-o", tmp_path / "o.png")
    color = read_picture(tmp_path / "o.png").color
    assert color.dtype == np.uint16
    # In 8 bits every value would be a multiple of 257.
    assert (color % 257 != 0).mean() > 0.1


def test_backgrounds_of_sixteen_bits_stay_so(tmp_path):
    ramp = np.linspace(5000, 60000, 300).astype(np.uint16)
    write_image(tmp_path / "sky.png", np.tile(ramp[None, :, None], (64, 1, 3)))
    write_image(tmp_path / "cutout.png", np.zeros((64, 300, 4), np.uint16))
    write_image(tmp_path / "photo.png", np.zeros((64, 300, 3), np.uint8))
    lay(tmp_path / "cutout.png", tmp_path / "sky.png", "-o", tmp_path / "laid.png")
    command = ["predict", "photo.png", "cut.png", "--background", "sky.png", "--bits", "16"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert CliRunner().invoke(app, [*command, "--device", "cpu"]).exit_code == 0
    for name in ("laid.png", "cut.png"):
        assert np.array_equal(read_picture(tmp_path / name).color[0, :, 0], ramp), name


def test_shadow_is_as_dark_in_linear_light(tmp_path):
    cutout = np.zeros((100, 100, 4), np.uint8)
    cutout[20:80, 40:60] = [200, 50, 50, 255]
    write_image(tmp_path / "cutout.png", cutout)
    pictures = []
    for options in ([], ["--linear"]):
        lay(tmp_path / "cutout.png", "white", "--shadow", *options, "-o", tmp_path / "out.png")
        pictures.append(read_picture(tmp_path / "out.png").color.astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_shadow_lies_on_the_ground_and_not_on_the_subject(tmp_path):
    cutout = np.zeros((100, 100, 4), np.uint8)
    cutout[20:80, 40:60] = [200, 50, 50, 255]
    write_image(tmp_path / "cutout.png", cutout)
    result = lay(tmp_path / "cutout.png", "white", "--shadow", "-o", tmp_path / "out.png")
    assert result.exit_code == 0
    color = read_picture(tmp_path / "out.png").color
    assert (color[20:80, 40:60] == [200, 50, 50]).all()
    assert color[82, 50, 0] < 215, "dark at its foot"
    assert (color[10, :] == 255).all() and (color[97] == 255).all() and color[40, 30].min() > 250
    assert (color[..., 1] == color[..., 2]).all()

    write_image(tmp_path / "cut_off.png", cutout[:80])
    lay(tmp_path / "cut_off.png", "white", "--shadow", "-o", tmp_path / "out.png")
    outside = read_picture(tmp_path / "out.png").color[:, :38]
    assert (outside == 255).all(), "what the frame cuts off stands nowhere"


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--scale", 1e9], 1, "smaller scale"),
        (["--scale", 3000], 1, "smaller scale"),
        (["--position", "nan,0"], 1, "no position"),
        (["--position", "1e30,-1e30"], 0, ""),
    ],
)
def test_odd_places_end_in_a_picture_or_one_line(cutout, scene, tmp_path, options, code, words):
    write_image(tmp_path / "cutout.png", cutout)
    write_image(tmp_path / "scene.png", scene)
    out = ["-o", tmp_path / "out.png", "--canvas", "background"]
    result = lay(tmp_path / "cutout.png", tmp_path / "scene.png", *out, *options)
    assert result.exit_code == code
    assert words in result.stderr + str(result.exception)
    assert outputs(tmp_path) == ["cutout.png", *["out.png"] * (code == 0), "scene.png"]
