"""What a training run consists of: built once, changed by every step, stored in checkpoints."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mattecli.core.errors import MatteError
from mattecli.core.network.building import build_network
from mattecli.core.network.config import NetworkConfig
from mattecli.core.network.encoders import load_encoder_weights
from mattecli.core.network.networks import network_config
from mattecli.core.network.weights import fill_network, load_network, read_header
from mattecli.core.training.adversary import Adversary
from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.fitting import with_sentries
from mattecli.core.training.optimization import AveragedNetwork, build_optimizer, load_moments
from mattecli.core.training.options import StartOptions
from mattecli.core.training.processes import Processes, training_precision
from mattecli.core.training.teaching import Teachers, load_teachers


@dataclass
class TrainingState:
    """Everything that a step changes.

    Attributes
    ----------
    step : int
        Steps done.
    best : float
        Lowest validation SAD so far.
    validated : int
        The step of the last validation, which a stop may have left out.
    chunks : int
        Pieces that a part of a batch goes through the network in, since memory ran out.
    rehearsed : dict of int
        Rehearsals by side in pixels, see :mod:`mattecli.core.training.rehearsing`.
    adversary : Adversary or None
        Only where the adversarial loss has a weight.
    teachers : Teachers or None
        Networks that tell of photos without mattes; not stored.
    started_from : dict or None
        Provenance of the weights that training started from.
    """

    network: nn.Module
    average: AveragedNetwork
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    adversary: Adversary | None = None
    teachers: Teachers | None = None
    started_from: dict[str, Any] | None = None
    step: int = 0
    best: float = math.inf
    validated: int = 0
    chunks: int = 1
    rehearsed: dict[int, int] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and numbers only, random state included."""
        return {
            "step": self.step,
            "best": self.best,
            "validated": self.validated,
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "adversary": self.adversary.state_dict() if self.adversary else None,
            "started_from": self.started_from,
            "random": torch.get_rng_state(),
        }

    def is_finite(self) -> bool:
        """Whether all weights are numbers still: a step can lose them at a finite loss."""
        return all(bool(torch.isfinite(weight).all()) for weight in self.network.parameters())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`.

        Raises
        ------
        MatteError
            If it comes from another network or other losses.
        """
        if (state["adversary"] is None) != (self.adversary is None):
            raise MatteError("the checkpoint was written with another adversarial loss")
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip()
            raise MatteError(f"the checkpoint holds another network ({reason})") from None
        self.average.network.load_state_dict(state["average"])
        load_moments(self.optimizer, state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.adversary:
            self.adversary.load_state_dict(state["adversary"])
        torch.set_rng_state(state["random"].clone())
        self.step, self.best = state["step"], state["best"]
        self.validated = state.get("validated", self.step)
        self.started_from = state.get("started_from")


def build_state(
    config: TrainingConfig,
    processes: Processes,
    start: StartOptions,
    *,
    resume: bool = False,
) -> TrainingState:
    """Build network, optimizer and the rest, at step 0.

    Parameters
    ----------
    resume : bool
        Whether a checkpoint will replace the weights, so that no pretrained ones are fetched.

    Raises
    ------
    MatteError
        If the network cannot be built, or the weights to start from do not fit it.
    """
    torch.manual_seed(config.seed)
    network = _start_network(config, StartOptions(pretrained=False) if resume else start)
    if config.train_only:
        network.requires_grad_(False)
        _part(network, config.train_only).requires_grad_(True)
    for name in config.freeze:
        _part(network, name).requires_grad_(False)
    network = processes.synced(network).to(processes.device, memory_format=torch.channels_last)
    optimizer = build_optimizer(network, config)
    half = training_precision(config.precision, processes.device) is torch.float16
    adversary = Adversary(config, processes) if config.uses("adversarial") else None
    return TrainingState(
        network,
        AveragedNetwork(network, config.ema),
        optimizer,
        torch.amp.GradScaler(processes.device.type, enabled=half),
        adversary,
        load_teachers(config.teachers, processes.device),
        read_header(start.start_from)[1] if start.start_from else None,
    )


def _start_network(config: TrainingConfig, start: StartOptions) -> nn.Module:
    encoder_weights, start_from = start.encoder_weights, start.start_from
    if encoder_weights is not None and (start_from is not None or not start.pretrained):
        raise MatteError(
            f"{encoder_weights}: encoder weights go together neither with weights to start from "
            "nor with a start from scratch"
        )
    if start_from is not None:
        before = load_network(start_from)
        chosen = _started_config(config, start_from, before.config)
        network = build_network(chosen)
        fill_network(network, before.state_dict(), start_from, strict=False)
        return network
    chosen = with_sentries(network_config(**config.network), config)
    download = start.pretrained and encoder_weights is None
    try:
        network = build_network(chosen, pretrained_encoder=download)
    except OSError as error:
        raise MatteError(
            f"the ImageNet weights of '{chosen.encoder}' could not be downloaded "
            f"({type(error).__name__}); give a local file with --encoder-weights, or train from "
            "scratch with --no-pretrained"
        ) from None
    if encoder_weights is not None:
        load_encoder_weights(network.encoder, chosen.encoder, encoder_weights)
    return network


def _started_config(
    config: TrainingConfig, start_from: Path, before: NetworkConfig
) -> NetworkConfig:
    """Change the configuration of weights to start from as the recipe says."""
    settings = {key: value for key, value in config.network.items() if key != "name"}
    chosen = NetworkConfig.from_dict(before.to_dict() | settings)
    # Tags name weights, which are not fetched here.
    if chosen.encoder.partition(".")[0] != before.encoder.partition(".")[0]:
        raise MatteError(
            f"{start_from} has the encoder '{before.encoder}', not '{chosen.encoder}': "
            "leave one of the two out"
        )
    return with_sentries(chosen, config)


def _part(network: nn.Module, name: str) -> nn.Module:
    try:
        return network.get_submodule(name)
    except AttributeError:
        parts = ", ".join(part for part, _ in network.named_children())
        raise MatteError(f"the network has no part '{name}': choose from {parts}") from None
