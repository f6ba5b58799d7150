"""Trimaps: what is read from them by every command, and how far a few marks reach."""

from __future__ import annotations

import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import mattecli
from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.imaging.trimaps import BACKGROUND, SUBJECT, UNKNOWN, read_trimap
from mattecli.core.imaging.writing import write_image
from mattecli.core.matting.geodesic import geodesic_distance
from mattecli.core.matting.refinement import refine_with_marks

SIZE = (240, 320)


def levels() -> np.ndarray:
    """Background, a band of unknown, and a disc of subject."""
    y, x = np.indices(SIZE)
    distance = np.hypot(y - 120, x - 160)
    return np.where(distance < 60, 255, np.where(distance < 80, 128, 0)).astype(np.uint8)


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def stored_as(kind: str, folder):
    """The same trimap, as different people and programs store it."""
    trimap = levels()
    labels = trimap // 127
    white, subject = (
        np.full(SIZE, 255, np.uint8),
        np.where(trimap == 255, 255, 0).astype(np.uint8),
    )
    drawn = np.where(trimap == 128, 0, 255).astype(np.uint8)
    name, array = {
        "plain": ("trimap.png", trimap),
        "jpeg": ("trimap.jpg", trimap),
        "127": ("trimap.png", np.where(trimap == 128, 127, trimap).astype(np.uint8)),
        "not quite": ("trimap.png", (trimap * 0.94 + 8).astype(np.uint8)),
        "labels": ("trimap.png", labels),
        "labels in 16 bits": ("trimap.png", labels.astype(np.uint16)),
        "16 bits": ("trimap.png", trimap.astype(np.uint16) * 257),
        "255 in 16 bits": ("trimap.png", trimap.astype(np.uint16)),
        "labels in 32 bits": ("trimap.tif", labels.astype(np.int32)),
        "floats": ("trimap.tif", trimap.astype(np.float32) / 255),
        "labels as floats": ("trimap.tif", labels.astype(np.float32)),
        "alpha channel": ("trimap.png", np.dstack([white] * 3 + [trimap])),
        "strokes on a transparent layer": ("trimap.png", np.dstack([subject] * 3 + [drawn])),
    }[kind]
    return save(folder / name, array, **({"quality": 60} if kind == "jpeg" else {}))


@pytest.mark.parametrize(
    "kind",
    [
        "plain",
        "jpeg",
        "127",
        "not quite",
        "labels",
        "labels in 16 bits",
        "16 bits",
        "255 in 16 bits",
        "labels in 32 bits",
        "floats",
        "labels as floats",
        "alpha channel",
        "strokes on a transparent layer",
    ],
)
def test_however_a_trimap_is_stored_it_is_the_same(kind, tmp_path):
    read = read_trimap(stored_as(kind, tmp_path))
    assert set(np.unique(read)) == {BACKGROUND, UNKNOWN, SUBJECT}
    assert (read == levels()).mean() > (0.99 if kind == "jpeg" else 0.9999)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ([0, 1], "0, 1"),
        ([1], "1"),
        ([1, 2, 3], "1, 2, 3"),
        ([0, 1, 2, 255], "0, 1, 2, 255"),
        ([0, 64, 128, 255], "0, 64, 128, 255"),
        ([0, 85, 170, 255], "0, 85, 170, 255"),
        ([0, 100, 128, 255], "0, 100, 128, 255"),
        (range(256), "0 to 255"),
    ],
)
def test_what_cannot_be_understood_names_its_values(values, named, tmp_path):
    values = np.uint8(list(values))
    array = np.repeat(np.repeat(values, 20)[None], 40, axis=0)
    with pytest.raises(MatteError, match=rf"trimap\.png.* values are {named}"):
        read_trimap(save(tmp_path / "trimap.png", array))


def test_a_soft_matte_a_photo_and_colored_labels_are_no_trimaps(tmp_path):
    y, x = np.indices(SIZE)
    soft = np.clip((80 - np.hypot(y - 120, x - 160)) * 6 + 128, 0, 255).astype(np.uint8)
    photo = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    palette = Image.fromarray(levels() // 127)
    palette.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    palette.save(tmp_path / "palette.png")
    save(tmp_path / "soft.png", soft)
    save(tmp_path / "photo.png", photo)
    save(tmp_path / "nothing.png", np.zeros((*SIZE, 4), np.uint8))
    for name, reason in (
        ("palette", "in color"),
        ("soft", "values are"),
        ("photo", "in color"),
        ("nothing", "marks nothing"),
    ):
        with pytest.raises(MatteError, match=reason):
            read_trimap(tmp_path / f"{name}.png")


@pytest.mark.parametrize("kind", ["127", "labels", "jpeg", "labels in 16 bits"])
def test_evaluate_scores_the_unknown_pixels_however_they_are_stored(kind, tmp_path):
    truth = np.where(levels() == 255, 255, 0).astype(np.uint8)
    for folder in ("trimap", "truth", "prediction"):
        (tmp_path / folder).mkdir()
    stored_as(kind, tmp_path).rename(tmp_path / "trimap" / ("a.jpg" if kind == "jpeg" else "a.png"))
    save(tmp_path / "truth/a.png", truth)
    save(tmp_path / "prediction/a.png", np.full(SIZE, 51, np.uint8))
    folders = [str(tmp_path / name) for name in ("prediction", "truth", "trimap", "out.json")]
    arguments = ["evaluate", *folders[:2], "--trimap", folders[2], "--json", folders[3]]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    mean = json.loads((tmp_path / "out.json").read_text())["mean"]
    # All of the band is background in truth, predicted as a fifth.
    assert mean["mad"] == pytest.approx(0.2, rel=0.03 if kind == "jpeg" else 1e-6)
    assert mean["sad"] == pytest.approx(0.2 * (levels() == 128).sum() / 1000, rel=0.05)
    scores = mattecli.evaluate(
        np.full(SIZE, 51, np.uint8), truth, trimap=next((tmp_path / "trimap").iterdir())
    )
    assert scores.mad == pytest.approx(mean["mad"])


def test_images_without_a_scored_pixel_are_out_of_the_mean_and_a_failure(tmp_path):
    for name, trimap in (("good", levels()), ("known", np.where(levels() > 0, 255, 0))):
        write_image(tmp_path / f"trimap/{name}.png", trimap.astype(np.uint8))
        write_image(tmp_path / f"truth/{name}.png", np.zeros(SIZE, np.uint8))
        write_image(tmp_path / f"prediction/{name}.png", np.full(SIZE, 255, np.uint8))
    arguments = [tmp_path / "prediction", tmp_path / "truth", "--trimap", tmp_path / "trimap"]
    arguments = ["evaluate", *map(str, arguments), "--json", str(tmp_path / "out.json")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "known: no pixel in the region 'unknown'" in result.stderr
    assert json.loads((tmp_path / "out.json").read_text())["mean"]["mad"] == 1
    assert CliRunner().invoke(app, [*arguments, "--allow-missing"]).exit_code == 0


def scene():
    """A red body that holds a green ball, and a blue box far away, on grey; and the right masks."""
    rng = np.random.default_rng(3)
    color = np.full((*SIZE, 3), 128, np.float32)
    y, x = np.indices(SIZE)
    parts = {
        "body": (np.abs(x - 100) < 50) & (y > 60),
        "ball": np.hypot(y - 160, x - 180) < 40,
        "box": (x > 250) & (x < 300) & (y > 20) & (y < 100),
    }
    parts["body"] &= ~parts["ball"]
    for name, shade in (("body", (200, 40, 30)), ("ball", (30, 160, 40)), ("box", (40, 60, 200))):
        color[parts[name]] = shade
    color = np.clip(color + rng.normal(0, 4, color.shape), 0, 255).astype(np.uint8)
    return color, parts


def spot(y: int, x: int, radius: int = 8) -> np.ndarray:
    rows, columns = np.indices(SIZE)
    return np.hypot(rows - y, columns - x) <= radius


NOTHING = np.zeros(SIZE, bool)


def test_a_spot_drops_what_is_connected_and_alike_and_nothing_else():
    color, parts = scene()
    first = (parts["body"] | parts["ball"] | parts["box"]).astype(np.float32)
    alpha = refine_with_marks(color, first, NOTHING, spot(160, 185))
    assert alpha[parts["ball"]].mean() < 0.02
    assert alpha[parts["body"]].mean() > 0.99
    assert (alpha[parts["box"]] == 1).all()
    assert (alpha[spot(160, 185)] == 0).all()


def test_a_spot_adds_what_is_connected_and_alike_and_nothing_else():
    color, parts = scene()
    first = parts["body"].astype(np.float32)
    alpha = refine_with_marks(color, first, spot(60, 275, 5), NOTHING)
    assert alpha[parts["box"]].mean() > 0.98
    rest = cv2.dilate(parts["box"].view(np.uint8), np.ones((15, 15))) == 0
    np.testing.assert_array_equal(alpha[rest], first[rest])


def test_marks_of_both_kinds_cut_along_the_photo_and_not_halfway_between_them():
    color, parts = scene()
    first = (parts["body"] | parts["ball"]).astype(np.float32)
    alpha = refine_with_marks(color, first, spot(90, 100), spot(160, 195))
    assert alpha[parts["ball"]].mean() < 0.02
    assert alpha[parts["body"]].mean() > 0.99


def test_marks_that_agree_with_the_matte_change_nothing_far_away():
    color, parts = scene()
    first = np.where(parts["body"], 0.97, 0).astype(np.float32)
    alpha = refine_with_marks(color, first, spot(120, 90), spot(60, 275))
    near = spot(120, 90, 12) | spot(60, 275, 12)
    np.testing.assert_array_equal(alpha[~near], first[~near])


def test_points_of_both_kinds_near_one_another_leave_the_edge_between_them_alone():
    """Between points that agree with it a matte is right; the photo is not asked again."""
    color = np.random.default_rng(5).integers(0, 256, (*SIZE, 3), np.uint8)
    columns = np.indices(SIZE)[1]
    first = np.clip((130 - columns) / 60, 0, 1).astype(np.float32)
    alpha = refine_with_marks(color, first, spot(140, 60, 2), spot(140, 140, 2))
    near = spot(140, 60, 6) | spot(140, 140, 6)
    np.testing.assert_array_equal(alpha[~near], first[~near])


def test_small_parts_inside_of_what_is_dropped_go_with_it():
    color, parts = scene()
    color[150:158, 195:203] = 255
    first = (parts["body"] | parts["ball"]).astype(np.float32)
    alpha = refine_with_marks(color, first, NOTHING, spot(170, 170, 5))
    assert alpha[150:158, 195:203].max() < 0.1
    # A mark of the other kind keeps such a part.
    alpha = refine_with_marks(color, first, spot(154, 199, 2), spot(170, 170, 5))
    assert (alpha[spot(154, 199, 2)] == 1).all()


def test_thin_strokes_and_large_photos_are_corrected_at_full_size():
    color, parts = scene()
    first = (parts["body"] | parts["ball"]).astype(np.float32)
    big = tuple(5 * side for side in SIZE)
    color = cv2.resize(color, big[::-1], interpolation=cv2.INTER_CUBIC)
    first = cv2.resize(first, big[::-1], interpolation=cv2.INTER_NEAREST)
    stroke = np.zeros(big, np.uint8)
    cv2.line(stroke, (850, 750), (950, 850), 1, 2)
    alpha = refine_with_marks(color, first, np.zeros(big, bool), stroke > 0)
    ball = cv2.resize(parts["ball"].view(np.uint8), big[::-1], interpolation=cv2.INTER_NEAREST) > 0
    assert alpha[ball].mean() < 0.03
    assert alpha[:, :500].sum() == pytest.approx(first[:, :500].sum(), rel=1e-3)
    assert (alpha[stroke > 0] == 0).all()


@pytest.mark.parametrize("marked", ["stroke", "blob"])
def test_a_stroke_through_what_the_matte_is_unsure_of_takes_all_of_it_along(marked):
    """It is as long as the mistake at least, however sure the matte is of the rest of it."""
    rng = np.random.default_rng(4)
    y, x = np.indices(SIZE)
    body, ball = np.abs(x - 90) < 70, np.hypot(y - 140, x - 220) < 80
    color = np.full((*SIZE, 3), 190, np.float32)
    color[body], color[ball] = (210, 80, 30), (20, 20, 25)
    color = np.clip(color + rng.normal(0, 1, color.shape), 0, 255).astype(np.uint8)
    # The far side of the ball is nearly out already, and the near side firmly in.
    first = np.where(ball, np.clip((300 - x) / 100, 0, 1) ** 0.5, body).astype(np.float32)
    mark = np.zeros(SIZE, np.uint8)
    if marked == "stroke":
        cv2.line(mark, (230, 90), (280, 160), 1, 4)
    else:
        cv2.ellipse(mark, (250, 140), (30, 45), 0, 0, 360, 1, cv2.FILLED)
    alpha = refine_with_marks(color, first, NOTHING, mark > 0)
    assert alpha[ball].mean() < 0.1
    assert alpha[body & ~ball].mean() > 0.97


def test_a_single_pixel_of_a_large_photo_is_a_mark():
    color, parts = scene()
    big = tuple(6 * side for side in SIZE)
    color = cv2.resize(color, big[::-1], interpolation=cv2.INTER_CUBIC)
    first = (parts["body"] | parts["ball"]).astype(np.float32)
    first = cv2.resize(first, big[::-1], interpolation=cv2.INTER_NEAREST)
    for y, x in ((961, 1105), (962, 1106), (960, 1107)):
        point = np.zeros(big, bool)
        point[y, x] = True
        alpha = refine_with_marks(color, first, np.zeros(big, bool), point)
        assert alpha[900:1000, 1050:1150].mean() < 0.02
        assert alpha[600:, 400:650].mean() > 0.99


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 5)])
def test_the_smallest_photos_obey_too(shape):
    rng = np.random.default_rng(0)
    color = rng.integers(0, 256, (*shape, 3), np.uint8)
    mark = np.zeros(shape, bool)
    mark[0, 0] = True
    none = np.zeros(shape, bool)
    assert refine_with_marks(color, np.ones(shape, np.float32), none, mark)[0, 0] == 0
    assert refine_with_marks(color, np.zeros(shape, np.float32), mark, none)[0, 0] == 1


def test_geodesic_distances_are_those_of_the_shortest_path():
    rng = np.random.default_rng(5)
    across, down = rng.uniform(0, 0.3, (2, 12, 15)).astype(np.float32)
    seeds = np.zeros((12, 15), bool)
    seeds[3, 4] = seeds[9, 12] = True
    expected = np.where(seeds, 0.0, 1.0)
    for _ in range(12 * 15):  # Bellman and Ford
        steps = [expected]
        steps += [np.pad(expected, ((0, 0), (1, 0)), constant_values=9)[:, :-1] + across]
        steps += [np.pad(expected + across, ((0, 0), (0, 1)), constant_values=9)[:, 1:]]
        steps += [np.pad(expected, ((1, 0), (0, 0)), constant_values=9)[:-1] + down]
        steps += [np.pad(expected + down, ((0, 1), (0, 0)), constant_values=9)[1:]]
        expected = np.minimum.reduce(steps)
    np.testing.assert_allclose(geodesic_distance(seeds, across, down), expected, atol=2e-3)
    assert (geodesic_distance(seeds & False, across, down, 0.5) == 0.5).all()


def test_a_full_trimap_is_solved_in_its_band():
    """Hair whose every strand the network blurred comes back between the known parts."""
    rng = np.random.default_rng(2)
    y, x = np.indices(SIZE)
    truth = np.clip((70 - np.hypot(y - 120, x - 160)) / 4 + 0.5, 0, 1).astype(np.float32)
    strands = np.zeros(SIZE, np.uint8)
    for angle in rng.uniform(0, 2 * np.pi, 40):
        end = (int(160 + 95 * np.cos(angle)), int(120 + 95 * np.sin(angle)))
        cv2.line(strands, (160, 120), end, 255, 1, cv2.LINE_AA)
    truth = np.maximum(truth, strands / np.float32(255))
    color = truth[..., None] * [40, 30, 20] + (1 - truth[..., None]) * [150, 190, 220]
    first = cv2.GaussianBlur(truth, (0, 0), 4)
    distance = np.hypot(y - 120, x - 160)
    unknown = (distance > 62) & (distance < 100)
    alpha = refine_with_marks(color.astype(np.uint8), first, distance <= 62, distance >= 100)
    before, after = (np.abs(a - truth)[unknown].mean() for a in (first, alpha))
    # As good as solving the whole band from the blurred matte was before marks spread.
    assert before > 0.13 and after < 0.081


def test_predict_understands_labels_and_refuses_the_rest(tmp_path):
    color, _ = scene()
    buffer = io.BytesIO()
    Image.fromarray(color).save(buffer, "PNG")
    labels = np.full(SIZE, 1, np.uint8)
    labels[:30], labels[200:, 70:130] = 0, 2
    alpha = mattecli.predict(buffer.getvalue(), trimap=labels, device="cpu", two_pass=False)
    assert (alpha[labels == 0] == 0).all() and (alpha[labels == 2] == 1).all()
    save(tmp_path / "photo.png", color)
    save(tmp_path / "trimap.png", labels + 1)
    arguments = ["predict", tmp_path / "photo.png", tmp_path / "x.png", "--trimap"]
    result = CliRunner().invoke(app, [*map(str, arguments), str(tmp_path / "trimap.png")])
    assert result.exit_code == 1
    assert "trimap.png cannot be understood: its values are 1, 2, 3" in result.stderr
    assert not (tmp_path / "x.png").exists()


def test_the_check_of_a_set_understands_labels_too(tmp_path):
    from mattecli.core.dataset.checking import check_dataset

    matte = np.clip(levels(), 0, 255)
    for name, trimap in (("labels", levels() // 127), ("other", np.uint8(levels() // 2 + 60))):
        save_to = {"image": np.dstack([matte] * 3), "alpha": matte, "trimap": trimap}
        for kind, array in save_to.items():
            (tmp_path / kind).mkdir(exist_ok=True)
            save(tmp_path / kind / f"{name}.png", array)
    found = {finding.what: finding.names for finding in check_dataset(tmp_path, 1, True).findings}
    assert "trimap contradicts alpha" not in found
    assert found["trimap has other values than 0, 128, 255 or 0, 1, 2"] == ["other"]
