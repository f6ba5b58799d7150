"""Colors varied on the device, against what the samples' own augmentation does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from training_material import FAST, SMALL_ENCODER, log_of, matte

from mattecli.core.dataset import augmentation
from mattecli.core.training import device_augmentation
from mattecli.core.training.device_augmentation import augment


def batch_of(count, side=24):
    generator = torch.Generator().manual_seed(3)
    layers = {
        name: torch.rand((count, channels, side, side), generator=generator)
        for name, channels in {"foreground": 3, "background": 3, "alpha": 1}.items()
    }
    alpha = layers["alpha"]
    image = alpha * layers["foreground"] + (1 - alpha) * layers["background"]
    return {**layers, "image": image, "composed": torch.ones(count)}


def test_composites_stay_composites_of_their_layers():
    batch = batch_of(64)
    batch["composed"][::4] = 0
    before = {name: value.clone() for name, value in batch.items()}
    varied = augment(batch, torch.Generator().manual_seed(1))
    assert all(torch.equal(batch[name], before[name]) for name in batch), "the old one stays"
    assert torch.equal(varied["alpha"], batch["alpha"])
    assert varied["image"].min() >= 0 and varied["image"].max() <= 1
    known = varied["composed"] > 0
    # Three in five are neither grey, dim, soft nor noisy.
    assert 0.3 < known.float().mean() / 0.75 < 0.7
    again = varied["alpha"] * varied["foreground"] + (1 - varied["alpha"]) * varied["background"]
    assert torch.allclose(again[known], varied["image"][known], atol=1e-5)
    assert (varied["image"] - batch["image"]).abs().mean() > 0.02


def test_draws_are_those_of_the_generator():
    batch = batch_of(4)
    one, same, other = (
        augment(batch, torch.Generator().manual_seed(seed))["image"] for seed in (1, 1, 2)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_colors_vary_as_much_as_they_do_in_samples():
    image = np.full((8, 8, 3), (0.6, 0.4, 0.3), np.float32)
    rng = np.random.default_rng(0)
    theirs = np.array([augmentation.jitter_color(image, rng)[0, 0] for _ in range(3000)])
    images = torch.from_numpy(image).permute(2, 0, 1).expand(3000, 3, 8, 8)
    generator = torch.Generator().manual_seed(0)
    ours = device_augmentation._jitter(images, 1.0, generator)[:, :, 0, 0].numpy()
    assert ours.mean(axis=0) == pytest.approx(theirs.mean(axis=0), abs=0.01)
    assert ours.std(axis=0) == pytest.approx(theirs.std(axis=0), rel=0.08)


def test_blur_is_opencvs():
    image = torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.5, 1.2]).view(-1, 1, 1, 1)
    blurred = device_augmentation._blur(image, sigma)
    for number, one in enumerate((0.5, 1.2)):
        picture = image[number].permute(1, 2, 0).numpy()
        expected = cv2.GaussianBlur(picture, (9, 9), one, borderType=cv2.BORDER_REFLECT_101)
        assert np.allclose(blurred[number].permute(1, 2, 0).numpy(), expected, atol=1e-4)


def test_training_varies_colors_on_the_device_and_no_longer_in_the_samples(data, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'log_every = 1\n[network]\nname = "hattmatting"\nencoder = "{SMALL_ENCODER}"\n'
        "[loss]\nl1 = 1.0\ncomposition = 1.0\n"
    )
    totals = {}
    for place in ("host", "device"):
        code, error = matte(
            *("train", data / "cutouts", "--backgrounds", data / "backgrounds", "--steps", 2),
            *("--recipe", recipe, "--out", tmp_path / place, "--augment-on", place, *FAST),
        )
        assert code == 0, error
        totals[place] = [line["total"] for line in log_of(tmp_path / place)]
    assert totals["host"] != totals["device"]
    code, error = matte(
        *("train", data / "pairs", "--recipe", "hattmatting", "--augment-on", "device"),
        *("--out", tmp_path / "no", *FAST),
    )
    assert code == 1 and "with crops no colors are varied" in " ".join(error.split())
