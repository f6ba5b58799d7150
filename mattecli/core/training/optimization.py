"""Optimizer and learning-rate schedule."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from mattecli.core.training.config import TrainingConfig


def build_optimizer(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW or SGD over two groups, encoder and the rest; norms and biases are not decayed."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        key = (name.startswith("encoder."), parameter.ndim > 1)
        groups.setdefault(key, []).append(parameter)
    parameters = [
        {
            "params": members,
            "lr": config.lr * (config.encoder_lr if encoder else 1.0),
            "weight_decay": config.weight_decay if decayed else 0.0,
        }
        for (encoder, decayed), members in groups.items()
    ]
    # One pass over memory instead of a dozen: three times as fast on a CPU.
    fused = next(network.parameters()).device.type in ("cpu", "cuda")
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=config.lr, fused=fused)
    return torch.optim.SGD(parameters, lr=config.lr, momentum=0.9, fused=fused)


def build_schedule(optimizer: torch.optim.Optimizer, config: TrainingConfig) -> LambdaLR:
    """Linear warm-up, then cosine to zero, or "poly": (1 - t)^0.9."""

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / max(1, config.warmup))
        done = min(1.0, step / config.steps)
        fall = (
            (1 - done) ** 0.9 if config.schedule == "poly" else (1 + math.cos(math.pi * done)) / 2
        )
        return rise * fall

    return LambdaLR(optimizer, factor)
