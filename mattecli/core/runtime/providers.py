"""What onnxruntime can run on besides the CPU, by the names that ``--device`` takes."""

from __future__ import annotations

from typing import Any, NamedTuple

from mattecli.core.errors import MatteError
from mattecli.core.ranks import local_rank

CPU = "CPUExecutionProvider"


class Provider(NamedTuple):
    """A kind of accelerator.

    Attributes
    ----------
    names : tuple of str
        What onnxruntime calls it, the best first.
    package : str
        What has it.
    by_itself : bool
        Whether ``auto`` takes it. Those that prepare themselves for every size of picture, which
        takes long, have to be asked for; so has OpenVINO, which on a CPU is slower than int8.
    option : str
        Of the number behind the colon; empty if there is no choice.
    """

    names: tuple[str, ...]
    package: str
    by_itself: bool = True
    option: str = ""


PROVIDERS = {
    "cuda": Provider(("CUDAExecutionProvider",), "onnxruntime-gpu", True, "device_id"),
    "rocm": Provider(
        ("MIGraphXExecutionProvider", "ROCMExecutionProvider"),
        "onnxruntime-migraphx or onnxruntime-rocm",
        True,
        "device_id",
    ),
    "directml": Provider(("DmlExecutionProvider",), "onnxruntime-directml", True, "device_id"),
    "openvino": Provider(("OpenVINOExecutionProvider",), "onnxruntime-openvino", False),
    "coreml": Provider(("CoreMLExecutionProvider",), "onnxruntime for macOS", False),
    "tensorrt": Provider(
        ("TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider"),
        "onnxruntime-gpu and TensorRT",
        False,
        "device_id",
    ),
}
#: Those that PyTorch does not know.
OWN_KINDS = frozenset(PROVIDERS) - {"cuda"}


def kind_of_device(device: str) -> str:
    """Give a device's kind: what stands in front of the colon."""
    return device.partition(":")[0]


def installed_kinds(available: list[str]) -> list[str]:
    """Give the kinds that onnxruntime has, as it lists its providers."""
    return [kind for kind, known in PROVIDERS.items() if set(known.names) & set(available)]


def choose_kind(device: str, available: list[str]) -> str:
    """Choose what a session runs on: ``cpu``, or one of `PROVIDERS`.

    Raises
    ------
    MatteError
        If there is no such device, or onnxruntime does not have it.
    """
    installed = installed_kinds(available)
    if device == "auto":
        return next((kind for kind in installed if PROVIDERS[kind].by_itself), "cpu")
    kind, _, number = device.partition(":")
    if kind == "cpu" and not number:
        return kind
    known = PROVIDERS.get(kind)
    if known is None or (number and not (known.option and number.isdecimal())):
        numbered = ", ".join(f"{name}[:N]" if p.option else name for name, p in PROVIDERS.items())
        raise MatteError(f"ONNX files run on cpu, {numbered}, not on '{device}'")
    if kind not in installed:
        raise MatteError(
            f"onnxruntime cannot use '{device}' here: pip install {known.package} in the place of "
            "onnxruntime"
        )
    return kind


def session_providers(device: str, available: list[str]) -> list[Any]:
    """Give the providers of a session, with the CPU behind for what others cannot do.

    Raises
    ------
    MatteError
        See `choose_kind`.
    """
    kind = choose_kind(device, available)
    if kind == "cpu":
        return [CPU]
    known = PROVIDERS[kind]
    name = next(name for name in known.names if name in available)
    _, _, number = device.partition(":")
    options = {}
    if known.option and (number or kind == "cuda"):
        options[known.option] = int(number) if number else local_rank()
    return [(name, options), CPU]


def running_kind(providers: list[str]) -> str:
    """Tell what a session that has these providers runs on."""
    return next(iter(installed_kinds(providers)), "cpu")
