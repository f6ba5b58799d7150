"""Hints: how they are understood, how the network is told of them, and that they are obeyed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mattecli as matte
from mattecli.core.errors import MatteError
from mattecli.core.imaging.pixels import Picture
from mattecli.core.imaging.reading import read_picture
from mattecli.core.imaging.strokes import strokes_of
from mattecli.core.imaging.writing import encode
from mattecli.core.inference.hint_values import hints_of
from mattecli.core.inference.hinting import merged, reduced_map, within_guide
from mattecli.core.inference.passes import blend
from mattecli.core.inference.predictor import Predictor
from mattecli.core.matting.hints import Hints
from mattecli.core.matting.refinement import refine_with_marks
from mattecli.core.matting.subjects import chosen_subject
from mattecli.core.runtime.sizing import Sizing

SHAPE = 60, 100


def disc(x: float, y: float, radius: float, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


class Recorder:
    """A network that takes guidance, keeps what it is told, and answers with a fixed matte."""

    sizing = Sizing(size=64, min_size=32, first_pass_size=32)
    device_type, max_concurrency, batch_one, takes_guidance = "cpu", 1, False, True

    def __init__(self, value: float = 0.5) -> None:
        self.value, self.told, self.seen = value, [], []

    def prepare(self, image, size=None):
        import cv2

        return cv2.resize(image, (size or SHAPE)[::-1])

    def infer(self, images, guidance=None):
        self.seen += images
        self.told.append(guidance)
        return [np.full(image.shape[:2], self.value, np.float32) for image in images]


def complete(model: Recorder, *photos: tuple[np.ndarray, Hints | None]) -> list:
    predictor = Predictor(model)
    started = [predictor.planner.start(image, hints) for image, hints in photos]
    predictor.complete(started)
    return started


def photo(height: int = 96, width: int = 160) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


# What people write.


@pytest.mark.parametrize(
    "box", ["10,20%,50%,30", ("10", "20%", "50%", 30), (10, 12, 50, 30), [(10, 12, 50, 30)]]
)
def test_boxes_are_pixels_or_percent(box):
    assert hints_of(SHAPE, box=box).boxes == ((slice(12, 42), slice(10, 60)),)


def test_places_may_be_one_or_several():
    assert hints_of(SHAPE, points="5,6; 50%,50%").points == ((5, 6), (50, 30))
    assert hints_of(SHAPE, not_points=(5, 6)).not_points == ((5, 6),)
    assert hints_of(SHAPE, points=np.array([[5, 6], [7, 8]])).points == ((5, 6), (7, 8))
    assert hints_of(SHAPE, points=torch.tensor([5, 6])).points == ((5, 6),)
    assert hints_of(SHAPE, points=[torch.tensor([5, 6]), (7, 8)]).points == ((5, 6), (7, 8))
    assert hints_of(SHAPE, box=["0,0,9,9", "10,10,9,9"]).boxes[1] == (slice(10, 19), slice(10, 19))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"box": (50, 20, 60, 30)}, "the box 50,20,60,30 reaches beyond its photo of 100x60"),
        ({"box": (-5, 0, 20, 20)}, "reaches beyond its photo"),
        ({"box": (5, 5, 0, 20)}, "less than a pixel"),
        ({"box": "1,2,3"}, "the box '1,2,3' is not x,y,width,height, in pixels or percent"),
        ({"box": "a,b,c,d"}, "is not x,y,width,height"),
        ({"points": "1,nan"}, "the point '1,nan' is not x,y"),
        ({"points": "110%,5"}, "has 110%: percent are 0 to 100"),
        ({"not_points": (200, 5)}, "the not-point 200,5 lies outside of its photo of 100x60"),
        ({"keep": np.zeros((60, 60), bool)}, "'keep' is 60x60 but its photo 100x60"),
        ({"guide": np.zeros((60, 60), np.uint8)}, "the guide is 60x60 but its photo 100x60"),
        ({"box": (0, 0, 10, 10), "points": (50, 50)}, "lies outside of the boxes"),
        ({"subject": "bigest"}, "no subject 'bigest'"),
        (
            {"points": ["9,9", "20,30"], "not_points": ["20%,50%"]},
            "a point and a not-point at 20,30",
        ),
    ],
)
def test_what_cannot_be_a_hint_is_one_clear_line(given, message):
    with pytest.raises(MatteError) as error:
        hints_of(SHAPE, **given)
    assert message in str(error.value)


def test_strokes_are_any_color_on_black_or_on_a_transparent_layer():
    drawn = disc(30, 30, 10)
    red = np.zeros((*SHAPE, 3), np.uint8)
    red[drawn] = (220, 10, 10)
    half = np.where(drawn, 160, 40).astype(np.uint8)
    assert np.array_equal(strokes_of(Picture(red)), drawn)
    assert np.array_equal(strokes_of(Picture(np.zeros_like(red), half)), drawn)
    labels = drawn.astype(np.uint8)[..., None].repeat(3, axis=2)
    assert np.array_equal(strokes_of(Picture(labels)), drawn)
    assert np.array_equal(strokes_of(Picture(red.astype(np.uint16) * 257)), drawn)
    on_white = np.full_like(red, 255)
    on_white[disc(30, 30, 3)] = 0
    with pytest.raises(MatteError, match="marks nearly everything"):
        strokes_of(Picture(on_white))


@pytest.mark.parametrize("value", [(0, 0, 120), (100, 0, 0), (100, 100, 100), (250, 250, 250)])
def test_dark_and_half_transparent_strokes_count_and_are_no_wider_than_bright_ones(value):
    from PIL import Image, ImageDraw

    layer = Image.new("L", (800, 480))
    ImageDraw.Draw(layer).line((100, 100, 700, 300), 255, 40)
    smooth = np.asarray(layer.resize(SHAPE[::-1], Image.Resampling.BOX), np.float32) / 255
    drawn = smooth >= 0.5
    color = np.rint(smooth[..., None] * value).astype(np.uint8)
    assert (strokes_of(Picture(color)) != drawn).mean() < 0.002
    layer = Picture(np.zeros_like(color), color.max(axis=2))
    assert (strokes_of(layer) != drawn).mean() < 0.002


def test_dark_strokes_beside_bright_ones_count_and_the_noise_of_jpeg_does_not():
    mixed = np.zeros((300, 300, 3), np.uint8)
    mixed[100:110, 20:280] = 255
    mixed[20:280, 150:156] = np.maximum(mixed[20:280, 150:156], (0, 0, 120))
    found = strokes_of(read_picture(encode(mixed, ".jpg", quality=60)))
    assert found[100:110, 24:276].all() and found[24:80, 152:154].all()
    assert found[130:276, 152:154].all()
    found[98:112, 18:282] = found[18:282, 147:159] = False
    assert not found.any()


def test_thin_strokes_survive_in_a_small_copy_and_both_kinds_at_once_are_neither():
    keep, drop = np.zeros((2, 600, 1000), bool)
    keep[300, 100:900] = drop[250:350, 500] = True
    hints = Hints((600, 1000), keep=keep, drop=drop, points=((100, 100),))
    subject, background = hints.marks((60, 100))
    assert subject[30, 10:45].all() and background[26, 50] and subject[10, 10]
    assert not (subject & background).any() and not subject[30, 50]
    assert hints.resized((60, 100)).points == ((10, 10),)


# What the network is told.


def test_marks_reach_the_network_in_both_passes_after_a_look_without_them():
    model = Recorder()
    hints = hints_of((96, 160), points=(40, 40), not_points=(120, 40))
    complete(model, (photo(), hints))
    before, plain, first, second = [guidance and guidance[0] for guidance in model.told]
    assert before is None and (plain[1] == 0).all()
    for told in (first, second):
        assert told[1].max() == 1 and told[1].min() == -1
    by, bx = (part / whole for part, whole in zip(first.shape[1:], (96, 160), strict=True))
    assert first[1, int(40 * by), int(40 * bx)] == 1
    assert first[1, int(40 * by), int(120 * bx)] == -1
    assert first[0] == pytest.approx(0)  # an alpha of one half


def test_a_rough_matte_guides_the_first_pass_and_a_box_shows_only_its_part():
    model = Recorder()
    guide = disc(80, 48, 20, (96, 160)).astype(np.float32)
    (done,) = complete(model, (photo(), hints_of((96, 160), box=(40, 20, 80, 60), guide=guide)))
    assert done.frame == (slice(12, 88), slice(32, 128))
    told = model.told[0][0]
    assert told[0].max() == 1 and told[0].min() == -1
    assert told[1].min() == -1 and (told[1] == 0).any()
    assert blend(done)[0].max() == 0  # outside of the box


def test_photos_with_and_without_hints_share_a_batch():
    model = Recorder()
    complete(model, (photo(), None), (photo(), hints_of((96, 160), guide=np.ones((96, 160)))))
    first = model.told[0]
    assert len(first) == 2 and not first[0].any() and first[1].any()


def test_a_reduced_map_loses_no_mark():
    known = np.zeros((2, 64, 64), np.float32)
    known[1, 10, 10], known[1, 40, :] = 1, -1
    small = reduced_map(known, (16, 16))
    assert small[1, 2, 2] == 1 and (small[1, 10] == -1).all()


def test_only_changes_in_one_piece_with_a_mark_are_taken_over():
    before = np.zeros(SHAPE, np.float32)
    after = before.copy()
    after[disc(20, 30, 8)], after[disc(70, 30, 8)] = 1, 1
    taken = merged(before, after, Hints(SHAPE, points=((20, 30),)))
    assert taken[30, 20] == 1 and taken[:, 50:].max() == 0
    # Nor do changes that go the other way.
    assert merged(before, after, Hints(SHAPE, not_points=((20, 30),))).max() == 0


def test_a_rough_matte_is_kept_far_from_its_border_and_sharpened_near_it():
    guide = disc(50, 30, 20).astype(np.float32)
    result = within_guide(np.full(SHAPE, 0.5, np.float32), guide)
    assert result[30, 50] == 1 and result[5, 5] == 0
    assert result[30, 30] == pytest.approx(0.5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0, 1])
def test_a_rough_matte_without_any_border_is_kept(value):
    guide = np.full(SHAPE, value, np.float32)
    assert np.array_equal(within_guide(np.full(SHAPE, 0.5, np.float32), guide), guide)


def test_one_of_several_subjects_is_kept():
    alpha = (disc(20, 30, 15) + disc(60, 30, 8)).astype(np.float32)
    assert np.array_equal(chosen_subject(alpha, "all"), alpha)
    assert chosen_subject(alpha, "largest")[30, [20, 60]].tolist() == [1, 0]
    assert chosen_subject(alpha, "center")[30, [20, 60]].tolist() == [0, 1]


# What comes out.


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """Two discs on a plain ground."""
    image = np.full((180, 300, 3), (90, 130, 90), np.uint8)
    image[disc(80, 90, 50, (180, 300))] = (200, 40, 30)
    image[disc(230, 90, 40, (180, 300))] = (30, 40, 200)
    noise = np.random.default_rng(0).integers(-6, 7, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def session(scene) -> matte.Session:
    return matte.Session(scene, device="cpu")


def test_a_session_answers_as_predict_does_and_undoes(session, scene):
    plain = session.alpha()
    assert session.size == (300, 180) and plain.dtype == np.float32
    assert np.array_equal(plain, matte.predict(scene, device="cpu"))
    hints = {"points": [(80, 90)], "not_points": [(230, 90)]}
    marked = session.alpha(**hints)
    assert np.array_equal(marked, matte.predict(scene, device="cpu", **hints))
    assert marked[90, 80] == 1 and marked[90, 230] == 0
    assert np.array_equal(session.alpha(), plain)


def test_strokes_are_obeyed_and_carried_to_what_is_connected_and_alike(session):
    keep, drop = np.zeros((2, 180, 300), bool)
    keep[85:95, 60:100] = True
    drop[85:95, 215:245] = True
    alpha = session.alpha(keep=keep, drop=drop)
    assert (alpha[keep] == 1).all() and (alpha[drop] == 0).all()
    red, blue = disc(80, 90, 42, (180, 300)), disc(230, 90, 32, (180, 300))
    assert alpha[red].mean() > 0.98 and alpha[blue].mean() < 0.02
    cutout = session.cutout(keep=keep, drop=drop, crop=0)
    assert cutout.shape[2] == 4 and cutout.shape[1] < 300


def test_a_separate_subject_is_dropped_whole_by_one_point():
    image = np.full((200, 300, 3), (90, 130, 90), np.uint8)
    image[40:160, 200:230], image[40:160, 230:260] = (200, 40, 30), (30, 40, 200)
    image[20:180, 20:80], image[20:180, 80:140] = (20, 20, 20), (250, 250, 250)
    first = np.zeros((200, 300), np.float32)
    first[20:180, 20:140] = first[40:160, 200:260] = 1
    mine, other = disc(110, 100, 3, first.shape), disc(210, 100, 3, first.shape)
    nothing = np.zeros(first.shape, bool)
    alpha = refine_with_marks(image, first, nothing, other)
    assert alpha[:, 190:].max() < 0.02 and np.array_equal(alpha[:, :190], first[:, :190])
    # Of the largest, what is around the point only, unless another one is said to be meant.
    assert refine_with_marks(image, first, nothing, mine)[30:170, 30:70].min() > 0.98
    assert refine_with_marks(image, first, other, mine)[:, :190].max() < 0.02


def test_outside_of_a_box_all_is_background(session):
    alpha = session.alpha(box="60%,0,40%,100%")
    assert alpha[:, :180].max() == 0


def test_a_small_matte_is_for_a_quick_look(session):
    hints = {"box": (10, 10, 140, 160), "points": [(80, 90)]}
    small = session.alpha(long_side=150, **hints)
    assert small.shape == (90, 150) and small[45, 40] == 1 and small[:, 76:].max() == 0
    assert session.cutout(long_side=150, **hints).shape == (90, 150, 4)
    with pytest.raises(MatteError, match="1 pixel or more"):
        session.alpha(long_side=0)


def test_unknown_keywords_are_refused():
    with pytest.raises(TypeError, match="pionts"):
        matte.predict(photo(), pionts=[(1, 1)])
