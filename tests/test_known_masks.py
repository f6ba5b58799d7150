"""Masks in known/: pixels whose alpha nobody knows are not learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from training_material import FAST, SMALL_ENCODER, matte

from mattecli.core.dataset.sample_cache import SampleCache
from mattecli.core.dataset.sources import Source, find_sources
from mattecli.core.dataset.training_set import TrainingSet
from mattecli.core.errors import MatteError
from mattecli.core.imaging.writing import write_image
from mattecli.core.training.adversary import Adversary
from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.losses import LOSSES, ignore_unknown, loss_values, weighted_sum
from mattecli.core.training.options import StartOptions
from mattecli.core.training.processes import Processes
from mattecli.core.training.state import build_state
from mattecli.core.training.step import training_step
from mattecli.core.training.stopping import Stop, never_asked

CPU = Processes(0, 1, torch.device("cpu"))
ALL = dict.fromkeys(LOSSES, 1.0)


# The folder.


@pytest.fixture()
def folder(tmp_path) -> Path:
    """Two pairs of noise with a matte of one half; the left of the first is unknown."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        write_image(tmp_path / f"image/{name}.png", rng.integers(0, 255, (64, 64, 3), np.uint8))
        write_image(tmp_path / f"alpha/{name}.png", np.full((64, 64), 128, np.uint8))
    mask = np.full((64, 64), 255, np.uint8)
    mask[:, :32] = 0
    write_image(tmp_path / "known/a.png", mask)
    return tmp_path


def samples(folder: Path, count: int = 12, cache: Path | None = None, **how) -> list[torch.Tensor]:
    (source,) = find_sources(folder)
    dataset = TrainingSet([source], None, sizes=(64,), cache=SampleCache(cache, 128), **how)
    return [dataset[number]["known"] for number in range(count)]


def test_masks_go_with_mattes_of_their_name_and_may_be_missing(folder):
    (source,) = find_sources(folder)
    assert {image.name: mask.name for image, mask in source.known.items()} == {"a.png": "a.png"}


@pytest.mark.parametrize("crops", [(), (64,)])
def test_samples_tell_what_is_known(folder, crops):
    found = samples(folder, crops=crops)
    shares = {round(float(known.mean()), 2) for known in found}
    assert all(set(known.unique().tolist()) <= {0.0, 1.0} for known in found)
    assert 1.0 in shares, "the picture without a mask"
    assert any(0.2 < share < 0.8 for share in shares), "the picture with one"


def test_without_the_folder_all_is_known(folder):
    (folder / "known" / "a.png").unlink()
    (folder / "known").rmdir()
    assert all((known == 1).all() for known in samples(folder))


def test_what_is_not_white_is_unknown(folder):
    write_image(folder / "known/a.png", np.full((64, 64), 250, np.uint8))
    assert any((known == 0).all() for known in samples(folder, crops=(64,)))


def test_a_mask_that_changes_makes_new_samples_in_the_cache(folder, tmp_path):
    cache = tmp_path / "cache"
    assert not all((known == 1).all() for known in samples(folder, cache=cache))
    (folder / "known/a.png").unlink()
    assert all((known == 1).all() for known in samples(folder, cache=cache))


def test_a_mask_of_another_size_is_refused(folder):
    for name in ("a", "b"):
        write_image(folder / f"known/{name}.png", np.full((32, 64), 255, np.uint8))
    with pytest.raises(MatteError, match=r"\.png is 64x64 but .*known/.\.png is 64x32"):
        samples(folder, count=1)
    code, error = matte(
        *("train", folder, "--out", folder / "run", "--steps", 2, "--encoder", SMALL_ENCODER),
        *FAST,
    )
    assert code == 1 and "known/" in error and "is 64x32" in error and "Traceback" not in error
    assert not (folder / "run" / "last.safetensors").exists()


def test_composites_are_known_everywhere(folder):
    # On another background a subject is there only as far as its matte says so.
    backgrounds = Source("backgrounds", [(folder / "image/b.png", None)])
    (source,) = find_sources(folder)
    dataset = TrainingSet([source], backgrounds, sizes=(64,))
    dataset.mixture.recompose = 1.0
    assert all((dataset[number]["known"] == 1).all() for number in range(6))


# The losses.


def batch_of(known: torch.Tensor) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    shape = known.shape
    batch = {
        name: torch.rand(shape[0], 3, *shape[2:]) for name in ("image", "foreground", "background")
    }
    truth = (torch.rand(shape) > 0.5).float()
    return {**batch, "alpha": truth, "known": known, "composed": torch.ones(shape[0])}


def half_known(count: int = 2, size: int = 64) -> torch.Tensor:
    known = torch.ones(count, 1, size, size)
    known[0, :, :, : size // 2] = 0
    known[1, :, 20:23, 20:50] = 0
    return known


def random_alpha(shape: torch.Size) -> torch.Tensor:
    """Alpha all over the range, some of it 0 and 1 exactly."""
    torch.manual_seed(2)
    return (torch.rand(shape) * 1.4 - 0.2).clamp(0, 1).requires_grad_()


@pytest.mark.parametrize("name", LOSSES)
def test_no_loss_has_a_gradient_at_unknown_pixels(name):
    known = half_known()
    batch, alpha = batch_of(known), random_alpha(known.shape)
    masked, batch["alpha"] = ignore_unknown(alpha, batch["alpha"], known > 0)
    weights = {name: 1.0}
    weighted_sum(loss_values(masked, [], batch, weights), weights).backward()
    assert not alpha.grad[known == 0].any()
    assert alpha.grad[known > 0].any()


@pytest.mark.parametrize("name", LOSSES)
def test_the_matte_at_unknown_pixels_does_not_matter(name):
    known = half_known()
    batch, alpha = batch_of(known), random_alpha(known.shape)
    values = []
    for filled in (0.0, 0.5, 1.0):
        truth = torch.where(known > 0, batch["alpha"], filled)
        masked, truth = ignore_unknown(alpha, truth, known > 0)
        values.append(float(LOSSES[name](masked, {**batch, "alpha": truth})))
    assert values[0] == values[1] == values[2]


def test_where_all_is_known_nothing_changes():
    known = torch.ones(2, 1, 64, 64)
    batch, alpha = batch_of(known), random_alpha(known.shape)
    masked, truth = ignore_unknown(alpha, batch["alpha"], known > 0)
    assert torch.equal(masked, alpha) and torch.equal(truth, batch["alpha"])
    level = torch.rand(2, 1, 16, 16)
    with_mask = loss_values(alpha, [level], batch, {**ALL, "sentry": 1.0})
    del batch["known"]
    without = loss_values(alpha, [level], batch, {**ALL, "sentry": 1.0})
    assert all(torch.equal(with_mask[name], without[name]) for name in without)


@pytest.mark.parametrize("size", [64, 16, 4])
def test_sentries_have_no_gradient_at_unknown_pixels(size):
    known = half_known()
    batch = batch_of(known)
    level = torch.rand(2, 1, size, size, requires_grad=True)
    loss_values(torch.rand(known.shape), [level], batch, {"sentry": 1.0})["sentry"].backward()
    assert not level.grad[0, :, :, : size // 2].any()
    assert level.grad[0, :, :, size // 2 :].all()


def test_the_adversarial_loss_has_no_gradient_at_unknown_pixels():
    torch.manual_seed(0)
    known = half_known()
    batch, alpha = batch_of(known), random_alpha(known.shape)
    masked, _ = ignore_unknown(alpha, batch["alpha"], known > 0)
    Adversary(TrainingConfig(), CPU).generator_loss(batch["image"], masked).backward()
    assert not alpha.grad[known == 0].any() and alpha.grad[known > 0].any()


class Watched(torch.nn.Module):
    """A network that notes the gradient of its alpha."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        self.gradients: list[torch.Tensor] = []

    def forward(self, *inputs):
        alpha, intermediate = self.network(*inputs)
        alpha.register_hook(self.gradients.append)
        return alpha, intermediate


def test_a_step_learns_nothing_from_unknown_pixels():
    config = TrainingConfig(
        network={"name": "matte", "encoder": SMALL_ENCODER},
        batch_size=2,
        loss={**ALL, "sentry": 1.0, "adversarial": 0.1},
        guided=1.0,
    )
    state = build_state(config, CPU, StartOptions(pretrained=False))
    model = Watched(state.network)
    known = half_known()
    values = training_step(
        state, model, iter([batch_of(known)]), config, Stop(never_asked, CPU), config.loss
    )
    assert {*LOSSES, "sentry", "adversarial", "discriminator", "total"} == set(values)
    (gradient,) = model.gradients
    assert not gradient[known == 0].any() and gradient[known > 0].any()
    assert state.step == 1
