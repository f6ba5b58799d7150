"""Optimizer, learning rates and averaged weights."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn

from mattecli.core.errors import MatteError
from mattecli.core.training.config import TrainingConfig


def build_optimizer(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW or SGD over two groups, encoder and the rest; norms and biases are not decayed.

    Learning rate and weight decay of every group are set before each step, see `set_rates`.

    Raises
    ------
    MatteError
        If no parameter is trained.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        key = (name.startswith("encoder."), parameter.ndim > 1)
        groups.setdefault(key, []).append(parameter)
    if not groups:
        raise MatteError("train_only and freeze together leave nothing to train")
    parameters: list[dict[str, Any]] = [
        {"params": members, "encoder": encoder, "decayed": decayed}
        for (encoder, decayed), members in groups.items()
    ]
    if config.optimizer == "adamw":
        # One pass over memory instead of a dozen: three times as fast on a CPU.
        fused = next(network.parameters()).device.type in ("cpu", "cuda")
        return torch.optim.AdamW(parameters, lr=config.lr, fused=fused)
    # Fused, SGD fails where some parameters, such as sentries', get gradients after the others.
    return torch.optim.SGD(parameters, lr=config.lr, momentum=0.9)


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Rate at `step`, from 0, of all but the encoder: a function of settings and step alone.

    Linear warm-up, then cosine to zero, or "poly": (1 - t)^0.9.
    """
    rise = min(1.0, (step + 1) / max(1, config.warmup))
    done = min(1.0, step / config.steps)
    fall = (1 - done) ** 0.9 if config.schedule == "poly" else (1 + math.cos(math.pi * done)) / 2
    return config.lr * (rise * fall)


def set_rates(optimizer: torch.optim.Optimizer, config: TrainingConfig, step: int) -> None:
    """Give every group its learning rate and weight decay for `step`, from 0."""
    rate = learning_rate(config, step)
    for group in optimizer.param_groups:
        group["lr"] = rate * config.encoder_lr if group["encoder"] else rate
        group["weight_decay"] = config.weight_decay if group["decayed"] else 0.0


def load_moments(optimizer: torch.optim.Optimizer, stored: dict[str, Any]) -> None:
    """Go on with the moments of a stored optimizer, at the rates that this one was built with.

    PyTorch's own `load_state_dict` would bring back the stored rates too, whatever was asked for.

    Raises
    ------
    MatteError
        If it was built over other weights.
    """
    own = optimizer.state_dict()["param_groups"]
    if [len(group["params"]) for group in own] != [
        len(group["params"]) for group in stored["param_groups"]
    ]:
        raise MatteError("the checkpoint was written while other parts of the network were trained")
    groups = [
        {**group, "params": before["params"]}
        for group, before in zip(own, stored["param_groups"], strict=True)
    ]
    optimizer.load_state_dict({"state": stored["state"], "param_groups": groups})


class AveragedNetwork:
    """Exponential moving average of a network's weights (Polyak averaging).

    The decay rises with the step so that the first weights, which are noise, are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards `network`; batch norm statistics and counters are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(
            list(self.network.parameters()), [p.detach() for p in network.parameters()], 1 - decay
        )
        torch._foreach_copy_(list(self.network.buffers()), list(network.buffers()))
