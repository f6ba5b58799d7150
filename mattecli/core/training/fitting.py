"""Losses that fit network and data: what has no effect is an error before the first step."""

from __future__ import annotations

from dataclasses import replace

from mattecli.core.dataset.training_set import TrainingSet
from mattecli.core.errors import MatteError
from mattecli.core.network.config import NetworkConfig
from mattecli.core.training.config import TrainingConfig

#: Networks that are not what their papers describe without sentry supervision.
SUPERVISED = ("hattmatting++", "late-fusion")


def with_sentries(network: NetworkConfig, config: TrainingConfig) -> NetworkConfig:
    """Give a network the heads of its sentries exactly where the loss ``sentry`` has a weight.

    Heads without a loss would only cost time, and have processes wait for their gradients.

    Raises
    ------
    MatteError
        If the network needs that loss, or cannot serve it, or no loss has a weight.
    """
    name, wanted = config.network["name"], config.network.get("sentry")
    used = config.uses("sentry")
    if used and not network.low_level:
        raise MatteError(
            "the loss sentry is for the levels of the decoder, which --no-low-level leaves out: "
            "add --loss sentry=0"
        )
    if wanted is False and used:
        raise MatteError("the loss sentry has a weight, but the network's sentry = false")
    needed = wanted is True or (wanted is None and _needs_sentries(name, network))
    if needed and not used:
        raise MatteError(
            f"the network '{name}' is trained with sentry supervision, and the loss sentry has no "
            f"weight: use {_recipe_of(name)}add --loss sentry=0.4, or set its sentry = false"
        )
    _refuse_no_loss(config)
    return replace(network, sentry=used)


def leave_out_losses(config: TrainingConfig, dataset: TrainingSet) -> list[str]:
    """Refuse losses that this data cannot serve; leave optional ones out of `config`.

    Returns
    -------
    list of str
        A line for every optional loss that is left out.

    Raises
    ------
    MatteError
        If one of them can never count with this data.
    """
    left_out = []
    if config.uses("composition") and not dataset.composes():
        reason = (
            "the loss composition needs composites that are made during training, of cutouts or "
            "recomposed pairs on --backgrounds, and this data has none"
        )
        if "composition" not in config.optional_losses:
            raise MatteError(f"{reason}: add --loss composition=0")
        for table in (config.loss, config.first_epoch_loss):
            table.pop("composition", None)
        left_out.append(f"{reason}: it is left out")
    return left_out


def _refuse_no_loss(config: TrainingConfig) -> None:
    for when, weights in (
        ("", config.loss_at(1, 1)),
        (" in the first epoch", config.loss_at(0, 1)),
    ):
        if not any(weights.values()):
            raise MatteError(f"no loss has a weight{when}: add --loss l1=1, for example")


def _needs_sentries(name: str, network: NetworkConfig) -> bool:
    return name in SUPERVISED or network.architecture == "late-fusion"


def _recipe_of(name: str) -> str:
    return f"--recipe {name}, " if name in SUPERVISED else ""
