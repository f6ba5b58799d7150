"""What a training run consists of: built once, changed by every step, stored in checkpoints."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from mattecli.core.device import choose_precision
from mattecli.core.errors import MatteError
from mattecli.core.network.building import build_network
from mattecli.core.network.config import NetworkConfig
from mattecli.core.network.encoders import load_encoder_weights
from mattecli.core.network.networks import network_config
from mattecli.core.network.weights import fill_network, load_network, read_header
from mattecli.core.training.adversary import Adversary
from mattecli.core.training.checkpoint import AveragedNetwork
from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.optimization import build_optimizer, build_schedule
from mattecli.core.training.options import StartOptions
from mattecli.core.training.processes import Processes


@dataclass
class TrainingState:
    """Everything that a step changes.

    Attributes
    ----------
    step : int
        Steps done.
    best : float
        Lowest validation SAD so far.
    adversary : Adversary or None
        Only where the adversarial loss has a weight.
    started_from : dict or None
        Provenance of the weights that training started from.
    """

    network: nn.Module
    average: AveragedNetwork
    optimizer: torch.optim.Optimizer
    schedule: LambdaLR
    scaler: torch.amp.GradScaler
    adversary: Adversary | None = None
    started_from: dict[str, Any] | None = None
    step: int = 0
    best: float = math.inf

    def state_dict(self) -> dict[str, Any]:
        """Tensors and numbers only, random state included."""
        return {
            "step": self.step,
            "best": self.best,
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
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
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
        if self.adversary:
            self.adversary.load_state_dict(state["adversary"])
        torch.set_rng_state(state["random"])
        self.step, self.best = state["step"], state["best"]
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
    network = _start_network(config, replace(start, pretrained=start.pretrained and not resume))
    if config.train_only:
        network.requires_grad_(False)
        _part(network, config.train_only).requires_grad_(True)
    for name in config.freeze:
        _part(network, name).requires_grad_(False)
    network = processes.synced(network).to(processes.device, memory_format=torch.channels_last)
    optimizer = build_optimizer(network, config)
    half = choose_precision(config.precision, processes.device) is torch.float16
    return TrainingState(
        network,
        AveragedNetwork(network, config.ema),
        optimizer,
        build_schedule(optimizer, config),
        torch.amp.GradScaler(processes.device.type, enabled=half),
        Adversary(config.gan, config.gan_lr, processes) if config.uses("adversarial") else None,
        read_header(start.start_from)[1] if start.start_from else None,
    )


def _start_network(config: TrainingConfig, start: StartOptions) -> nn.Module:
    encoder_weights, start_from = start.encoder_weights, start.start_from
    settings = dict(config.network)
    name = settings.pop("name")
    # Heads without a loss would only cost time, and have processes wait for their gradients.
    settings["sentry"] = config.uses("sentry")
    if start_from is not None:
        before = load_network(start_from)
        chosen = NetworkConfig.from_dict(before.config.to_dict() | settings)
        if chosen.encoder != before.config.encoder:
            raise MatteError(
                f"{start_from} has the encoder '{before.config.encoder}', not '{chosen.encoder}': "
                "leave one of the two out"
            )
        network = build_network(chosen)
        fill_network(network, before.state_dict(), start_from, strict=False)
        return network
    named = network_config(name)
    chosen = NetworkConfig.from_dict(named.to_dict() | settings)
    download = start.pretrained and encoder_weights is None
    try:
        network = build_network(chosen, pretrained_encoder=download)
    except OSError as error:
        raise MatteError(
            f"the ImageNet weights of '{chosen.encoder}' could not be downloaded "
            f"({type(error).__name__}); give a local file with --encoder-weights, or train from "
            "scratch with --no-pretrained"
        ) from None
    if encoder_weights is not None and start.pretrained:
        load_encoder_weights(network.encoder, chosen.encoder, encoder_weights)
    return network


def _part(network: nn.Module, name: str) -> nn.Module:
    try:
        return network.get_submodule(name)
    except AttributeError:
        parts = ", ".join(part for part, _ in network.named_children())
        raise MatteError(f"the network has no part '{name}': choose from {parts}") from None
