"""A second look at photos, around what the first one left open."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import mattecli
from mattecli.cli.app import app
from mattecli.core.imaging.reading import read_alpha, read_color
from mattecli.core.imaging.writing import write_image
from mattecli.core.inference.predictor import Predictor
from mattecli.core.inference.second_look import SecondLook


class Shortsighted(Predictor):
    """Takes red for the subject, and sees everything blurred by some of its own pixels."""

    multiple, device_type = 32, "cpu"

    def __init__(self, size: int = 128) -> None:
        self.size = self.least = size
        self.seen: list[tuple[int, int]] = []

    def run(self, images):
        self.seen += [image.shape[:2] for image in images]
        return [cv2.blur(image[..., 0].astype(np.float32) / 255, (5, 5)) for image in images]


@pytest.fixture
def photo() -> np.ndarray:
    """A disc with spikes in the left half of a photo."""
    red = np.zeros((400, 600), np.uint8)
    cv2.circle(red, (150, 200), 80, 255, -1)
    for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False):
        tip = int(150 + 120 * np.cos(angle)), int(200 + 120 * np.sin(angle))
        cv2.line(red, (150, 200), tip, 255, 3)
    return np.dstack([red, np.zeros_like(red), 255 - red])


def test_the_second_look_sees_what_is_open_and_makes_it_sharper(photo):
    once, twice = Shortsighted(), SecondLook(Shortsighted())
    truth = photo[..., 0].astype(np.float32) / 255
    errors = []
    for predictor in (once, twice):
        seen = predictor.shrink(photo)
        (matte,) = predictor.run([seen])
        assert matte.shape == seen.shape[:2]
        errors.append(np.abs(cv2.resize(matte, (600, 400)) - truth).mean())
    assert errors[1] < 0.9 * errors[0]
    first, second = twice.first.seen
    assert max(first) == 128 and once.seen == [first]
    whole = twice.network_size(400, 600)
    assert whole[1] == 1.5 * 128
    assert second[1] < 0.75 * whole[1], "the right half is not looked at again"


def test_what_the_first_look_is_sure_of_stays(photo):
    """Here it takes all for background; the second look alone would find the subject."""

    class Blind(Shortsighted):
        def run(self, images):
            mattes = super().run(images)
            if len(self.seen) == 1:
                mattes[0][:] = 0
                mattes[0][:4, :4] = 0.5
            return mattes

    twice = SecondLook(Blind())
    (matte,) = twice.run([twice.shrink(photo)])
    assert len(twice.first.seen) == 2
    assert matte[32:].max() == 0


@pytest.mark.parametrize(("side", "looks"), [(100, 1), (200, 1), (400, 2)])
def test_photos_that_show_little_more_from_near_are_seen_once(photo, side, looks):
    twice = SecondLook(Shortsighted())
    seen = twice.shrink(cv2.resize(photo, (side, side)))
    (matte,) = twice.run([seen])
    assert matte.shape == seen.shape[:2] and len(twice.first.seen) == looks


@pytest.mark.parametrize(
    ("shape", "looks"),
    [
        ((400, 600), [608]),  # too small to be shown from near: its own size
        ((534, 800), [640, 960]),  # 1.2 times its own size from near
        ((1024, 1024), [544, 800]),  # as many pixels as may be
        ((2000, 3000), [768, 1152]),  # as large as the network was made for, and 1.5 times that
    ],
)
def test_how_near_the_looks_are_follows_the_size_of_the_photo(shape, looks):
    """Here all of the photo is open."""
    first = Shortsighted(768)
    first.least = 512
    twice = SecondLook(first)
    twice.run([twice.shrink(np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))])
    assert [max(size) for size in first.seen] == looks


@pytest.mark.parametrize(("size", "looks"), [(320, [320, 480]), (704, [704])])
def test_networks_made_for_other_sizes(size, looks):
    """On a square photo; with 704 px the limit on pixels leaves no second look of 1.5 times 512."""
    first = Shortsighted(size)
    first.least = 512
    twice = SecondLook(first)
    photo = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), np.uint8)
    (matte,) = twice.run([twice.shrink(photo)])
    assert [max(size) for size in first.seen] == looks
    assert matte.shape == twice.network_size(1024, 1024)


def test_photos_in_which_nothing_is_open_are_seen_once(photo):
    twice = SecondLook(Shortsighted())
    (matte,) = twice.run([twice.shrink(np.zeros_like(photo))])
    assert not matte.any() and len(twice.first.seen) == 1


def test_the_second_look_takes_little_beside_the_pixels_of_the_photo():
    """Here all of the photo is open."""
    noise = np.random.default_rng(0).integers(0, 256, (2000, 3000, 3), np.uint8)
    for size in (256, 768, 1024, 2048):
        twice = SecondLook(Shortsighted(size))
        (matte,) = twice.run([twice.shrink(noise)])
        assert matte.shape == twice.network_size(2000, 3000)
        assert all(height * width <= 0.37 * 6e6 for height, width in twice.first.seen[1:])
        assert len(twice.first.seen) == (2 if size < 1500 else 1)


def test_every_photo_of_a_batch_is_looked_at_by_itself(photo):
    twice = SecondLook(Shortsighted())
    images = [twice.shrink(picture) for picture in (photo, photo[:, ::-1], np.zeros_like(photo))]
    together = twice.run(images)
    assert len(twice.first.seen) == 3 + 2
    for image, matte in zip(images, together, strict=True):
        assert np.array_equal(SecondLook(Shortsighted()).run([image])[0], matte)


def test_predict_looks_twice_unless_told_not_to(tmp_path):
    """On an enlarged example, where it matters and where not."""
    example = read_color(Path(__file__).parents[1] / "examples/raccoon.jpg")
    photo = tmp_path / "photo.png"
    write_image(photo, cv2.resize(example, (1600, 1200)))
    mattes = {}
    for name, flags in (("twice", []), ("once", ["--look-once"])):
        out = tmp_path / f"{name}.png"
        arguments = ["predict", str(photo), str(out), "--save", "alpha", "--size", "512", *flags]
        assert CliRunner().invoke(app, arguments).exit_code == 0
        mattes[name] = read_alpha(out).astype(int)
    changed = np.abs(mattes["twice"] - mattes["once"])
    assert changed.max() > 20
    assert (changed > 1).mean() < 0.5
    again = mattecli.predict(photo, size=512, look_twice=False)
    assert np.abs(again * 255 - mattes["once"]).max() <= 1
