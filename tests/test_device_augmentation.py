"""Colors varied on the device, against what the samples' own augmentation does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from skimage.data import astronaut
from training_material import FAST, SMALL_ENCODER, log_of, matte

from mattecli.core.dataset import augmentation
from mattecli.core.dataset.sources import find_backgrounds, find_sources
from mattecli.core.dataset.training_set import TrainingSet
from mattecli.core.training import device_augmentation
from mattecli.core.training.device_augmentation import augment


def batch_of(count, side=32):
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
    assert torch.equal(varied["composed"], batch["composed"])
    again = varied["alpha"] * varied["foreground"] + (1 - varied["alpha"]) * varied["background"]
    exact = (again - varied["image"]).abs().flatten(1).amax(dim=1) < 1e-5
    # A good third is neither grey, dim, soft, noisy nor was it a JPEG.
    assert 0.2 < exact[batch["composed"] > 0].float().mean() < 0.55
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


@pytest.mark.parametrize("quality", [35, 50, 75, 95])
def test_jpeg_loses_what_libjpegs_does(quality):
    photo = cv2.resize(astronaut(), (256, 224), interpolation=cv2.INTER_AREA)
    image = torch.from_numpy(photo.astype(np.float32) / 255).permute(2, 0, 1)[None]
    ours = device_augmentation._jpeg(image, torch.full((1, 1, 1, 1), float(quality)))
    file = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    theirs = cv2.imdecode(file, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255
    differs = np.abs(ours[0].permute(1, 2, 0).numpy() - theirs).mean()
    lost = np.abs(theirs - photo / np.float32(255)).mean()
    # They smooth colors when they enlarge them, in another way.
    assert differs < 0.005 and differs < 0.5 * lost


def test_samples_for_a_device_are_those_for_the_host_in_bytes(data):
    sources = [*find_sources(data / "pairs"), *find_sources(data / "cutouts")]
    host, device = (
        TrainingSet(sources, find_backgrounds(data / "backgrounds"), sizes=(64,), seed=5)
        for _ in range(2)
    )
    device.varies_colors = False
    kinds = set()
    for number in range(24):
        item = device[number]
        layers = {name: layer for name, layer in item.items() if layer.ndim}
        assert all(layer.dtype == torch.uint8 for layer in layers.values())
        if not item["composed"]:
            assert torch.equal(item["image"], item["foreground"])
        kinds.add(float(item["composed"]))
        # Colors of the host draw from the same generator, but only behind all geometry of a photo.
        if not item["composed"] and not host[number]["composed"] and item["alpha"].any():
            assert torch.equal(host[number]["alpha"], item["alpha"] / 255)
    assert kinds == {0.0, 1.0}
