"""Passes: the whole photo once or twice, then a larger crop of what is uncertain."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import mattecli
from mattecli.cli.app import app
from mattecli.core.imaging.pixels import Picture
from mattecli.core.imaging.reading import read_alpha, read_color
from mattecli.core.imaging.writing import write_image
from mattecli.core.inference.crops import put_into
from mattecli.core.inference.hint_values import hints_of
from mattecli.core.inference.jobs import Job
from mattecli.core.inference.pass_sizes import PassSizes
from mattecli.core.inference.passes import PhotoPasses, blend
from mattecli.core.inference.pipeline import run_pipeline
from mattecli.core.inference.predictor import Predictor
from mattecli.core.inference.steps import Outcome, Steps
from mattecli.core.matting.placing import resize
from mattecli.core.runtime.sizing import Sizing


class Blurred:
    """A model that takes red for the subject, blurred by some pixels, and notes what it is given.

    Attributes
    ----------
    batches : list of list of tuple
        For every call the sizes of its images.
    """

    max_concurrency, batch_one, takes_guidance = 1, False, False

    def __init__(
        self, size: int = 128, min_size: int | None = None, device_type: str = "cpu"
    ) -> None:
        self.sizing = Sizing(size, min_size or size)
        self.device_type = device_type
        self.batches: list[list[tuple[int, int]]] = []

    @property
    def sizes(self) -> list[tuple[int, int]]:
        return [size for batch in self.batches for size in batch]

    def prepare(self, image, size=None):
        return resize(image, *(size or self.sizing.input_size(*image.shape[:2])))

    def infer(self, images, guidance=None):
        self.batches.append([image.shape[:2] for image in images])
        return [cv2.blur(image[..., 0].astype(np.float32) / 255, (5, 5)) for image in images]


def network_matte(model, photo, **options) -> np.ndarray:
    """The model's matte of a photo, at the size of its last pass."""
    ((network_input, matte),) = Predictor(model, **options).network_mattes([photo])
    assert matte.shape == network_input.shape[:2]
    return matte


@pytest.fixture
def photo() -> np.ndarray:
    """A disc with spikes in the left half of a photo."""
    red = np.zeros((400, 600), np.uint8)
    cv2.circle(red, (150, 200), 80, 255, -1)
    for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False):
        tip = int(150 + 120 * np.cos(angle)), int(200 + 120 * np.sin(angle))
        cv2.line(red, (150, 200), tip, 255, 3)
    return np.dstack([red, np.zeros_like(red), 255 - red])


def test_the_second_pass_takes_what_is_uncertain_and_makes_it_sharper(photo):
    single, double = Blurred(), Blurred()
    truth = photo[..., 0].astype(np.float32) / 255
    errors = []
    for model, two_pass in ((single, False), (double, True)):
        matte = network_matte(model, photo, two_pass=two_pass)
        errors.append(np.abs(cv2.resize(matte, (600, 400)) - truth).mean())
    assert errors[1] < 0.9 * errors[0]
    first, second = double.sizes
    assert max(first) == 128 and single.sizes == [first]
    whole = Predictor(double).planner.sizes(400, 600).last
    assert whole[1] == 1.5 * 128
    assert second[1] < 0.75 * whole[1], "the right half has no second pass"


def test_what_the_first_pass_is_certain_of_stays(photo):
    """Here it takes all for background; the second pass alone would find the subject."""

    class Blind(Blurred):
        def infer(self, images, guidance=None):
            mattes = super().infer(images)
            if len(self.sizes) == 1:
                mattes[0][:] = 0
                mattes[0][:4, :4] = 0.5
            return mattes

    model = Blind()
    matte = network_matte(model, photo)
    assert len(model.sizes) == 2
    assert matte[32:].max() == 0


@pytest.mark.parametrize(("side", "passes"), [(100, 1), (200, 1), (400, 2)])
def test_small_photos_have_a_single_pass(photo, side, passes):
    model = Blurred()
    network_matte(model, cv2.resize(photo, (side, side)))
    assert len(model.sizes) == passes


@pytest.mark.parametrize(
    ("shape", "sides"),
    [
        ((400, 600), [608]),  # too small for two passes: its own size
        ((534, 800), [640, 960]),  # 1.2 times its own size in the second pass
        ((1024, 1024), [544, 800]),  # as many pixels as may be
        ((2000, 3000), [768, 1152]),  # as large as the network was made for, and 1.5 times that
    ],
)
def test_how_large_the_passes_are_follows_the_size_of_the_photo(shape, sides):
    """Here all of the photo is uncertain."""
    model = Blurred(768, min_size=512)
    network_matte(model, np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))
    assert [max(size) for size in model.sizes] == sides


class Told(Blurred):
    """The same with guidance and a first pass of 256 px; it notes the alpha that it is told."""

    takes_guidance = True

    def __init__(self) -> None:
        super().__init__()
        self.sizing = Sizing(320, 256, first_pass_size=256)
        self.told: list[np.ndarray | None] = []

    def infer(self, images, guidance=None):
        self.told += [None] * len(images) if guidance is None else [g[0] for g in guidance]
        return super().infer(images)


@pytest.mark.parametrize(
    ("shape", "sides"),
    [
        ((24, 48), [256]),  # four times its own size is less than the first pass
        ((40, 80), [256, 320]),  # four times its own size
        ((150, 300), [256, 384]),  # small: seen whole at 1.5 times the size
        ((400, 800), [256, 320, 480]),  # large: seen whole twice before the crop
        ((400, 400), [256, 320]),  # as many pixels as may be in the crop are too few for that
    ],
)
def test_guided_networks_see_the_whole_photo_more_than_once(shape, sides):
    """Here all of a photo is uncertain, and each pass is told what the one before found."""
    model = Told()
    network_matte(model, np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))
    assert [max(size) for size in model.sizes] == sides
    assert model.told[0] is None
    for told, size in zip(model.told[1:], model.sizes[1:], strict=True):
        assert told.shape == size and 0 < np.abs(told).max() <= 1


@pytest.mark.parametrize(
    ("shape", "sides"), [((150, 300), [256, 384, 384]), ((400, 800), [256, 320, 480, 320, 480])]
)
def test_points_are_answered_from_the_last_pass_on_that_sees_the_whole_photo(shape, sides):
    """Here all of a photo is uncertain."""
    model = Told()
    predictor = Predictor(model)
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    predictor.complete([predictor.planner.start(noise, hints_of(shape, points=(20, 20)))])
    assert [max(size) for size in model.sizes] == sides


def test_the_last_pass_of_a_small_photo_counts_everywhere(photo):
    """Its first pass finds one half of the photo for sure, the second one the other, too."""

    class Late(Told):
        def infer(self, images, guidance=None):
            mattes = super().infer(images)
            if len(self.sizes) == 1:
                mattes[0][:, : mattes[0].shape[1] // 4] = 0
            return mattes

    small = cv2.resize(photo, (180, 120))
    assert np.array_equal(network_matte(Late(), small), network_matte(Told(), small))


@pytest.mark.parametrize(("size", "sides"), [(320, [320, 480]), (704, [704])])
def test_networks_made_for_other_sizes(size, sides):
    """On a square photo; with 704 px the limit on pixels leaves no second pass of 1.5 times 512."""
    model = Blurred(size, min_size=512)
    photo = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), np.uint8)
    matte = network_matte(model, photo)
    assert [max(size) for size in model.sizes] == sides
    assert matte.shape == Predictor(model).planner.sizes(1024, 1024).last


def test_photos_in_which_nothing_is_uncertain_have_a_single_pass(photo):
    model = Blurred()
    assert not network_matte(model, np.zeros_like(photo)).any()
    assert len(model.sizes) == 1


def test_the_second_pass_takes_little_beside_the_pixels_of_the_photo():
    """Here all of the photo is uncertain."""
    noise = np.random.default_rng(0).integers(0, 256, (2000, 3000, 3), np.uint8)
    for size in (256, 768, 1024, 2048):
        model = Blurred(size)
        matte = network_matte(model, noise)
        assert matte.shape == Predictor(model).planner.sizes(2000, 3000).last
        assert all(height * width <= 0.37 * 6e6 for height, width in model.sizes[1:])
        assert len(model.sizes) == (2 if size < 1500 else 1)


def test_every_photo_of_a_batch_has_passes_of_its_own(photo):
    model = Blurred()
    images = [photo, photo[:, ::-1], np.zeros_like(photo)]
    together = Predictor(model).network_mattes(images)
    assert len(model.sizes) == 3 + 2
    for image, (_, matte) in zip(images, together, strict=True):
        assert np.array_equal(network_matte(Blurred(), image), matte)


def pipeline(model, photos: list[np.ndarray], batch_size: int) -> list[Outcome]:
    """Take photos through the pipeline; the mattes are the outcomes' previews."""
    jobs = [Job(str(number).encode(), {}) for number in range(len(photos))]
    steps = Steps(
        decode=lambda job: Picture(photos[int(job.source)]),
        finish=lambda item: Outcome(item.job, "ok", preview=item.found.matte),
    )
    outcomes = run_pipeline(jobs, Predictor(model), steps, batch_size=batch_size, workers=4)
    return sorted(outcomes, key=lambda outcome: int(outcome.job.source))


def shifted(photo: np.ndarray, count: int) -> list[np.ndarray]:
    """Larger copies of a photo, whose subject is farther to the right each time."""
    larger = cv2.resize(photo, (1200, 800))
    return [np.roll(larger, 4 * number, axis=1) for number in range(count)]


def test_batches_of_eight_are_passes_of_eight_both_times(photo):
    model = Blurred(256, device_type="cuda")
    photos = shifted(photo, 32)
    outcomes = pipeline(model, photos, batch_size=8)
    assert [outcome.status for outcome in outcomes] == ["ok"] * 32
    assert [len(batch) for batch in model.batches] == [8] * 8
    (first,) = Predictor(model).planner.sizes(800, 1200).whole
    assert Counter(size == first for size in model.sizes) == {True: 32, False: 32}
    for image, outcome in zip(photos, outcomes, strict=True):
        alone = network_matte(Blurred(256, device_type="cuda"), image)
        assert np.array_equal(outcome.preview, alone)


def test_on_an_accelerator_crops_of_several_subjects_share_a_size(photo):
    wide = cv2.resize(photo, (640, 400))
    sizes = set()
    for scale in (0.8, 0.85, 0.9, 0.95, 1.0):
        smaller = cv2.resize(wide, None, fx=scale, fy=scale)
        image = np.zeros_like(wide)
        image[..., 2] = 255
        image[: smaller.shape[0], : smaller.shape[1]] = smaller
        model = Blurred(512, device_type="cuda")
        network_matte(model, cv2.resize(image, (1600, 1000)))
        sizes.add(model.sizes[1])
    assert len(sizes) <= 2


@pytest.mark.parametrize("failing_pass", [1, 2])
def test_a_photo_that_fails_in_a_batch_fails_alone(photo, failing_pass):
    class Picky(Blurred):
        """Refuses green pixels, at the size of one pass."""

        def infer(self, images, guidance=None):
            mattes = super().infer(images)
            first = images[0].shape[:2] in Predictor(self).planner.sizes(800, 1200).whole
            if first == (failing_pass == 1) and any(image[..., 1].any() for image in images):
                raise RuntimeError("no such kernel")
            return mattes

    photos = shifted(photo, 16)
    photos[5] = photos[5].copy()
    photos[5][..., 1] = 255
    model = Picky(256, device_type="cuda")
    outcomes = pipeline(model, photos, batch_size=8)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert [int(outcome.job.source) for outcome in failed] == [5]
    assert "no such kernel" in failed[0].reason
    for number, outcome in enumerate(outcomes):
        if number != 5:
            alone = network_matte(Blurred(256, device_type="cuda"), photos[number])
            assert np.array_equal(outcome.preview, alone)


def test_one_photo_at_a_time_on_as_many_threads_as_the_model_wants(photo):
    class Parallel(Blurred):
        max_concurrency = 3

        def __init__(self) -> None:
            super().__init__()
            self.together = threading.Barrier(3)

        def infer(self, images, guidance=None):
            mattes = super().infer(images)
            if len(self.batches) <= 3:
                # Goes on only when three threads are here.
                self.together.wait(timeout=30)
            return mattes

    model = Parallel()
    assert {outcome.status for outcome in pipeline(model, [photo] * 6, batch_size=1)} == {"ok"}
    assert [len(batch) for batch in model.batches] == [1] * 12


def test_predict_has_two_passes_unless_told_not_to(tmp_path):
    """On an enlarged example, where it matters and where not."""
    example = read_color(Path(__file__).parents[1] / "examples/raccoon.jpg")
    photo = tmp_path / "photo.png"
    write_image(photo, cv2.resize(example, (1600, 1200)))
    mattes = {}
    for name, flags in (("two", []), ("single", ["--single-pass"]), ("old", ["--look-once"])):
        out = tmp_path / f"{name}.png"
        arguments = ["predict", str(photo), str(out), "--save", "alpha", "--size", "512", *flags]
        assert CliRunner().invoke(app, arguments).exit_code == 0
        mattes[name] = read_alpha(out).astype(int)
    changed = np.abs(mattes["two"] - mattes["single"])
    assert np.array_equal(mattes["single"], mattes["old"])
    assert changed.max() > 20
    assert (changed > 1).mean() < 0.5
    again = mattecli.predict(photo, size=512, two_pass=False)
    assert np.abs(again * 255 - mattes["single"]).max() <= 1


def test_a_detail_pass_draws_edges_and_chooses_no_other_subject():
    before = np.zeros((256, 256), np.float32)
    before[:, 128:] = 1
    before = cv2.blur(before, (15, 15))
    everything = (slice(0, 256), slice(0, 256))
    sharp = np.float32(before > 0.5)
    other = sharp.copy()
    other[100:160, 60:128] = 1

    def error(cropped: np.ndarray, **options: bool) -> float:
        alpha = put_into(before, cropped, everything, before.shape, **options)
        return float(np.abs(alpha - sharp)[100:160].mean())

    assert error(sharp, keeps_subject=True) < 0.1 * error(before)
    assert error(other) > 2 * error(before), "but for that it would be taken for the subject"
    assert error(other, keeps_subject=True) < 1.1 * error(before)


def test_the_blend_of_both_passes_is_centered():
    first = np.zeros((64, 64), np.float32)
    first[31:33, 31:33] = 0.5
    box = (slice(0, 128), slice(0, 128))
    passes = PhotoPasses(
        np.zeros((128, 128, 3), np.uint8),
        PassSizes(((64, 64),), (128, 128)),
        count=2,
        whole=first,
        box=box,
        cropped=np.ones((128, 128), np.float32),
    )
    alpha = blend(passes)
    np.testing.assert_allclose(alpha, alpha[::-1, ::-1], atol=1e-6)
    assert alpha[64, 64] == 1 and alpha[0, 0] == 0
