"""The installation without PyTorch: what runs there, and what says that it does not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mattecli.core import extras
from mattecli.core.toml import read_toml

ROOT = Path(__file__).parents[1]
LIGHT = ROOT / "packaging/lite/pyproject.toml"
CAT = ROOT / "examples/cat.jpg"

# As if these packages, and the complete distribution, were not installed.
BARE = """
import sys
from importlib import metadata
for name in ("torch", "torchvision", "timm", "onnx"):
    sys.modules[name] = None
version, distributions = metadata.version, metadata.distributions
def light_version(name):
    if name == "mattecli":
        raise metadata.PackageNotFoundError(name)
    return version(name)
metadata.version = light_version
metadata.distributions = lambda **wanted: ["it"] if wanted else distributions()
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torch" else find_spec(name, *rest)
"""


def run(code: str, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", BARE + code, *map(str, arguments)]
    environment = {**os.environ, "MATTE_WEIGHTS": "/nonexistent", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


MAIN = "from mattecli.cli.app import main; main()"
ONE_BY_ONE = """
import contextlib, json
from mattecli.cli.app import main
codes = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["matte", *arguments]
    with contextlib.redirect_stdout(sys.stderr):
        try:
            main()
            codes.append(0)
        except SystemExit as stop:
            codes.append(int(stop.code or 0))
print(json.dumps(codes))
"""


def requirements(path: Path) -> dict[str, Requirement]:
    found = map(Requirement, read_toml(path)["project"]["dependencies"])
    return {requirement.name: requirement for requirement in found}


def test_it_asks_for_what_the_complete_one_asks_for_but_pytorch():
    light, complete = requirements(LIGHT), requirements(ROOT / "pyproject.toml")
    headless = light.pop("opencv-python-headless")
    assert headless.specifier == complete.pop("opencv-python").specifier
    left_out = {"torch", "torchvision", "timm"}
    assert light.keys() == complete.keys() - left_out
    for name, requirement in light.items():
        assert str(requirement) == str(complete[name])
    extras = [
        read_toml(path)["project"]["optional-dependencies"]
        for path in (LIGHT, ROOT / "pyproject.toml")
    ]
    shared = extras[0].keys() - {"formats"}
    assert shared == extras[1].keys() - {"formats", "onnx", "tensorboard", "test", "test-scale"}
    assert all(extras[0][name] == extras[1][name] for name in shared)
    scripts = [read_toml(path)["project"]["scripts"] for path in (LIGHT, ROOT / "pyproject.toml")]
    assert scripts[0] == scripts[1]


def test_what_it_packs_is_there():
    included = read_toml(LIGHT)["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert all((LIGHT.parent / path).exists() for path in included)
    complete = read_toml(ROOT / "pyproject.toml")["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(complete["force-include"].values()) < set(included.values())


def test_predict_composite_evaluate_and_doctor_run_without_pytorch(tmp_path):
    (tmp_path / "alpha").mkdir()
    commands = [
        ["predict", CAT, tmp_path / "cut.png"],
        ["composite", tmp_path / "cut.png", "white", "-o", tmp_path / "w.png"],
        ["predict", CAT, tmp_path / "alpha", "--save", "alpha"],
        ["evaluate", "--weights", "default", CAT, tmp_path / "alpha/cat.png"],
    ]
    done = run(ONE_BY_ONE, json.dumps(commands, default=str))
    assert done.returncode == 0 and json.loads(done.stdout) == [0, 0, 0, 0], done.stderr
    looked = run(MAIN, "doctor")
    assert looked.returncode == 0, looked.stdout
    assert "without PyTorch" in looked.stdout and "!!" not in looked.stdout
    # What works with PyTorch only is told once, and no extra is named that there is none of.
    assert looked.stdout.count("in its place") == 1
    extras = read_toml(LIGHT)["project"]["optional-dependencies"]
    assert set(re.findall(r"mattecli(?:-lite)?\[(\w+)\]", looked.stdout)) <= set(extras)
    assert "self-test        right;" in looked.stdout


def test_the_python_api_runs_without_pytorch():
    code = (
        "import mattecli as m; c = m.cutout(sys.argv[1]); assert c.shape[2] == 4\n"
        "assert m.composite(c, 'white').shape[2] == 3; print(m.evaluate(c, c).sad)"
    )
    result = run(code, CAT)
    assert result.stdout == "0.0\n", result.stderr


def test_what_needs_pytorch_says_so_in_one_line(tmp_path):
    result = run(MAIN, "export", tmp_path / "x.onnx")
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert "this needs PyTorch" in result.stderr and "pip install mattecli" in result.stderr


@pytest.mark.parametrize("complete", [True, False])
def test_a_complete_installation_is_not_light(monkeypatch, complete):
    def version(name):
        if name == "mattecli" and not complete:
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(metadata, "distributions", lambda **_: ["it"])
    assert extras.is_light() is not complete
