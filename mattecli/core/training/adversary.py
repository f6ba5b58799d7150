"""Adversarial training: the network against a critic that learns beside it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mattecli.core.network.discriminator import PatchDiscriminator
from mattecli.core.training.processes import Processes


def judge(logits: Tensor, real: bool, objective: str) -> Tensor:
    """How far a critic's verdict is from `real`: mean over patches, 0 at best.

    "bce" is the cross entropy of the original GAN (Goodfellow et al., NeurIPS 2014; of
    HAttMatting's formula), which the generator minimizes in its non-saturating form; "lsgan" the
    squared distance to 0 or 1 (Mao et al., ICCV 2017), steadier and our default.
    """
    target = torch.full_like(logits, float(real))
    if objective == "bce":
        return functional.binary_cross_entropy_with_logits(logits, target)
    return functional.mse_loss(logits, target)


class Adversary:
    """The critic, its own Adam optimizer (rate `lr`, betas 0.5 and 0.999 as pix2pix) and loss."""

    def __init__(self, objective: str, lr: float, processes: Processes) -> None:
        self.objective = objective
        self.critic = PatchDiscriminator().to(processes.device)
        self.parallel = processes.wrap(self.critic)
        self.optimizer = torch.optim.Adam(self.critic.parameters(), lr=lr, betas=(0.5, 0.999))

    def fooled(self, image: Tensor, alpha: Tensor) -> Tensor:
        """The network's adversarial loss: low where the critic takes `alpha` for real."""
        self.critic.requires_grad_(False)
        loss = judge(self.critic(image, alpha), True, self.objective)
        self.critic.requires_grad_(True)
        return loss

    def learn(self, image: Tensor, alpha: Tensor, truth: Tensor, share: float) -> Tensor:
        """Gather the critic's gradients; `alpha` is the network's, `share` this part's weight.

        Returns the critic's loss: mean of real mattes taken for false and false ones for real.
        """
        both = torch.cat([truth, alpha.detach()])
        real, false = self.parallel(image.repeat(2, 1, 1, 1), both).chunk(2)
        loss = judge(real, True, self.objective) + judge(false, False, self.objective)
        (share * loss / 2).backward()
        return loss.detach() / 2

    def step(self) -> None:
        """Move the critic, then forget its gradients."""
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """Critic and optimizer."""
        return {"critic": self.critic.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        self.critic.load_state_dict(state["critic"])
        self.optimizer.load_state_dict(state["optimizer"])
