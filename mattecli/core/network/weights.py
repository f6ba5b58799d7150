"""Networks on disk: safetensors whose header holds configuration and provenance."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from mattecli.core.errors import MatteError, missing
from mattecli.core.network.config import NetworkConfig
from mattecli.core.storage import write_whole

# Importing torch takes longer than cutting out a photo, and reading a header does not need it.
if TYPE_CHECKING:
    import torch
    from torch import nn

FORMAT = "mattecli-1"


def save_network(
    network: nn.Module, path: Path, *, provenance: dict[str, Any], half: bool = True
) -> None:
    """Write `network` to `path` in one step (temporary name, then rename).

    Parameters
    ----------
    network : HAttMatting
    provenance : dict
        JSON-able facts about the training: data, steps, figures.
    half : bool
        Store floating-point tensors as float16, which halves the file.
    """
    from safetensors.torch import save

    tensors = {}
    for key, value in network.state_dict().items():
        value = value.detach().cpu().contiguous()
        tensors[key] = value.half() if half and value.is_floating_point() else value
    header = {
        "format": FORMAT,
        "network": json.dumps(network.config.to_dict()),
        "provenance": json.dumps(_said_once(provenance, set())),
    }
    write_whole(path, save(tensors, metadata=header))


def _said_once(facts: Any, said: set[str]) -> Any:
    """`facts` with long tables that come again (means and restarts share ancestors) by reference.

    The first keeps its place and gets an ``id``; the others are ``{"same_as": id}``.
    """
    if isinstance(facts, list):
        return [_said_once(value, said) for value in facts]
    if not isinstance(facts, dict):
        return facts
    text = json.dumps(facts, sort_keys=True)
    if len(text) < 500:
        return facts
    name = facts.get("id") or hashlib.sha256(text.encode()).hexdigest()[:12]
    if name in said:
        return {"same_as": name}
    said.add(name)
    return {"id": name, **{key: _said_once(value, said) for key, value in facts.items()}}


def read_header(path: Path) -> tuple[NetworkConfig, dict[str, Any]]:
    """Configuration and provenance of a weights file, without reading its tensors.

    Raises
    ------
    MatteError
        If `path` is not a weights file of ours.
    """
    if not path.is_file():
        raise missing(path)
    try:
        with safe_open(path, "np") as file:
            header = file.metadata() or {}
    except SafetensorError:
        raise MatteError(
            f"{path}: not a safetensors file; pickled weights (.pt, .pth) are refused because "
            "loading them can run code"
        ) from None
    if header.get("format") != FORMAT:
        raise MatteError(f"{path}: safetensors, but not weights written by 'matte train'")
    config = NetworkConfig.from_dict(json.loads(header["network"]))
    return config, json.loads(header.get("provenance", "{}"))


def load_network(path: Path, device: torch.device | str = "cpu") -> nn.Module:
    """Rebuild the network stored at `path`, in float32 and eval mode.

    Raises
    ------
    MatteError
        If the file is not ours, or its tensors do not fit its configuration.
    """
    from mattecli.core.network.building import build_network

    config, _ = read_header(path)
    network = build_network(config)
    with safe_open(path, "pt") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    fill_network(network, state, path)
    return network.to(device).eval()


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
        reason = str(error).splitlines()[1].strip()
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
