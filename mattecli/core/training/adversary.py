"""Adversarial training: the network against a discriminator that is trained with it."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mattecli.core.device import autocast
from mattecli.core.network.discriminator import PatchDiscriminator
from mattecli.core.training.config import TrainingConfig
from mattecli.core.training.optimization import load_moments
from mattecli.core.training.processes import Processes, training_precision


def adversarial_loss(logits: Tensor, real: bool, objective: str) -> Tensor:
    """Loss of a discriminator's logits against the label `real`: mean over patches, 0 at best.

    "minimax" and "bce" are the cross entropy of the original GAN (Goodfellow et al., NeurIPS 2014),
    which for the discriminator D is -log D of real and -log(1 - D) of generated mattes; "lsgan" the
    squared distance to 0 or 1 (Mao et al., ICCV 2017), steadier and our default.
    """
    target = torch.full_like(logits, float(real))
    if objective in ("minimax", "bce"):
        return functional.binary_cross_entropy_with_logits(logits, target)
    return functional.mse_loss(logits, target)


def deception_loss(logits: Tensor, objective: str) -> Tensor:
    """Loss of the network by what the discriminator makes of its mattes.

    With "minimax" log(1 - D), to the letter of L_adv = E[log D(I, A)] + E[log(1 - D(I, G(I)))] of
    HAttMatting, of which the network sees only the second term; below 0, and nearly flat where the
    discriminator is sure. With "bce" its usual, non-saturating form, -log D; with "lsgan" the
    squared distance to 1.
    """
    if objective == "minimax":
        return -adversarial_loss(logits, False, objective)
    return adversarial_loss(logits, True, objective)


class Adversary:
    """Discriminator, its Adam optimizer (betas 0.5 and 0.999 as pix2pix) and loss.

    It runs in bfloat16 where the network does, but in float32 instead of float16: its gradients are
    not scaled.
    """

    def __init__(self, config: TrainingConfig, processes: Processes) -> None:
        self.objective = config.gan
        self.device = processes.device
        precision = training_precision(config.precision, processes.device)
        self.precision = precision if precision is torch.bfloat16 else torch.float32
        self.discriminator = PatchDiscriminator(config.gan_channels).to(processes.device)
        self.parallel = processes.wrap(self.discriminator)
        self.optimizer = torch.optim.Adam(
            self.discriminator.parameters(), lr=config.gan_lr, betas=(0.5, 0.999)
        )

    def generator_loss(self, image: Tensor, alpha: Tensor) -> Tensor:
        """Compute the network's loss, low where the discriminator takes `alpha` for real."""
        self.discriminator.requires_grad_(False)
        with autocast(self.device, self.precision):
            logits = self.discriminator(image, alpha)
        loss = deception_loss(logits.float(), self.objective)
        self.discriminator.requires_grad_(True)
        return loss

    def learn(
        self, image: Tensor, alpha: Tensor, truth: Tensor, share: float, *, reduced: bool = True
    ) -> Tensor:
        """Accumulate the discriminator's gradients.

        Parameters
        ----------
        image, alpha, truth : Tensor, Bx3xHxW, Bx1xHxW and Bx1xHxW
            In [0, 1]; `alpha` is the network's.
        share : float
            Weight of this part of the batch.
        reduced : bool
            Whether to reduce gradients over the processes, as with the last part of a step.

        Returns
        -------
        Tensor
            The discriminator's loss, a scalar: mean of those on real and on generated mattes.
        """
        alone = self.parallel is self.discriminator
        losses = []
        # One after the other: less memory at once, and half as long until a stop is obeyed.
        for matte, real in (truth, True), (alpha.detach(), False):
            waits = not (alone or (reduced and not real))
            with self.parallel.no_sync() if waits else contextlib.nullcontext():
                with autocast(self.device, self.precision):
                    logits = self.parallel(image, matte)
                losses.append(adversarial_loss(logits.float(), real, self.objective))
                (share * losses[-1] / 2).backward()
        return (losses[0] + losses[1]).detach() / 2

    def step(self) -> None:
        """Update the discriminator and reset its gradients."""
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """State of discriminator and optimizer."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        # Checkpoints of earlier versions call it the critic.
        self.discriminator.load_state_dict(state.get("discriminator", state.get("critic")))
        load_moments(self.optimizer, state["optimizer"])
