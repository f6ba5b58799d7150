"""Networks on disk: safetensors whose header holds configuration and provenance."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from mattecli.core.errors import MatteError, not_found
from mattecli.core.network.config import NetworkConfig
from mattecli.core.network.validation import check_shapes, parse_object
from mattecli.core.storage import write_whole

# Importing torch takes longer than cutting out a photo, and reading a header does not need it.
if TYPE_CHECKING:
    import torch
    from torch import nn

FORMAT = "mattecli-1"
#: Types of tensors that a weights file may hold, by safetensors' names.
_DTYPES = ("F16", "BF16", "F32", "F64", "I64")
# As safetensors itself has it.
_LONGEST_HEADER = 100_000_000


def save_network(
    network: nn.Module, path: Path, *, provenance: dict[str, Any], half: bool = True
) -> None:
    """Write `network` to `path` whole or not at all.

    Parameters
    ----------
    network : HAttMatting
    provenance : dict
        JSON-able facts about the training: data, steps, metrics.
    half : bool
        Store floating-point tensors as float16, which halves the file.

    Raises
    ------
    MatteError
        If the disk is full or the file cannot be written; nothing is left of it then.
    """
    from safetensors.torch import save

    tensors = {}
    for key, value in network.state_dict().items():
        value = value.detach().cpu().contiguous()
        tensors[key] = value.half() if half and value.is_floating_point() else value
    header = {
        "format": FORMAT,
        "network": json.dumps(network.config.to_dict()),
        "provenance": json.dumps(_without_repetition(provenance, set())),
    }
    write_whole(path, save(tensors, metadata=header))


def _without_repetition(facts: Any, seen: set[str]) -> Any:
    """Replace repeated long tables (means and restarts share ancestors) by references.

    The first occurrence gets an ``id``; the others are ``{"same_as": id}``.
    """
    if isinstance(facts, list):
        return [_without_repetition(value, seen) for value in facts]
    if not isinstance(facts, dict):
        return facts
    text = json.dumps(facts, sort_keys=True)
    if len(text) < 500:
        return facts
    name = facts.get("id") or hashlib.sha256(text.encode()).hexdigest()[:12]
    if name in seen:
        return {"same_as": name}
    seen.add(name)
    return {"id": name, **{key: _without_repetition(value, seen) for key, value in facts.items()}}


def read_header(path: Path) -> tuple[NetworkConfig, dict[str, Any]]:
    """Read configuration and provenance of a weights file, without its tensors.

    Raises
    ------
    MatteError
        If `path` is not a weights file of ours, is damaged, or describes no network of ours.
    """
    with open_tensors(path) as file:
        header = file.metadata() or {}
    if header.get("format") != FORMAT:
        raise MatteError(f"{path}: safetensors, but not weights written by 'matte train'")
    try:
        config = NetworkConfig.from_dict(parse_object(header.get("network"), "its network"))
        return config, parse_object(header.get("provenance", "{}"), "its provenance")
    except MatteError as error:
        raise MatteError(f"{path}: {error}") from None


@contextlib.contextmanager
def open_tensors(path: Path, framework: str = "np") -> Iterator[Any]:
    """Open a safetensors file; what goes wrong while it is open says which file.

    Raises
    ------
    MatteError
        If it is not there, is none, or is damaged.
    """
    if not path.is_file():
        raise not_found(path)
    try:
        with safe_open(path, framework) as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise MatteError(f"{path}: {_reason(path, error)}") from None


def _reason(path: Path, error: Exception) -> str:
    """Tell a file that is damaged from one that is no safetensors file at all."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as cause:
        return f"cannot be read ({cause.strerror or cause})"
    if size == 0:
        return "is empty"
    # The length of a header may begin as a pickle does, so this comes first.
    header = int.from_bytes(start[:8], "little")
    if start[8:9] == b"{" and header < _LONGEST_HEADER:
        state = "truncated" if size < 8 + header or "incomplete" in str(error) else "damaged"
        return f"the safetensors file is {state} ({error}): fetch or copy it again"
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return (
            "not a safetensors file but a pickle; pickled weights (.pt, .pth) are refused because "
            "loading them can run code"
        )
    if size < 16:
        return "the safetensors file is truncated: fetch or copy it again"
    return (
        "not a safetensors file; pickled weights (.pt, .pth) are refused because loading them can "
        "run code"
    )


def load_network(path: Path, device: torch.device | str = "cpu") -> nn.Module:
    """Rebuild the network stored at `path`, in float32 and eval mode.

    Raises
    ------
    MatteError
        If the file is not ours, or its tensors do not fit its configuration.
    """
    from mattecli.core.network.building import build_network

    config, _ = read_header(path)
    _check_fit(config, path)
    network = build_network(config)
    with open_tensors(path, "pt") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    for name, tensor in state.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise not_finite(path, name)
    fill_network(network, state, path)
    return network.to(device).eval()


def not_finite(path: Path, name: str) -> MatteError:
    """Make the error for weights with NaN or infinite values."""
    return MatteError(f"{path}: tensor {name} holds values that are no numbers (NaN or infinite)")


def _check_fit(config: NetworkConfig, path: Path) -> None:
    """Compare the shapes in a file with the network that its header describes.

    The network is built without memory for it: an encoder that is named may have billions of
    weights, and the file none of them.
    """
    import torch

    from mattecli.core.network.building import build_network

    with open_tensors(path) as file:
        slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
        shapes = {key: tuple(part.get_shape()) for key, part in slices.items()}
        kinds = {key: part.get_dtype() for key, part in slices.items()}
    for name, kind in kinds.items():
        if kind not in _DTYPES:
            raise MatteError(f"{path}: tensor {name} is of the type {kind}, which no network has")
    try:
        with torch.device("meta"):
            network = build_network(config)
    except MatteError as error:
        raise MatteError(f"{path}: {error}") from None
    except (RuntimeError, NotImplementedError):
        # Some models of older releases of timm compute while they are built.
        return
    check_shapes(network, shapes, path)


def fill_network(
    network: nn.Module, state: dict[str, torch.Tensor], path: Path, *, strict: bool = True
) -> None:
    """Put the tensors of the weights at `path` into a network.

    Without `strict` either may have parts that the other lacks, and the network's stay as they are.

    Raises
    ------
    MatteError
        If the tensors do not fit.
    """
    try:
        network.load_state_dict(state, strict=strict)
    except RuntimeError as error:
        reason = " ".join(str(error).split()[:40])
        raise MatteError(f"{path}: tensors do not fit the configuration ({reason})") from None


def average_networks(paths: list[Path]) -> tuple[nn.Module, dict[str, Any]]:
    """Mean of the weights of networks that share a configuration and a common start.

    Runs that set out from the same weights often lie in one basin, and their mean is better than
    most of them (Wortsman et al., "Model soups", ICML 2022).

    Returns
    -------
    network : HAttMatting
    provenance : dict
        ``mean_of``: the provenance of each.

    Raises
    ------
    MatteError
        If a file is not ours, or the configurations differ.
    """
    import torch

    headers = [read_header(path) for path in paths]
    for path, (config, _) in zip(paths, headers, strict=True):
        if config != headers[0][0]:
            raise MatteError(f"{path}: another network than {paths[0]}, so they have no mean")
    networks = [load_network(path) for path in paths]
    states = [network.state_dict() for network in networks]
    for name, value in states[0].items():
        if value.is_floating_point():
            value.copy_(torch.stack([state[name] for state in states]).mean(dim=0))
    return networks[0], {"mean_of": [provenance for _, provenance in headers]}
