"""A resumed run does what its settings say, or refuses them by name."""

from __future__ import annotations

import shutil
from unittest import mock

import pytest
import torch
from training_material import FAST, PLAIN, SMALL_ENCODER, log_of, matte

from mattecli.core.training import run_files
from mattecli.core.training.checkpoint import load_checkpoint
from mattecli.core.training.config import load_config
from mattecli.core.training.optimization import build_optimizer, learning_rate, set_rates

RECIPE = f"""
log_every = 1
warmup = 2
lr = 1e-3
ema = 0.5
[network]
name = "hattmatting"
encoder = "{SMALL_ENCODER}"
pyramid_channels = 16
cue_channels = [16]
[loss]
l1 = 1.0
"""


@pytest.fixture(scope="module")
def paused(data, tmp_path_factory):
    """A run of six steps that ended after three, and its recipe."""
    folder = tmp_path_factory.mktemp("paused")
    recipe, run = folder / "recipe.toml", folder / "run"
    recipe.write_text(RECIPE)
    code, error = matte(
        *("train", data / "pairs", "--recipe", recipe, "--out", run, "--steps", 3, *FAST)
    )
    assert code == 0, error
    return recipe, run


@pytest.fixture
def run(paused, tmp_path):
    """A copy of that run."""
    return shutil.copytree(paused[1], tmp_path / "run")


def resume(run, *arguments):
    code, error = matte("train", "--out", run, "--resume", *PLAIN, *arguments)
    return code, " ".join(error.split())


def test_a_new_learning_rate_is_applied_and_said(run):
    code, said = resume(run, "--steps", 6, "--lr", 5e-4)
    assert code == 0, said
    assert "goes on from step 3 of 6; changed: steps 3 -> 6; lr 0.001 -> 0.0005" in said
    config = load_config(str(run / "config.toml"))
    assert (config.lr, config.steps) == (5e-4, 6)
    rates = [line["lr"] for line in log_of(run)]
    assert rates[3:] == pytest.approx([learning_rate(config, step) for step in (3, 4, 5)], rel=1e-5)
    assert load_checkpoint(run / "last/checkpoint.pt")["settings"]["lr"] == 5e-4


def test_settings_are_those_of_the_checkpoint_whatever_config_toml_was_made_to_say(run):
    path = run / "config.toml"
    path.write_text(path.read_text().replace("weight_decay = 0.01", "weight_decay = 0.02"))
    code, said = resume(run, "--steps", 4)
    assert code == 0 and "changed: steps 3 -> 4; weight_decay 0.01 -> 0.02" in said


def test_a_run_with_nothing_changed_says_only_where_it_goes_on(run):
    code, said = resume(run)
    assert code == 0 and "goes on from step 3 of 3" in said and "changed" not in said


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (["--seed", 5], "seed (0 in the run, 5 asked for)"),
        (["--batch-size", 4], "batch_size (2 in the run, 4 asked for)"),
        (["--crop-size", 64], "crop_size (32 in the run, 64 asked for)"),
        (["--encoder", "resnet18"], f"network.encoder ({SMALL_ENCODER} in the run, resnet18 asked"),
        (
            ["--no-spatial-attention"],
            "network.spatial_attention (True in the run, False asked for)",
        ),
        (["--freeze", "aspp"], "freeze (none in the run, aspp asked for)"),
        (["--loss", "sentry=0.4"], "loss sentry (0 in the run, 0.4 asked for)"),
        (["--loss", "adversarial=0.1"], "loss adversarial (0 in the run, 0.1 asked for)"),
    ],
)
def test_what_cannot_change_is_refused_by_name_and_nothing_is_touched(run, arguments, refused):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, said = resume(run, *arguments)
    assert code == 1 and f"--resume cannot change {refused}" in said
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (["--start-from", "default", "--steps", 6], "leave --start-from out"),
        (["--pretrained", "--encoder-weights", __file__], "leave --encoder-weights out"),
        (["--steps", 2], "the run is at step 3 already: --steps must be 3 or more"),
    ],
)
def test_what_a_run_that_goes_on_cannot_take_is_refused(run, arguments, refused):
    before = (run / "config.toml").read_bytes()
    code, said = resume(run, *arguments)
    assert code == 1 and refused in said
    assert (run / "config.toml").read_bytes() == before


def test_another_discriminator_is_refused(run, tmp_path):
    changed = tmp_path / "changed.toml"
    changed.write_text(
        f"gan_channels = 16\n{(run / 'config.toml').read_text()}".replace("gan_channels = 64\n", "")
    )
    shutil.copy(changed, run / "config.toml")
    code, said = resume(run)
    assert code == 1
    assert "--resume cannot change gan_channels (64 in the run, 16 asked for)" in said


def test_other_files_would_come_in_another_order_and_are_refused(data, run, tmp_path):
    moved = shutil.copytree(data / "pairs", tmp_path / "moved/pairs")
    code, said = resume(run, moved, "--steps", 4)
    assert code == 0 and f"data moved to {moved}" in said
    for kind in ("image", "alpha"):
        (moved / kind / "5.png").unlink()
    code, said = resume(run, "--steps", 5)
    assert code == 1 and "files were added, removed or renamed" in said


def test_rates_are_a_function_of_settings_and_step():
    config = load_config("default", steps=100)
    network = torch.nn.ModuleDict(
        {"encoder": torch.nn.Conv2d(3, 4, 1), "head": torch.nn.Conv2d(4, 1, 1)}
    )
    optimizer = build_optimizer(network, config)
    config.warmup = 0
    for step, rate in ((0, 1e-3), (50, 5e-4), (100, 0.0)):
        set_rates(optimizer, config, step)
        rates = {group["encoder"]: group["lr"] for group in optimizer.param_groups}
        assert rates == {True: pytest.approx(0.3 * rate), False: pytest.approx(rate)}
        decays = {group["decayed"]: group["weight_decay"] for group in optimizer.param_groups}
        assert decays == {True: 1e-2, False: 0.0}
    config.warmup = 10
    assert learning_rate(config, 0) == pytest.approx(1e-4)


def test_a_checkpoint_of_an_earlier_version_goes_on(run):
    path = run / "last/checkpoint.pt"
    stored = load_checkpoint(path)
    for name in ("settings", "files", "validated"):
        del stored[name]
    stored["schedule"] = {"last_epoch": 3}
    for group in stored["optimizer"]["param_groups"]:
        del group["encoder"], group["decayed"]
        group["initial_lr"] = 1.0
    torch.save(stored, path)
    code, said = resume(run, "--steps", 5)
    assert code == 0 and "goes on from step 3 of 5" in said
    assert [line["step"] for line in log_of(run)] == [1, 2, 3, 4, 5]


def test_a_loss_that_is_not_finite_at_step_1_leaves_a_checkpoint_of_step_0(data, paused, tmp_path):
    spoiled = mock.patch(
        "mattecli.core.training.step.weighted_sum", lambda values, _: values["l1"] * float("nan")
    )
    run = tmp_path / "run"
    arguments = ["train", data / "pairs", "--recipe", paused[0], "--out", run, "--steps", 2, *FAST]
    with spoiled:
        code, error = matte(*arguments)
    assert code == 1 and "not finite at step 1; the last good checkpoint stays" in error
    assert load_checkpoint(run / "last/checkpoint.pt")["step"] == 0
    code, error = matte(*arguments, "--resume", "--lr", 1e-5)
    assert code == 0 and "lr 0.001 -> 1e-05" in error
    assert log_of(run)[-1]["step"] == 2


def test_a_run_that_never_came_to_a_step_may_begin_anew(data, paused, tmp_path):
    run = tmp_path / "run"
    arguments = ["train", data / "pairs", "--recipe", paused[0], "--out", run, "--steps", 1, *FAST]
    with mock.patch(
        "mattecli.core.training.step.weighted_sum", lambda values, _: values["l1"] * float("nan")
    ):
        assert matte(*arguments)[0] == 1
    assert matte(*arguments)[0] == 0
    code, error = matte(*arguments)
    assert code == 1 and "already holds a run" in error


def test_room_for_the_whole_run_is_looked_for_before_the_first_step(data, paused, tmp_path):
    run = tmp_path / "run"
    arguments = ["train", data / "pairs", "--recipe", paused[0], "--out", run, "--steps", 1, *FAST]
    with mock.patch.object(run_files.shutil, "disk_usage", return_value=mock.Mock(free=2**20)):
        code, error = matte(*arguments)
    said = " ".join(error.split())
    assert code == 1 and "1 MiB free, the checkpoints and weights of this run need" in said
    assert not (run / "log.jsonl").exists() and not (run / "last").exists()


def test_the_room_that_is_looked_for_is_what_a_run_takes(paused):
    run = paused[1]
    checkpoint = (run / "last/checkpoint.pt").stat().st_size
    weights = (run / "last.safetensors").stat().st_size
    with mock.patch.object(run_files.shutil, "disk_usage", return_value=mock.Mock(free=0)):
        code, error = resume(run)
    assert code == 1
    asked = int(error.partition("need ")[2].split()[0]) * 2**20
    # Names and headers are small beside a real network, not beside this one.
    assert 0.5 * (2 * checkpoint + 3 * weights) < asked < 1.5 * (2 * checkpoint + 3 * weights)
