"""Adversarial training: the network against a discriminator that is trained with it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mattecli.core.network.discriminator import PatchDiscriminator
from mattecli.core.training.processes import Processes


def adversarial_loss(logits: Tensor, real: bool, objective: str) -> Tensor:
    """Loss of a discriminator's logits against the label `real`: mean over patches, 0 at best.

    "bce" is the cross entropy of the original GAN (Goodfellow et al., NeurIPS 2014; of
    HAttMatting's formula), which the generator minimizes in its non-saturating form; "lsgan" the
    squared distance to 0 or 1 (Mao et al., ICCV 2017), steadier and our default.
    """
    target = torch.full_like(logits, float(real))
    if objective == "bce":
        return functional.binary_cross_entropy_with_logits(logits, target)
    return functional.mse_loss(logits, target)


class Adversary:
    """Discriminator, its Adam optimizer (rate `lr`, betas 0.5 and 0.999 as pix2pix) and loss."""

    def __init__(self, objective: str, lr: float, processes: Processes) -> None:
        self.objective = objective
        self.discriminator = PatchDiscriminator().to(processes.device)
        self.parallel = processes.wrap(self.discriminator)
        self.optimizer = torch.optim.Adam(
            self.discriminator.parameters(), lr=lr, betas=(0.5, 0.999)
        )

    def generator_loss(self, image: Tensor, alpha: Tensor) -> Tensor:
        """Compute the network's loss, low where the discriminator takes `alpha` for real."""
        self.discriminator.requires_grad_(False)
        loss = adversarial_loss(self.discriminator(image, alpha), True, self.objective)
        self.discriminator.requires_grad_(True)
        return loss

    def learn(self, image: Tensor, alpha: Tensor, truth: Tensor, share: float) -> Tensor:
        """Accumulate the discriminator's gradients.

        Parameters
        ----------
        image, alpha, truth : Tensor, Bx3xHxW, Bx1xHxW and Bx1xHxW
            In [0, 1]; `alpha` is the network's.
        share : float
            Weight of this part of the batch.

        Returns
        -------
        Tensor
            The discriminator's loss, a scalar: mean of those on real and on generated mattes.
        """
        both = torch.cat([truth, alpha.detach()])
        real, generated = self.parallel(image.repeat(2, 1, 1, 1), both).chunk(2)
        loss = adversarial_loss(real, True, self.objective) + adversarial_loss(
            generated, False, self.objective
        )
        (share * loss / 2).backward()
        return loss.detach() / 2

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
        self.optimizer.load_state_dict(state["optimizer"])
