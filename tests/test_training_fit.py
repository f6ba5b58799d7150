"""Losses, networks and recipes that do not fit are errors before the first step."""

from __future__ import annotations

import pytest
import torch
from training_material import FAST, PLAIN, SMALL_ENCODER, log_of, matte

from mattecli.core.network.building import build_network
from mattecli.core.network.networks import network_config
from mattecli.core.network.weights import load_network
from mattecli.core.training.config import load_config
from mattecli.core.training.needs import measure_needs, note_of_needs
from mattecli.core.training.options import StartOptions
from mattecli.core.training.processes import Processes
from mattecli.core.training.state import build_state

ALONE = Processes(0, 1, torch.device("cpu"))
PLUS_PLUS = f"""
[network]
name = "hattmatting++"
encoder = "{SMALL_ENCODER}"
pyramid_channels = 16
cue_channels = [16, 16]
"""
NOTHING_ELSE = "guided = 0.0\nlog_every = 1\n"


def attempt(data, run, text, *arguments):
    recipe = run.parent / "recipe.toml"
    recipe.write_text(text)
    code, error = matte(
        *("train", data / "pairs", "--recipe", recipe, "--out", run, "--steps", 1, *FAST),
        *arguments,
    )
    return code, " ".join(error.split())


def unboxed(error):
    """Give what Typer says in a box on one line."""
    return " ".join(error.replace("│", " ").split())


def test_plus_plus_without_its_sentries_is_refused(data, tmp_path):
    code, error = attempt(data, tmp_path / "run", PLUS_PLUS + "[loss]\nl1 = 1.0\n")
    assert code == 1 and "trained with sentry supervision" in error
    assert "--recipe hattmatting++" in error and "--loss sentry=0.4" in error
    assert not (tmp_path / "run").exists()
    without = PLUS_PLUS + "sentry = false\n[loss]\nl1 = 1.0\n"
    assert attempt(data, tmp_path / "run", without)[0] == 0


def test_a_sentry_loss_that_no_head_serves_is_refused(data, tmp_path):
    text = PLUS_PLUS + "[loss]\nl1 = 1.0\nsentry = 0.4\n"
    code, error = attempt(data, tmp_path / "run", text, "--no-low-level")
    assert code == 1 and "--loss sentry=0" in error
    text = text.replace("[loss]", "sentry = false\n[loss]")
    code, error = attempt(data, tmp_path / "run", text)
    assert code == 1 and "network's sentry = false" in error


def test_the_paper_recipe_does_not_train_late_fusion(data, tmp_path):
    code, error = matte(
        *("train", data / "pairs", "--recipe", "hattmatting", "--network", "late-fusion"),
        *("--encoder", SMALL_ENCODER, "--out", tmp_path / "run", *FAST),
    )
    assert code == 1 and "--recipe late-fusion" in " ".join(error.split())


@pytest.mark.parametrize("losses", ["[loss]", "[first_epoch_loss]\nl1 = 1.0", "[loss]\nl1 = 0.0"])
def test_no_loss_at_all_is_refused(data, tmp_path, losses):
    text = f'[network]\nname = "hattmatting"\nencoder = "{SMALL_ENCODER}"\n{losses}\n'
    code, error = attempt(data, tmp_path / "run", text)
    assert code == 1 and "no loss has a weight" in error


def test_composition_on_pairs_alone_is_refused_where_it_is_asked_for(data, tmp_path):
    code, error = matte(
        *("train", data / "pairs", "--loss", "composition=1", "--out", tmp_path / "run", *FAST),
        *("--encoder", SMALL_ENCODER),
    )
    assert code == 1 and "--loss composition=0" in error and not (tmp_path / "run").exists()


def test_composition_of_the_default_recipe_is_left_out_where_nothing_is_composed(data, tmp_path):
    run = tmp_path / "run"
    arguments = ["--encoder", SMALL_ENCODER, "--steps", 1, "--out", run, *FAST]
    code, error = matte("train", data / "pairs", *arguments)
    assert code == 0 and "composition" in error and "left out" in error
    assert "composition" not in log_of(run)[0]
    assert "composition" not in load_config(str(run / "config.toml")).loss


def test_composition_counts_where_pairs_are_recomposed(data, tmp_path):
    run = tmp_path / "run"
    text = f'log_every = 1\n[network]\nname = "hattmatting"\nencoder = "{SMALL_ENCODER}"\n'
    text += "[loss]\ncomposition = 1.0\n[mixture]\nrecompose = 1.0\nempty = 0.0\n"
    code, error = attempt(data, run, text, "--backgrounds", data / "backgrounds", "--steps", 4)
    assert code == 0, error
    assert any(line["composition"] > 0 for line in log_of(run))


def test_encoder_weights_are_opened_or_refused(data, tmp_path):
    missing = tmp_path / "encoder.safetensors"
    arguments = ["train", data / "pairs", "--out", tmp_path / "run", "--encoder-weights", missing]
    size = ["--batch-size=2", "--crop-size=32", "--device=cpu"]
    code, error = matte(*arguments, *size, "--no-pretrained")
    assert code == 2 and "--no-pretrained contradict" in unboxed(error)
    code, error = matte(*arguments, *size, "--start-from", "default")
    assert code == 2 and "leave --encoder-weights out" in unboxed(error)
    code, error = matte(*arguments, *size)
    assert code == 1 and "encoder.safetensors" in error


@pytest.mark.parametrize(
    "name", ["hattmatting", "hattmatting-stable", "hattmatting++", "late-fusion"]
)
def test_the_recipes_of_papers_build_and_serve_all_their_losses(data, tmp_path, name):
    run = tmp_path / "run"
    channels = "cue_channels = [16, 16, 8, 8]\ndetail_channels = 4" if name == "late-fusion" else ""
    config = load_config(name)
    config.network |= {"encoder": SMALL_ENCODER}
    config.save(tmp_path / "small.toml")
    text = (tmp_path / "small.toml").read_text().replace("log_every = 10", "log_every = 1")
    text = text.replace("[network]", f"[network]\n{channels}")
    code, error = attempt(data, run, text, "--crop-size", 64)
    assert code == 0, error
    (line,) = (line for line in log_of(run) if "total" in line)
    assert set(config.loss) <= set(line)
    if config.uses("sentry"):
        assert load_network(run / "last.safetensors").config.sentry and line["sentry"] > 0


def test_late_fusion_supervises_both_decoders(data):
    config = load_config("late-fusion")
    config.network |= {"encoder": SMALL_ENCODER}
    network = build_state(config, ALONE, StartOptions(pretrained=False)).network.train()
    _, sides = network(torch.rand(2, 3, 64, 64))
    for side, part, other in zip(
        sides, ("foreground", "background"), ("background", "foreground"), strict=True
    ):
        network.zero_grad(set_to_none=True)
        side.mean().backward(retain_graph=True)
        reached = {
            name.partition(".")[0] for name, p in network.named_parameters() if p.grad is not None
        }
        assert part in reached and other not in reached


def test_without_the_pooling_of_the_stem_everything_is_twice_as_fine():
    configs = [
        network_config("hattmatting", encoder="resnet18", stem_pool=pool) for pool in (True, False)
    ]
    assert [config.cue_strides for config in configs] == [(4,), (2,)]
    assert [config.output_stride for config in configs] == [16, 8]
    features = []
    for config in configs:
        network = build_network(config).train()
        image = torch.rand(2, 3, 64, 96)
        found = network.encoder(image)
        features.append(found)
        assert all(64 // stride == value.shape[2] for stride, value in found.items())
        alpha, _ = network(image)
        assert alpha.shape == (2, 1, 64, 96)
        alpha.mean().backward()
        weights = dict(network.named_parameters())
        assert all(weight.grad is not None for weight in weights.values())
        assert weights["encoder.body.conv1.weight"].grad.abs().sum() > 0
    # Block 1 and the deepest one, of which each position sees the same as before.
    assert [max(found) for found in features] == [16, 8]
    assert features[1][2].shape[1] == features[0][4].shape[1] == 64


def test_weights_of_both_readings_are_told_apart_by_their_header(tmp_path):
    from mattecli.core.network.weights import read_header, save_network

    config = network_config("hattmatting", encoder="resnet18", stem_pool=False)
    save_network(build_network(config), tmp_path / "w.safetensors", provenance={})
    assert read_header(tmp_path / "w.safetensors")[0].stem_pool is False
    again = load_network(tmp_path / "w.safetensors")
    assert isinstance(again.encoder.body.maxpool, torch.nn.Identity)


def test_an_encoder_without_such_a_pooling_says_so(data, tmp_path):
    text = f'[network]\nname = "hattmatting"\nencoder = "{SMALL_ENCODER}"\nstem_pool = false\n'
    code, error = attempt(data, tmp_path / "run", text + "[loss]\nl1 = 1.0\n")
    assert code == 1 and "no pooling in its stem" in error


def test_what_a_heavy_network_needs_on_a_cpu_is_said_and_a_light_one_just_starts(monkeypatch):
    config = load_config("hattmatting", steps=1000)
    config.network |= {"encoder": "resnet18"}
    state = build_state(config, ALONE, StartOptions(pretrained=False))
    monkeypatch.setattr("mattecli.core.training.needs._LIGHT", 1e9)
    assert note_of_needs(state, config, 1) is None
    needs = measure_needs(state, config, 1)
    # Four times the pixels are four times the work, give or take what another pass takes.
    larger = load_config("hattmatting", steps=1000, crop_size=1024)
    assert measure_needs(state, larger, 1).memory_gb > 2.5 * needs.memory_gb
    assert needs.steps == 1000 and 0.5 < needs.memory_gb < 20
    monkeypatch.setattr("mattecli.core.training.needs._LIGHT", 1e6)
    monkeypatch.setattr("mattecli.core.training.needs._DAY", 0)
    note = note_of_needs(state, config, 1)
    assert "GB of memory" in note and "s a step" in note and "for its 1000 steps" in note
    assert "--recipe default" in note


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_sentries_may_begin_after_the_first_epoch(data, tmp_path, optimizer):
    recipe = tmp_path / "late.toml"
    recipe.write_text(
        f'optimizer = "{optimizer}"\nepochs = 2\nlog_every = 1\n[network]\nname = "matte"\n'
        f'encoder = "{SMALL_ENCODER}"\n[loss]\nl1 = 1.0\nsentry = 0.4\n'
        "[first_epoch_loss]\nsentry = 0.0\n"
    )
    command = ["train", data / "pairs", "--recipe", recipe, "--out", tmp_path / "run", *PLAIN]
    code, said = matte(*command, "--batch-size", 4, "--crop-size", 64)
    assert code == 0, said
    logged = [line.get("sentry") for line in log_of(tmp_path / "run") if "l1" in line]
    assert logged[0] is None and logged[-1] > 0
