"""What the paper trains with, and training over processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from child_processes import MATTE, Launched
from training_material import PLAIN, SMALL_ENCODER, log_of, matte

from mattecli.core.dataset import augmentation
from mattecli.core.network.weights import load_network
from mattecli.core.training.adversary import Adversary, adversarial_loss
from mattecli.core.training.batches import build_dataset
from mattecli.core.training.config import TrainingConfig, load_config
from mattecli.core.training.processes import Processes

ALONE = Processes(0, 1, torch.device("cpu"))
LITTLE = [f"--encoder={SMALL_ENCODER}", *PLAIN]

PAPER = """
crops = [40, 48]
crop_size = 64
batch_size = 4
log_every = 1
epochs = 2
[network]
name = "hattmatting"
pyramid_channels = 16
cue_channels = [16]
[loss]
adversarial = 0.05
mse = 1.0
ssim = 0.025
[first_epoch_loss]
ssim = 0.1
"""


@pytest.fixture
def photos():
    torch.manual_seed(0)
    image = torch.rand(2, 3, 64, 64)
    truth = (image.mean(1, keepdim=True) > 0.5).float()
    return image, truth


@pytest.mark.parametrize("objective", ["lsgan", "bce", "minimax"])
def test_the_discriminator_learns_to_tell_real_mattes_from_generated(photos, objective):
    image, truth = photos
    false = torch.full_like(truth, 0.5)
    adversary = Adversary(TrainingConfig(gan=objective), ALONE)
    first = adversary.learn(image, false, truth, 1.0)
    adversary.step()
    for _ in range(10):
        last = adversary.learn(image, false, truth, 1.0)
        adversary.step()
    assert last < 0.7 * first
    with torch.no_grad():
        assert (
            adversary.discriminator(image, truth).mean()
            > adversary.discriminator(image, false).mean()
        )
    assert adversary.generator_loss(image, truth) < adversary.generator_loss(image, false)


@pytest.mark.parametrize("objective", ["lsgan", "bce", "minimax"])
def test_the_network_is_pushed_towards_what_the_discriminator_takes_for_real(photos, objective):
    image, truth = photos
    adversary = Adversary(TrainingConfig(gan=objective), ALONE)
    alpha = torch.full_like(truth, 0.5).requires_grad_()
    before = adversary.generator_loss(image, alpha)
    before.backward()
    assert all(p.grad is None for p in adversary.discriminator.parameters()), (
        "the discriminator stays"
    )
    step = 1e-2 * alpha.grad / alpha.grad.abs().max()
    assert adversary.generator_loss(image, (alpha - step).detach()) < before


def test_the_objectives_are_their_formulas():
    logits = torch.tensor([0.3, -1.2])
    assert adversarial_loss(logits, True, "lsgan") == pytest.approx((0.7**2 + 2.2**2) / 2)
    expected = np.log1p(np.exp([0.3, -1.2])).mean()
    assert adversarial_loss(logits, False, "bce") == pytest.approx(expected)


def test_the_papers_recipe_has_the_papers_figures():
    config = load_config("hattmatting")
    assert (config.optimizer, config.lr, config.weight_decay) == ("sgd", 0.007, 5e-4)
    assert (config.schedule, config.epochs, config.encoder_lr) == ("poly", 20, 1)
    assert (config.crops, config.crop_size) == ([512, 640, 800], 512)
    assert config.network == {"name": "hattmatting", "encoder": "resnext101_32x8d.tv_in1k"}
    assert (config.gan, config.clip, config.ema, config.precision) == ("minimax", 0, 0, "fp32")
    assert config.loss_at(9, epoch=10) == {"adversarial": 0.05, "mse": 1.0, "ssim": 0.1}
    assert config.loss_at(10, epoch=10) == {"adversarial": 0.05, "mse": 1.0, "ssim": 0.025}
    asked = load_config("hattmatting", loss={"ssim": 0.5})
    assert asked.loss_at(0, epoch=10)["ssim"] == 0.5, "what is asked for holds from the start"


def test_adversarial_training_in_epochs_logs_resumes_and_predicts(data, tmp_path):
    recipe, run = tmp_path / "paper.toml", tmp_path / "run"
    recipe.write_text(PAPER)
    arguments = ["train", data / "pairs", "--recipe", recipe, "--out", run, *LITTLE]
    assert matte(*arguments)[0] == 0
    lines = log_of(run)
    assert len(lines) == 4, "two epochs of six photos are four steps of four"
    assert {"adversarial", "discriminator", "mse", "ssim", "total"} <= set(lines[0])
    shares = {"mse": 1.0, "adversarial": 0.05}
    for line, ssim in zip(lines, (0.1, 0.1, 0.025, 0.025), strict=True):
        total = sum(line[name] * share for name, share in shares.items()) + ssim * line["ssim"]
        assert line["total"] == pytest.approx(total, rel=1e-4)

    code, error = matte(*arguments, "--resume", "--loss", "adversarial=0")
    assert (
        code == 1
        and "cannot change loss adversarial (0.05 in the run, 0 asked for)"
        in " ".join(error.split())
    )
    assert matte(*arguments, "--resume", "--epochs", 3)[0] == 0
    assert [line["step"] for line in log_of(run)] == [1, 2, 3, 4, 5, 6]


def test_adversarial_training_improves_validation(data, tmp_path):
    recipe, run = tmp_path / "r.toml", tmp_path / "run"
    changes = {
        "crops = [40, 48]\n": "",
        "epochs = 2": "validate_every = 10",
        "size = 64": "size = 32",
    }
    text = PAPER
    for old, new in changes.items():
        text = text.replace(old, new)
    recipe.write_text("warmup = 0\nema = 0.8\n" + text)
    arguments = ["train", data / "pairs", "--val", data / "pairs", "--recipe", recipe, "--out", run]
    code, error = matte(*arguments, "--steps", 40, "--predict-size", 32, "--lr", 3e-3, *LITTLE)
    assert code == 0, error
    judged = [line["val_sad"] for line in log_of(run) if "val_sad" in line]
    assert len(judged) == 4 and judged[-1] < 0.7 * judged[0]


def test_square_crops_change_nothing_but_size_and_side():
    rng = np.random.default_rng(0)
    ramp = np.dstack([np.tile(np.arange(200, dtype=np.uint8), (100, 1))] * 4)
    flipped = 0
    for _ in range(20):
        crop = augmentation.square_crop(ramp, 64, 64, rng)
        assert crop.shape == (64, 64, 4)
        flipped += crop[0, 0, 0] > crop[0, -1, 0]
        assert abs(int(crop[0, 0, 0]) - int(crop[0, -1, 0])) == 63
    assert 0 < flipped < 20
    assert augmentation.square_crop(ramp, 128, 64, rng).shape == (64, 64, 4)


def test_late_fusion_trains_and_predicts_like_the_others(data, tmp_path):
    recipe, run = tmp_path / "late.toml", tmp_path / "run"
    recipe.write_text(
        '[network]\nname = "late-fusion"\ncue_channels = [16, 16, 8, 8]\ndetail_channels = 4\n'
        "[loss]\nl1 = 1.0\nsentry = 1.0\n"
    )
    arguments = ["--recipe", recipe, "--steps", 2, "--batch-size", 2, "--crop-size", 64, *LITTLE]
    code, error = matte("train", data / "pairs", "--out", run, *arguments)
    assert code == 0, error
    assert {"l1", "sentry"} <= set(log_of(run)[0])
    code, error = matte(
        *("predict", data / "pairs/image", tmp_path / "cut", "--quiet"),
        *("--weights", run / "last.safetensors", "--size", 64, "--save", "alpha"),
    )
    assert code == 0, error
    assert len(list((tmp_path / "cut").rglob("*.png"))) == 6
    code, error = matte("evaluate", tmp_path / "cut", data / "pairs/alpha", "--csv", tmp_path / "f")
    assert code == 0 and len((tmp_path / "f").read_text().splitlines()) == 7, error


def test_tensorboard_gets_scalars_and_the_same_photos_at_every_validation(data, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = tmp_path / "r.toml"
    recipe.write_text(
        'log_every = 1\nvalidate_every = 1\n[network]\nname = "matte"\n[loss]\nl1 = 1'
    )
    run = tmp_path / "run"
    arguments = ["--recipe", recipe, "--steps", 2, "--batch-size", 2, "--crop-size", 32, *PLAIN]
    arguments += ["--val", data / "pairs", "--tensorboard", "--predict-size", 32]
    code, error = matte("train", data / "pairs", "--out", run, *arguments)
    assert code == 0, error
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    logged = [line for line in log_of(run) if "l1" in line]
    assert [e.value for e in events.Scalars("l1")] == pytest.approx([x["l1"] for x in logged])
    assert len(events.Scalars("validation/sad")) == 2
    assert [e.step for e in events.Images("validation/0")] == [1, 2]


SHARED = f"""
optimizer = "sgd"
lr = 1.0
encoder_lr = 1.0
weight_decay = 0.0
warmup = 0
clip = 0.0
ema = 0.0
freeze_batch_norm = true
log_every = 1
[network]
name = "hattmatting++"
encoder = "{SMALL_ENCODER}"
pyramid_channels = 16
cue_channels = [16, 16]
[loss]
l1 = 1.0
ssim = 0.1
sentry = 0.4
adversarial = 0.05
composition = 1.0
[mixture]
recompose = 0.5
"""


def test_composition_is_a_mean_over_the_composites_of_a_batch(data, tmp_path):
    recipe = tmp_path / "shared.toml"
    # Weights stay as they are, so that what is written is what the loss was computed with.
    recipe.write_text(SHARED.replace("lr = 1.0", "lr = 1e-20"))
    arguments = ["train", data / "pairs", "--recipe", recipe, "--backgrounds", data / "backgrounds"]
    arguments += ["--steps", 1, "--batch-size", 8, "--accumulate", 4, "--crop-size", 64, *PLAIN]
    assert matte(*arguments, "--out", tmp_path / "run", "--augment-on", "host")[0] == 0
    samples = build_dataset(load_config(str(tmp_path / "run/config.toml")), None)
    composites = [s for s in (samples[number] for number in range(8)) if s["composed"]]
    assert 1 < len(composites) < 8
    network = load_network(tmp_path / "run/last.safetensors")
    expected = []
    for sample in composites:
        with torch.no_grad():
            error = network(sample["image"][None])[0] - sample["alpha"]
        colors = (sample["foreground"] - sample["background"]).abs()
        expected.append(float((error.abs() * colors).mean()))
    logged = log_of(tmp_path / "run")[0]["composition"]
    assert logged == pytest.approx(np.mean(expected), rel=1e-4)


def test_two_processes_and_two_parts_come_to_the_gradients_of_one(data, tmp_path):
    recipe = tmp_path / "shared.toml"
    recipe.write_text(SHARED)
    arguments = ["train", data / "pairs", "--recipe", recipe, "--steps", 1, "--val", data / "pairs"]
    arguments += ["--backgrounds", data / "backgrounds"]
    arguments += ["--batch-size", 4, "--crop-size", 64, "--predict-size", 32, *PLAIN]
    assert matte(*arguments, "--out", tmp_path / "one")[0] == 0
    assert matte(*arguments, "--out", tmp_path / "parts", "--accumulate", 2)[0] == 0
    launched = Launched(MATTE, *arguments, "--out", tmp_path / "two", said=tmp_path / "said")
    code, said = launched.wait()
    assert code == 0, said
    assert said.count("weights:") == 1, "only the first process speaks"

    def result(name):
        stored = torch.load(tmp_path / name / "last/checkpoint.pt", weights_only=True)
        return stored["network"], log_of(tmp_path / name)

    weights, lines = result("one")
    for name in ("parts", "two"):
        other, said = result(name)
        for key, value in weights.items():
            # At learning rate 1 weights differ by as much as gradients do.
            assert torch.allclose(value, other[key], atol=1e-5), key
        assert [line["step"] for line in said] == [1, 1], "only the first process writes"
        assert said[0]["total"] == pytest.approx(lines[0]["total"], abs=1e-5)
        assert said[1]["val_sad"] == pytest.approx(lines[1]["val_sad"], rel=1e-3)
