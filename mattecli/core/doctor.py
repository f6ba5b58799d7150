"""Is everything there, does it work, and how fast: what `matte doctor` looks at."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import statistics
import time
from collections.abc import Iterator
from importlib import metadata
from typing import NamedTuple

from mattecli.core.extras import install_line, is_light
from mattecli.core.runtime.onnxruntime_loading import load_onnxruntime
from mattecli.version import __version__

#: What an installation without PyTorch does without.
_NOT_LIGHT = ("torch", "torchvision", "timm")
#: Packages by import name; those marked True are extras.
_PACKAGES = {
    "torch": False,
    "torchvision": False,
    "timm": False,
    "cv2": False,
    "PIL": False,
    "safetensors": False,
    "onnxruntime": False,
    "onnx": True,
    "pillow_heif": True,
    "av": True,
    "starlette": True,
}
# Of no use without PyTorch, about which a light installation says it once.
_WITH_TORCH = ("torchvision", "timm", "onnx")
_DISTRIBUTIONS = {"cv2": ("opencv-python", "opencv-python-headless"), "PIL": ("pillow",)}
#: What packages of extras are for, and the extra.
_EXTRAS = {
    "onnx": ("matte export", "onnx"),
    "pillow_heif": ("HEIC photos", "heic"),
    "av": ("clips", "video"),
    "starlette": ("matte serve", "serve"),
}


class Finding(NamedTuple):
    """One thing that was looked at; `fix` is the line that would fix or add it."""

    name: str
    state: str
    is_fine: bool = True
    fix: str = ""


def diagnose() -> Iterator[Finding]:
    """Look at one thing after the other; nothing heavy is imported before its turn."""
    yield Finding("matte", f"{__version__}, without PyTorch" if is_light() else __version__)
    yield Finding("Python", f"{platform.python_version()} on {platform.platform()}")
    broken = False
    light = is_light()
    for name, is_extra in _PACKAGES.items():
        if light and name in _WITH_TORCH:
            continue
        finding = _look_at(name, is_extra or (light and name in _NOT_LIGHT))
        broken |= not finding.is_fine
        yield finding
    if not broken:
        if not light:
            yield _look_for_gpu()
        yield _look_for_providers()
        yield from _look_at_weights()
        yield _try_out()


def _use_of(name: str) -> str:
    """Say what a package that is not installed is for, and how it is installed."""
    if name in _NOT_LIGHT:
        return "training, export and GPUs: pip install mattecli in its place"
    use, extra = _EXTRAS[name]
    return f"{use}: {install_line(extra)}"


def _look_at(name: str, is_extra: bool) -> Finding:
    try:
        module = load_onnxruntime() if name == "onnxruntime" else importlib.import_module(name)
    except ModuleNotFoundError as error:
        if is_extra and error.name == name:
            return Finding(name, "not installed", fix=f"for {_use_of(name)}")
        missing = error.name or name
        return Finding(
            name, f"{missing} is missing", False, f"pip install {_distribution(missing)}"
        )
    # A library beside the package may be missing or the wrong one, and may say so in any way.
    except Exception as error:
        fix = "pip install --force-reinstall " + _distribution(name)
        if name == "cv2" and "libGL" in str(error):
            fix = "pip uninstall opencv-python && pip install opencv-python-headless"
        return Finding(name, " ".join(str(error).split()), False, fix)
    version = getattr(module, "__version__", None) or metadata.version(_distribution(name))
    return Finding(name, version)


def _distribution(name: str) -> str:
    for distribution in _DISTRIBUTIONS.get(name, (name.replace("_", "-"),)):
        try:
            metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
        return distribution
    return _DISTRIBUTIONS.get(name, (name.replace("_", "-"),))[0]


def _look_for_gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        properties = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        return Finding(
            "GPU", ", ".join(f"{p.name} ({p.total_memory / 2**30:.0f} GB)" for p in properties)
        )
    if torch.backends.mps.is_available():
        return Finding("GPU", "Apple (mps)")
    if shutil.which("nvidia-smi") is None and not os.path.exists("/proc/driver/nvidia"):
        return Finding("GPU", "none, the CPU is used")
    if torch.version.cuda is None and torch.version.hip is None:
        return Finding(
            "GPU",
            "an NVIDIA driver is there, but this PyTorch is for the CPU only",
            False,
            "pip uninstall torch torchvision, then install them for CUDA as pytorch.org says",
        )
    return Finding(
        "GPU",
        f"an NVIDIA driver is there, but PyTorch (CUDA {torch.version.cuda}) cannot use it",
        False,
        "run nvidia-smi: it must list a GPU, and a CUDA version not below PyTorch's",
    )


def _look_for_providers() -> Finding:
    """Say what onnxruntime runs on, and what may be installed for this machine."""
    from mattecli.core.runtime.providers import PROVIDERS, installed_kinds

    found = installed_kinds(load_onnxruntime().get_available_providers())
    fitting = {"Windows": ["directml", "openvino"], "Linux": ["openvino"]}
    more = [kind for kind in fitting.get(platform.system(), []) if kind not in found]
    fix = "; ".join(f"{kind}: pip install {PROVIDERS[kind].package}" for kind in more)
    return Finding(
        "onnxruntime on",
        ", ".join([*found, "cpu"]) + " (--device)",
        fix=f"in the place of onnxruntime, for {fix}" if fix else "",
    )


def _look_at_weights() -> Iterator[Finding]:
    from mattecli.core.runtime.named_weights import is_sound, list_weights

    for weights in list_weights().values():
        fix = "pip install --force-reinstall mattecli" if weights.bundled else "matte weights add"
        if is_sound(weights):
            yield Finding(f"weights {weights.name}", str(weights.path))
        else:
            yield Finding(f"weights {weights.name}", f"{weights.path} is damaged", False, fix)


def _try_out() -> Finding:
    """Cut a disc out of a megapixel, and take the time, the first go apart."""
    import numpy as np

    from mattecli.core.device import usable_cores
    from mattecli.core.inference.predictor import Predictor

    height, width = 833, 1200
    y, x = np.mgrid[:height, :width]
    disc = np.hypot(y - height / 2, x - width / 2) < 250
    picture = np.where(disc[..., None], (230, 120, 40), (60, 90, 130)).astype(np.uint8)
    predictor = Predictor.load(two_pass=False)
    predictor.predict([picture])
    times: list[float] = []
    while sum(times) < 1 and len(times) < 20:
        started = time.perf_counter()
        (alpha,) = predictor.predict([picture])
        times.append(time.perf_counter() - started)
    found = alpha[disc].mean() - alpha[~disc].mean()
    where = predictor.device_type
    if where == "cpu":
        where = f"{usable_cores()} CPU core(s)"
    if not found > 0.5:
        return Finding("self-test", f"wrong matte on {where}", False, "matte weights verify")
    return Finding(
        "self-test",
        f"right; {1 / statistics.median(times):.1f} photos of a megapixel a second on {where}",
    )
