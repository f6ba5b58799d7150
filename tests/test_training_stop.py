"""Ctrl-C and SIGTERM are obeyed in the middle of a step, and no step is lost or done twice."""

from __future__ import annotations

import contextlib
import json
import time
from unittest import mock

import pytest
import torch
from child_processes import Child
from safetensors import safe_open
from training_material import SMALL_ENCODER, log_of

from mattecli.core.training import saving, stopping
from mattecli.core.training.checkpoint import load_checkpoint
from mattecli.core.training.config import load_config
from mattecli.core.training.options import RunOptions, StartOptions
from mattecli.core.training.trainer import train

RECIPE = f"""
log_every = 1
validate_every = 2
accumulate = 2
batch_size = 4
crop_size = 32
steps = 4
warmup = 0
workers = 0
[network]
name = "hattmatting++"
encoder = "{SMALL_ENCODER}"
pyramid_channels = 16
cue_channels = [16, 16]
predict_size = 32
[loss]
l1 = 1.0
sentry = 0.4
adversarial = 0.05
"""


class StopsAt:
    """Asks to stop when it was looked at so many times; counts them in `looks`."""

    def __init__(self, number=None):
        self.number, self.looks = number, 0

    def __call__(self):
        self.looks += 1
        return self.number is not None and self.looks >= self.number


def run_once(data, recipe, out, asked, *, resume=False):
    config = load_config(str(recipe), data=[str(data / "pairs")], validation=[str(data / "pairs")])
    options = RunOptions(resume=resume, device="cpu", quiet=True)
    start = StartOptions(pretrained=False)
    shutdown = contextlib.nullcontext(asked)
    return train(config, out, start=start, options=options, shutdown=shutdown)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run without interruption: recipe, folder, and how often it looked whether to stop."""
    folder = tmp_path_factory.mktemp("whole")
    recipe = folder / "r.toml"
    recipe.write_text(RECIPE)
    asked = StopsAt()
    run_once(data, recipe, folder / "run", asked)
    return recipe, folder / "run", asked.looks


# In a forward and in a backward pass, in a validation, and shortly before the end.
@pytest.mark.parametrize("share", [0.05, 0.13, 0.42, 0.5, 0.97])
def test_a_run_stopped_anywhere_resumes_to_the_same_result(data, whole, tmp_path, share):
    recipe, expected, looks = whole
    asked = StopsAt(int(share * looks))
    run_once(data, recipe, tmp_path / "run", asked)
    assert asked.looks < looks
    stopped_at = load_checkpoint(tmp_path / "run/last/checkpoint.pt")["step"]
    assert stopped_at == sum("total" in line for line in log_of(tmp_path / "run"))
    run_once(data, recipe, tmp_path / "run", StopsAt(), resume=True)
    same = ("step", "total", "discriminator", "val_sad")
    values = [
        [[line.get(name) for name in same] for line in log_of(run)]
        for run in (expected, tmp_path / "run")
    ]
    assert values[0] == values[1]
    stored = [load_checkpoint(run / "last/checkpoint.pt") for run in (expected, tmp_path / "run")]
    for name, value in stored[0]["network"].items():
        assert torch.equal(value, stored[1]["network"][name]), name
    assert stored[0]["best"] == stored[1]["best"]


def test_where_steps_are_slow_a_stop_finds_the_last_one_saved(data, whole, tmp_path, monkeypatch):
    """A large checkpoint takes longer to write than a stop may, so it is written before."""
    recipe, _, looks = whole
    asked, saved = StopsAt(looks // 2), []
    save_run = saving.save_run

    def save(state, *rest):
        save_run(state, *rest)
        saved.append((state.step, asked.looks))

    monkeypatch.setattr(saving, "save_run", save)
    run_once(data, recipe, tmp_path / "fast", StopsAt())
    assert [step for step, _ in saved] == [0, 4]
    saved.clear()
    monkeypatch.setattr(saving, "_SLOW", 0.0)
    monkeypatch.setattr(saving, "_SAVING", 0.0)
    run_once(data, recipe, tmp_path / "slow", asked)
    steps = [step for step, _ in saved]
    assert sorted(set(steps)) == list(range(steps[-1] + 1)) and 1 < steps[-1] < 4
    assert all(looks < asked.number for _, looks in saved), "nothing is written after the stop"


def step_of_weights(run):
    with safe_open(run / "last.safetensors", "np") as file:
        return json.loads(file.metadata()["provenance"])["step"]


# Seconds of work that a stop may cost, as a multiple of what writing took.
@pytest.mark.parametrize("worth", [0.0, 1e9])
def test_a_stop_leaves_out_what_takes_longer_to_write_than_it_may(
    data, whole, tmp_path, monkeypatch, worth
):
    recipe, expected, looks = whole
    run = tmp_path / "run"
    monkeypatch.setattr(stopping, "WRITING", -1.0)
    monkeypatch.setattr(saving, "_SAVING", worth)
    run_once(data, recipe, run, StopsAt(looks // 2))
    done = max(line["step"] for line in log_of(run))
    assert done in (1, 2, 3)
    # Steps are left out only where they are sooner done again.
    assert load_checkpoint(run / "last/checkpoint.pt")["step"] == (done if worth == 0 else 0)
    assert step_of_weights(run) == 0
    monkeypatch.undo()
    run_once(data, recipe, run, StopsAt(), resume=True)
    stored = [load_checkpoint(folder / "last/checkpoint.pt") for folder in (expected, run)]
    for name, value in stored[0]["network"].items():
        assert torch.equal(value, stored[1]["network"][name]), name
    assert step_of_weights(run) == 4


def test_weights_without_an_average_are_stored_once(data, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text(f"ema = 0.0\n{RECIPE}")
    run_once(data, recipe, tmp_path / "whole", StopsAt())
    stored = load_checkpoint(tmp_path / "whole/last/checkpoint.pt")
    for name, value in stored["network"].items():
        assert stored["average"][name].data_ptr() == value.data_ptr(), name
    # Apart again once they are loaded.
    run_once(data, recipe, tmp_path / "run", StopsAt(800))
    assert 0 < load_checkpoint(tmp_path / "run/last/checkpoint.pt")["step"] < 4
    run_once(data, recipe, tmp_path / "run", StopsAt(), resume=True)
    resumed = load_checkpoint(tmp_path / "run/last/checkpoint.pt")
    assert all(torch.equal(v, resumed["network"][n]) for n, v in stored["network"].items())


def test_a_step_is_looked_into_many_times(whole):
    """So often that at the paper's sizes, where a step takes minutes, it is left in seconds."""
    assert whole[2] / 4 > 200


STOPS_WHILE_IT_WORKS = """
import os, signal
from mattecli.cli import app
from mattecli.core.network.aspp import ASPP
forward, calls = ASPP.forward, []
def slow(self, features):
    calls.append(None)
    if len(calls) == 4:
        os.killpg(0, signal.{name})
    return forward(self, features)
ASPP.forward = slow
app.main()
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_in_the_middle_of_a_step_ends_it_there(data, whole, tmp_path, name, code):
    """Also where all processes of the run get it, those that prepare samples among them."""
    run = tmp_path / "run"
    arguments = ["train", data / "pairs", "--recipe", whole[0], "--out", run, "--no-pretrained"]
    arguments += ["--device=cpu", "--quiet", "--workers=1"]
    ended, said = Child(
        STOPS_WHILE_IT_WORKS.format(name=name), *arguments, said=tmp_path / "s"
    ).wait()
    assert ended == code, said
    assert "--resume goes on" in said and "Traceback" not in said
    # The fourth pass is the second half of the second step.
    assert load_checkpoint(run / "last/checkpoint.pt")["step"] == 1


STOPS_WHILE_IT_WRITES = """
import os, signal, time
from mattecli.cli import app
from mattecli.core.training import checkpoint, saving, stopping
stopping.WRITING, pieces, save_run = {writing}, {pieces}, saving.save_run
checkpoint._PIECE = 2**16
os.fsync = lambda _: None
def save(state, config, out, files, between):
    print("writes", state.step)
    def slow():
        global pieces
        if pieces == {pieces}:
            print("stopped at", time.time())
            os.kill(os.getpid(), signal.SIGTERM)
        pieces -= 1
        time.sleep(0.2 if pieces > 0 else 0)
        between()
    save_run(state, config, out, files, slow if state.step == {step} else between)
saving.save_run = save
app.main()
"""


# The disk would take a minute, but for the second case.
@pytest.mark.parametrize(
    ("step", "writing", "pieces", "kept"),
    [(2, 1.0, 300, 1), (2, 60.0, 5, 2), (0, 1.0, 300, None)],
)
def test_a_checkpoint_under_way_is_finished_in_time_or_given_up(
    data, whole, tmp_path, step, writing, pieces, kept
):
    recipe, run = tmp_path / "r.toml", tmp_path / "run"
    recipe.write_text(f"checkpoint_every = 1\n{whole[0].read_text()}")
    arguments = ["train", data / "pairs", "--val", data / "pairs", "--recipe", recipe]
    arguments += ["--out", run, "--no-pretrained", "--device=cpu", "--quiet"]
    code = STOPS_WHILE_IT_WRITES.format(step=step, writing=writing, pieces=pieces)
    ended, said = Child(code, *arguments, said=tmp_path / "said").wait()
    took = time.time() - float(said.split("stopped at ")[1].split()[0])
    assert ended == 143 and "Traceback" not in said, said
    assert took < 20, said
    # Nor is another one written right after it.
    assert said.count("writes") == step + 1
    found = run / "last/checkpoint.pt"
    assert list((run / "last").iterdir()) == ([] if kept is None else [found])
    if kept is None:
        assert "stopped before there was anything to keep" in said
    else:
        assert "--resume goes on" in said and load_checkpoint(found)["step"] == kept
    run_once(data, recipe, run, StopsAt(), resume=kept is not None)
    stored = [load_checkpoint(folder / "last/checkpoint.pt") for folder in (whole[1], run)]
    for name, value in stored[0]["network"].items():
        assert torch.equal(value, stored[1]["network"][name]), name


@pytest.mark.parametrize(("took", "saves_now"), [(2.9, False), (3.1, True)])
def test_what_a_stop_has_no_time_to_write_is_written_before(monkeypatch, took, saves_now):
    """Also where steps are quick: a tenth of the time goes into it then."""
    monkeypatch.setattr(saving.time, "monotonic", lambda: 0.0)
    state = mock.Mock(step=1, validated=0)
    written = saving.Saves(mock.Mock(), state, mock.Mock(), mock.Mock())
    written._took = [took, 0.0]
    state.step = 100
    monkeypatch.setattr(saving.time, "monotonic", lambda: 10 * took - 0.1)
    assert not written.pay()
    monkeypatch.setattr(saving.time, "monotonic", lambda: 10 * took + 0.1)
    assert written.pay() is saves_now
