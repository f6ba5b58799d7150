"""Points and strokes bring back, or take away, the whole of what they mean, and nothing else."""

from __future__ import annotations

from collections import OrderedDict

import cv2
import numpy as np
import pytest

import mattecli as matte
from mattecli.core.imaging.pixels import Picture
from mattecli.core.inference.predictor import Predictor
from mattecli.core.inference.session import Session
from mattecli.core.matting import meant_regions as module
from mattecli.core.matting import patches
from mattecli.core.matting.hints import Hints
from mattecli.core.matting.meant_regions import meant_regions
from mattecli.core.runtime.sizing import Sizing

SHAPE = 300, 400


def block(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[top:bottom, left:right] = True
    return mask


#: A lamp of two colors, and beside it a person whose color changes from head to foot.
SHADE, POST = block(40, 180, 20, 180), block(180, 280, 70, 130)
LAMP = SHADE | POST
PERSON = block(50, 110, 250, 330) | block(110, 190, 240, 340) | block(190, 260, 250, 330)


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    image = np.full((*SHAPE, 3), (120, 150, 120), np.float32)
    image[SHADE], image[POST] = (220, 200, 60), (90, 60, 40)
    down = np.linspace(0, 1, SHAPE[0])[:, None, None]
    image = np.where(PERSON[..., None], (1 - down) * (250, 130, 60) + down * (90, 30, 180), image)
    image += np.random.default_rng(0).normal(0, 3, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


class Stubborn:
    """A network that takes guidance and sees the same in a photo, whatever it is told."""

    sizing = Sizing(size=400, min_size=32)
    device_type, max_concurrency, batch_one, takes_guidance = "cpu", 1, False, True

    def __init__(self, seen: np.ndarray) -> None:
        self.seen, self.told = seen.astype(np.float32), []

    def prepare(self, image, size=None):
        return cv2.resize(image, (size or SHAPE)[::-1])

    def infer(self, images, guidance=None):
        self.told += [None] * len(images) if guidance is None else list(guidance)
        return [cv2.resize(self.seen, image.shape[1::-1]) for image in images]


def session_of(scene: np.ndarray, seen: np.ndarray) -> Session:
    return Session.using(Predictor(Stubborn(seen), two_pass=False), Picture(scene))


def far_from(mask: np.ndarray) -> np.ndarray:
    return cv2.dilate(mask.view(np.uint8), np.ones((25, 25), np.uint8)) == 0


def test_a_point_in_a_missed_part_brings_all_its_colors_back(scene):
    session = session_of(scene, LAMP)
    first = session.alpha()
    alpha = session.alpha(points=[(290, 150)])
    assert alpha[PERSON].mean() > 0.93 and first[PERSON].mean() < 0.02
    assert np.array_equal(alpha[far_from(PERSON)], first[far_from(PERSON)])
    assert np.array_equal(session.alpha(), first)


@pytest.mark.parametrize("said", ["a point", "a stroke"])
def test_a_second_subject_is_taken_away_whole_and_the_first_one_stays(scene, said):
    # A rail joins both, so they are one piece of the matte.
    rail = block(150, 156, 170, 250)
    seen = LAMP | PERSON | rail
    session = session_of(scene, seen)
    first = session.alpha()
    if said == "a point":
        alpha = session.alpha(not_points=[(290, 150)])
    else:
        alpha = session.alpha(drop=block(100, 200, 287, 293))
    assert alpha[PERSON].mean() < 0.07
    assert np.array_equal(alpha[:, :180], first[:, :180])


def test_the_network_is_told_of_the_region_and_not_only_of_the_point(scene):
    model = Stubborn(LAMP)
    Session.using(Predictor(model, two_pass=False), Picture(scene)).alpha(points=[(290, 150)])
    earlier, marks = model.told[-1]
    person = cv2.resize(PERSON.astype(np.float32), earlier.shape[::-1]) > 0.5
    assert earlier[person].mean() > 0.9
    assert marks[person].mean() > 0.5 and (marks >= 0).all()


def test_a_point_of_the_other_kind_bounds_a_region(scene):
    alpha = LAMP.astype(np.float32)
    alone = meant_regions(scene, alpha, Hints(SHAPE, points=((290, 150),))).subject
    assert alone[PERSON].mean() > 0.9 and not alone[~PERSON & far_from(PERSON)].any()
    both = Hints(SHAPE, points=((290, 150),), not_points=((290, 225),))
    bounded = meant_regions(scene, alpha, both)
    assert not bounded.subject[215:235, 280:300].any() and bounded.subject[145:155, 285:295].all()
    assert not bounded.background.any()


def test_points_that_agree_with_the_matte_mean_no_region(scene):
    alpha = LAMP.astype(np.float32)
    agreeing = Hints(SHAPE, points=((80, 100),), not_points=((290, 150),))
    assert not np.any(meant_regions(scene, alpha, agreeing))


def test_a_part_of_which_the_matte_is_less_sure_is_corrected_and_no_more(scene):
    # Both parts of the person are in the matte; of the upper one it is not sure.
    upper = PERSON & block(0, 150, 0, 400)
    alpha = np.where(upper, 0.75, LAMP | PERSON).astype(np.float32)
    regions = meant_regions(scene, alpha, Hints(SHAPE, not_points=((290, 105),)))
    assert regions.background[upper].mean() > 0.9
    assert not regions.background[~upper & far_from(upper)].any()


def test_a_further_point_costs_only_its_own(scene, monkeypatch):
    cut = []

    class Counted(patches.Patches):
        def __init__(self, lab, width):
            cut.append(width)
            super().__init__(lab, width)

    monkeypatch.setattr(patches, "Patches", Counted)
    monkeypatch.setattr(module, "_kept", OrderedDict())
    alpha = LAMP.astype(np.float32)
    one = Hints(SHAPE, points=((290, 150),))
    both = Hints(SHAPE, points=((290, 150),), not_points=((100, 235),))
    meant_regions(scene, alpha, one)
    each = len(cut)
    further = meant_regions(scene, alpha, both)
    assert each > 0 and len(cut) == 2 * each
    module._kept.clear()
    anew = meant_regions(scene, alpha, both)
    assert len(cut) == 3 * each, "both points at once share their cuts"
    assert all(map(np.array_equal, further, anew)) and all(map(np.any, anew))
    # Of another matte nothing is known.
    assert not meant_regions(scene, alpha * 0, both).background.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (31, 31), (30, 3000)])
def test_photos_of_any_shape_are_understood(shape):
    color = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    hints = Hints(shape, points=((shape[1] / 2, shape[0] / 2),), not_points=((0, 0),))
    regions = meant_regions(color, np.zeros(shape, np.float32), hints)
    assert regions.subject.shape == shape and not regions.background.any()


def test_weights_that_ship_give_a_second_subject_up_and_bring_it_back(scene):
    session = matte.Session(scene, device="cpu")
    both = session.alpha(keep=LAMP | PERSON)
    dropped = session.alpha(not_points=[(290, 150)])
    assert both[PERSON].mean() > 0.99 and dropped[PERSON].mean() < 0.1
    back = session.alpha(points=[(290, 150)])
    assert back[PERSON].mean() > 0.9
