"""Training on material of which a file is damaged, and on wrong and sure alpha."""

from __future__ import annotations

import shutil
from unittest import mock

import numpy as np
import pytest
import torch
from training_material import FAST, SMALL_ENCODER, log_of, matte

from mattecli.core.dataset import probing, sample_cache
from mattecli.core.dataset.sources import Source, find_sources
from mattecli.core.dataset.training_set import TrainingSet
from mattecli.core.errors import MatteError
from mattecli.core.imaging.writing import write_image
from mattecli.core.training import batches, losses, trainer
from mattecli.core.training.config import load_config
from mattecli.core.training.processes import Processes

ALONE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture
def damaged(data, tmp_path):
    """The pairs, one photo of which ends in the middle."""
    shutil.copytree(data / "pairs", tmp_path / "pairs")
    path = tmp_path / "pairs/image/3.png"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return tmp_path / "pairs"


def test_one_truncated_photo_is_skipped_named_and_counted(damaged, tmp_path):
    run = tmp_path / "run"
    code, error = matte("train", damaged, "--out", run, "--steps", 10, *FAST)
    assert code == 0, error
    assert error.count("skipped in training: ") == 1
    assert str(damaged / "image/3.png") in error
    assert 1 <= log_of(run)[-1]["skipped"] <= 10


def test_a_damaged_file_is_named_before_the_first_step(damaged, tmp_path):
    # What is left of it is not even a header.
    (damaged / "image/3.png").write_bytes(b"\x89PNG")
    run = tmp_path / "run"
    code, error = matte("train", damaged, "--out", run, "--steps", 3, *FAST)
    assert code == 0, error
    before, _, _ = error.partition("skipped in training")
    assert before.count("cannot be used, and will be left out") == 1 and "3.png" in before


@pytest.mark.parametrize("kind", ["train", "val"])
def test_more_damaged_files_than_a_hundredth_end_the_run_before_it_begins(
    data, damaged, tmp_path, kind
):
    (damaged / "alpha/5.png").write_bytes(b"no picture")
    sound = data / "pairs"
    folders = [damaged] if kind == "train" else [sound, "--val", damaged]
    code, error = matte("train", *folders, "--out", tmp_path / "run", "--steps", 3, *FAST)
    said = " ".join(error.split())
    assert code == 1 and not (tmp_path / "run").exists()
    what = "training" if kind == "train" else "validation"
    assert f"2 of 6 {what} files cannot be used, which is more than 1%" in said
    assert "image/3.png" in said and "alpha/5.png" in said


def test_a_large_set_is_looked_at_in_all_its_headers_and_some_of_its_files(data, monkeypatch):
    """Of files that are decoded as a whole there are as many as is said, spread evenly."""
    monkeypatch.setattr(probing, "DECODED", 3)
    whole = []
    photo = probing.SampleCache.photo

    def noted(self, image, *rest):
        whole.append(image.stem)
        return photo(self, image, *rest)

    monkeypatch.setattr(probing.SampleCache, "photo", noted)
    headers = []
    trouble = probing.header_trouble
    monkeypatch.setattr(
        probing,
        "header_trouble",
        lambda image, *rest, **more: headers.append(image.stem) or trouble(image, *rest, **more),
    )
    (source,) = find_sources(data / "pairs")
    assert probing.probe("photos", [source], quiet=True) == []
    assert sorted(whole) == ["0", "2", "4"] and sorted(headers) == ["1", "3", "5"]


def test_one_percent_of_a_large_set_is_borne(tmp_path):
    files = [(tmp_path / f"{number}.png", None) for number in range(300)]
    for number, (path, _) in enumerate(files):
        write_image(path, np.zeros((4, 4, 3), np.uint8))
        if number < 4:
            path.write_bytes(b"no picture")
    few = Source("backgrounds", files[2:])
    assert len(probing.probe("backgrounds", [few], quiet=True)) == 2
    with pytest.raises(MatteError, match=r"4 of 300 backgrounds cannot be used"):
        probing.probe("backgrounds", [Source("backgrounds", files)], quiet=True)


def test_a_validation_photo_that_is_damaged_later_is_left_out_and_counted(data, tmp_path):
    held_out, run = shutil.copytree(data / "pairs", tmp_path / "val"), tmp_path / "run"
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'validate_every = 2\n[network]\nname = "hattmatting"\nencoder = "{SMALL_ENCODER}"\n'
        "predict_size = 32\n[loss]\nl1 = 1.0\n"
    )
    arguments = ["train", data / "pairs", "--val", held_out, "--recipe", recipe, "--out", run]
    validate = trainer.validate

    def spoil(network, pairs, stop, **more):
        found = validate(network, pairs, stop, **more)
        path = held_out / "image/1.png"
        path.write_bytes(path.read_bytes()[:200])
        (held_out / "alpha/2.png").unlink(missing_ok=True)
        return found

    with mock.patch.object(trainer, "validate", spoil):
        code, error = matte(*arguments, "--steps", 6, *FAST)
    assert code == 0, error
    judged = [line for line in log_of(run) if "val_sad" in line]
    assert [line.get("val_skipped", 0) for line in judged] == [0, 2, 2]
    assert error.count("left out of the validation") == 2
    assert "1.png" in error and "2.png" in error
    shutil.copyfile(held_out / "alpha/1.png", held_out / "alpha/2.png")
    for path in (held_out / "image").iterdir():
        path.write_bytes(b"gone")
    before = (run / "best.safetensors").read_bytes()
    code, error = matte(*arguments, "--steps", 8, "--resume", *FAST)
    assert code == 0, error
    assert log_of(run)[-1] == {"step": 8, "val_skipped": 6}
    assert (run / "best.safetensors").read_bytes() == before


def test_the_end_of_the_cache_is_said_once(data, tmp_path):
    run = tmp_path / "run"
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'log_every = 1\n[network]\nname = "hattmatting"\nencoder = "{SMALL_ENCODER}"\n'
        "[loss]\nl1 = 1.0\n"
    )
    arguments = ["train", data / "pairs", "--recipe", recipe, "--out", run, "--steps", 4, *FAST]
    full = mock.patch.object(sample_cache.SampleCache, "lacks_room", lambda *_: True)
    with full:
        code, error = matte(*arguments)
    assert code == 0, error
    assert " ".join(error.split()).count("has no room for more decoded samples") == 1
    assert not list((run / "cache").glob("*.npy"))


def test_the_next_sample_takes_its_place_in_every_run_alike(damaged):
    config = load_config(
        "default", data=[str(damaged)], sides=[32, 64], batch_size=4, steps=5, workers=0
    )
    streams = []
    for workers in (0, 2):
        config.workers = workers
        skipped = batches.Skipped()
        dataset = batches.build_dataset(config, None)
        streams.append(list(batches.batches(dataset, config, 0, ALONE, skipped)))
        assert skipped.tried == 20 + skipped.samples and 1 <= skipped.samples <= 10
        assert len(skipped.reasons) == 1
    for alone, worked in zip(*streams, strict=True):
        assert all(torch.equal(alone[name], worked[name]) for name in alone)
    # Going on after step 3 shows what would have come.
    later = list(batches.batches(batches.build_dataset(config, None), config, 3, ALONE))
    for before, after in zip(streams[0][3:], later, strict=True):
        assert torch.equal(before["image"], after["image"])


def test_what_is_sound_is_not_skipped(data):
    config = load_config("default", data=[str(data / "pairs")], crop_size=32, steps=3, batch_size=2)
    skipped = batches.Skipped()
    list(batches.batches(batches.build_dataset(config, None), config, 0, ALONE, skipped))
    assert (skipped.samples, skipped.tried) == (0, 6)


def test_more_than_a_hundredth_ends_the_run_with_the_files_names():
    skipped = batches.Skipped()
    skipped.add(["a.png is damaged", "b.png is damaged"] * 5, 1000)
    assert (skipped.samples, skipped.reasons) == (10, ["a.png is damaged", "b.png is damaged"])
    with pytest.raises(MatteError, match=r"11 of 1010 .* more than 1%: a\.png .*; b\.png"):
        skipped.add(["b.png is damaged"], 10)


def test_a_single_photo_of_a_small_set_never_ends_the_run():
    skipped = batches.Skipped()
    for _ in range(100):
        skipped.add(["a.png is damaged"], 6)
    assert skipped.samples == 100
    full = batches.Skipped()
    with pytest.raises(MatteError, match="no space left"):
        full.add(["no space left"] * 4, 4)


def test_material_of_which_nothing_can_be_read_ends_the_run(damaged, tmp_path):
    for path in (damaged / "image").iterdir():
        path.write_bytes(path.read_bytes()[:-400])
    code, error = matte("train", damaged, "--out", tmp_path / "run", "--steps", 10, *FAST)
    assert code == 1
    assert str(damaged / "image") in error and "Traceback" not in error


def test_a_file_that_is_gone_by_now_is_skipped_too(damaged, monkeypatch):
    (damaged / "image/3.png").unlink()
    files = [
        (damaged / f"image/{number}.png", damaged / f"alpha/{number}.png") for number in range(6)
    ]
    config = load_config("default", data=[str(damaged)], crop_size=32, batch_size=2, steps=6)
    source = batches.Source("pairs", files)
    dataset = TrainingSet([source], None, sizes=(32,), batch_group_size=2)
    skipped = batches.Skipped()
    assert len(list(batches.batches(dataset, config, 0, ALONE, skipped))) == 6
    assert skipped.samples >= 1 and "3.png" in skipped.reasons[0]


def gradient_of_bce(logit: float, target: float) -> float:
    value = torch.tensor(logit, requires_grad=True)
    losses.bce(value.sigmoid(), {"alpha": torch.tensor(target)}).backward()
    return value.grad.item()


@pytest.mark.parametrize(("logit", "target"), [(-13.0, 1.0), (13.0, 0.0), (-12.0, 0.6)])
def test_bce_teaches_what_is_wrong_and_sure(logit, target):
    gradient = gradient_of_bce(logit, target)
    assert np.sign(gradient) == np.sign(-target + 0.5 if target in (0, 1) else -1)
    assert abs(gradient) > 0.1


@pytest.mark.parametrize(("logit", "target"), [(-3.0, 1.0), (0.5, 0.2), (4.0, 1.0)])
def test_bce_has_the_textbook_gradient_elsewhere(logit, target):
    # With respect to the logit it is the probability less the target.
    expected = 1 / (1 + np.exp(-logit)) - target
    assert gradient_of_bce(logit, target) == pytest.approx(expected, rel=1e-3)


def test_bce_of_exact_zeros_and_ones_is_finite():
    alpha = torch.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    value = losses.bce(alpha, {"alpha": torch.tensor([1.0, 0.0, 0.0, 1.0])})
    value.backward()
    assert value.item() == pytest.approx(-np.log(1e-5) / 2, rel=1e-3)
    assert torch.isfinite(alpha.grad).all()
    assert alpha.grad[0] < 0 < alpha.grad[1]
