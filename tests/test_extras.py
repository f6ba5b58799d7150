"""Packages that are not installed: one line in one wording, with the command that adds them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mattecli
from mattecli.cli.app import app
from mattecli.core import extras
from mattecli.core.errors import MatteError
from mattecli.core.executing.executor import executor_for
from mattecli.core.executing.tasks import ClusterPlan
from mattecli.core.export import exporting
from mattecli.core.imaging import opening, raw
from mattecli.core.imaging.clips.reading import import_av
from mattecli.core.imaging.layered import check_library
from mattecli.core.objects import stores
from mattecli.core.objects.paths import located
from mattecli.core.toml import read_toml
from mattecli.core.training.run_log import RunLog

ROOT = Path(__file__).parents[1]


def serve():
    raise CliRunner().invoke(app, ["serve"]).exception


CASES = {
    "exr": ("OpenEXR", lambda: check_library(".exr")),
    "gcs": ("fsspec", lambda: stores.file_system(located("gs://bucket"))),
    "heic": ("pillow_heif", lambda: opening._factory("HEIF", Path("a.heic"))),
    "jxl": (opening._PLUGINS["JPEG XL"][0], lambda: opening._factory("JPEG XL", Path("a.jxl"))),
    "onnx": ("onnx", lambda: exporting._check_export(17, quantizes=False)),
    "psd": ("psd_tools", lambda: check_library(".psd")),
    "raw": ("rawpy", lambda: raw._opened(b"", Path("a.nef")).__enter__()),
    "ray": ("ray", lambda: executor_for(ClusterPlan("auto"))),
    "s3": ("fsspec", lambda: stores.file_system(located("s3://bucket"))),
    "serve": ("mattecli.core.serving.running", serve),
    "tensorboard": (
        "torch.utils.tensorboard",
        lambda: RunLog(Path("none"), 0, tensorboard=True),
    ),
    "video": ("av", import_av),
}


@pytest.mark.parametrize("light", [False, True], ids=["complete", "light"])
@pytest.mark.parametrize("extra", CASES)
def test_what_needs_a_missing_package_says_how_to_add_it(extra, light, monkeypatch):
    module, work = CASES[extra]
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(stores, "_systems", {})
    monkeypatch.setattr(extras, "is_light", lambda: light)
    distribution = "mattecli-lite" if light else "mattecli"
    with pytest.raises(MatteError) as caught:
        work()
    line = f" needs a package that is not installed: pip install '{distribution}[{extra}]'"
    assert line in str(caught.value)


def test_every_extra_that_is_named_exists():
    assert (
        CASES.keys()
        <= read_toml(ROOT / "pyproject.toml")["project"]["optional-dependencies"].keys()
    )


def test_nothing_else_tells_how_extras_are_installed():
    package = Path(mattecli.__file__).parent
    found = [path for path in package.rglob("*.py") if "mattecli[" in path.read_text("utf-8")]
    assert [path.name for path in found] == []
