"""One photo from a cold start: what a run of one command imports, and what it does side by side."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.inference import preloading
from mattecli.core.inference.options import PredictOptions

CAT = Path(__file__).parents[1] / "examples/cat.jpg"

# Registered first, it is done last.
RUN = """
import atexit, gc, sys, threading
atexit.register(lambda: print("frozen" if gc.get_freeze_count() else "not frozen"))
from mattecli.cli import app
from mattecli.core.inference import preloading
from mattecli.core.inference.predictor import Predictor
preloading.usable_cores = lambda: 2
load, threads = Predictor.load.__func__, []
def noted(cls, *arguments, **options):
    threads.append(threading.current_thread().name)
    return load(cls, *arguments, **options)
Predictor.load = classmethod(noted)
try:
    app.main()
finally:
    print(threads, *(name for name in OTHERS if name in sys.modules))
"""
# The modules of other commands and of clips, and what brings a client of http along.
OTHERS = [
    *(f"mattecli.cli.{name}" for name in ("train", "build_dataset", "serve", "composite")),
    "mattecli.core.clips.task",
    "http.client",
    "torch",
]


@pytest.fixture
def begun(monkeypatch):
    """The options with which a network is loaded ahead."""
    calls = []

    @contextlib.contextmanager
    def preloaded(options, *, wanted):
        calls.extend([options] * wanted)
        yield

    monkeypatch.setattr(preloading, "preloaded", preloaded)
    return calls


@pytest.fixture(autouse=True)
def cores(monkeypatch):
    monkeypatch.setattr(preloading, "usable_cores", lambda: 2)


def predict(*arguments):
    return CliRunner().invoke(app, ["predict", *map(str, arguments), "--device=cpu"])


def test_one_photo_imports_what_it_needs_and_loads_the_network_beside(tmp_path):
    code = RUN.replace("OTHERS", repr(OTHERS))
    command = [sys.executable, "-c", code, "predict", CAT, tmp_path / "cat.png", "--device=cpu"]
    run = subprocess.run([*map(str, command), "--quiet"], capture_output=True, text=True)
    assert run.stdout == "['preload']\nfrozen\n", run.stderr
    assert (tmp_path / "cat.png").exists()


def test_it_is_loaded_ahead_where_one_photo_is_sure_to_be_cut(tmp_path, begun):
    out = tmp_path / "cat.png"
    assert predict(CAT, out, "--dry-run").exit_code == 0 and begun == []
    assert predict(CAT, out).exit_code == 0 and begun == [PredictOptions(device="cpu")]
    assert predict(CAT, out, "--skip-existing").exit_code == 0 and len(begun) == 1
    assert predict(CAT, out, "--overwrite").exit_code == 0 and len(begun) == 2
    assert predict(CAT, CAT, tmp_path / "folder").exit_code == 0 and len(begun) == 2
    assert predict(tmp_path / "none.jpg", tmp_path / "none.png").exit_code == 1 and len(begun) == 2


def test_what_goes_wrong_in_its_thread_is_said_as_ever(tmp_path, monkeypatch):
    def fails(*_):
        raise MatteError("the weights are gone")

    monkeypatch.setattr(preloading, "_load", fails)
    result = predict(CAT, tmp_path / "cat.png")
    assert isinstance(result.exception, MatteError) and "are gone" in str(result.exception)
    assert not (tmp_path / "cat.png").exists()


def test_it_is_given_once_and_to_who_asked_for_it(monkeypatch):
    given = iter("abcd")
    monkeypatch.setattr(preloading, "_load", lambda *_: next(given))
    options = PredictOptions(device="cpu")
    with preloading.preloaded(options, wanted=True):
        assert preloading.load_predictor(PredictOptions(device="cpu", size=64)) == "b"
        assert preloading.load_predictor(options) == "a"
        assert preloading.load_predictor(options) == "c"
    assert preloading.load_predictor(options) == "d"


def test_what_nobody_asked_for_is_forgotten(tmp_path, monkeypatch):
    """A run that ends early leaves nothing to the next one, whose network may be another."""
    monkeypatch.setattr(preloading, "_load", lambda *_: "the old one")
    (tmp_path / "hints.csv").write_text("photo,box\nanother.jpg,\n")
    hints = ("--hints", tmp_path / "hints.csv")
    assert predict(CAT, tmp_path / "cat.png", *hints).exit_code == 1
    monkeypatch.setattr(preloading, "_load", lambda *_: "the new one")
    assert preloading.load_predictor(PredictOptions(device="cpu")) == "the new one"


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_what_needs_pytorch_is_not_loaded_ahead(monkeypatch, device):
    monkeypatch.setattr(preloading, "_load", lambda *_: pytest.fail("loaded"))
    monkeypatch.setattr(preloading, "may_have_gpu", lambda: True)
    mine = PredictOptions(device="cpu", weights=Path("mine.safetensors"))
    for options in (PredictOptions(device=device), mine, PredictOptions()):
        with preloading.preloaded(options, wanted=True):
            assert preloading._begun == {}
    with preloading.preloaded(PredictOptions(device="cpu"), wanted=False):
        assert preloading._begun == {}


def test_with_one_core_nothing_is_loaded_beside(monkeypatch):
    monkeypatch.setattr(preloading, "_load", lambda *_: pytest.fail("loaded"))
    monkeypatch.setattr(preloading, "usable_cores", lambda: 1)
    with preloading.preloaded(PredictOptions(device="cpu"), wanted=True):
        assert preloading._begun == {}
