"""The settings of a training run: named recipes, TOML files and overrides, in that order."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from mattecli.core.errors import MatteError
from mattecli.core.network.config import MULTIPLE
from mattecli.core.toml import from_table, read_toml

RECIPES = Path(__file__).parent / "recipes"

# Keys of earlier versions, in recipes and in the config.toml of runs.
_OLD_KEYS = {"only": "train_only"}

_CHOICES = {
    "optimizer": ("adamw", "sgd"),
    "schedule": ("cosine", "poly"),
    "gan": ("lsgan", "bce", "minimax"),
    "augment_on": ("host", "device"),
}
_POSITIVE = (
    *("steps", "batch_size", "accumulate", "crop_size"),
    *("log_every", "validate_every", "checkpoint_every", "gan_channels"),
)
_NOT_NEGATIVE = ("lr", "encoder_lr", "weight_decay", "epochs", "warmup", "clip", "gan_lr")


@dataclass
class TrainingConfig:
    """One flat table of settings, with `network`, `loss` and `mixture` as tables of their own.

    Attributes
    ----------
    data : list of str
        ``FOLDER`` or ``FOLDER=WEIGHT``, see :func:`mattecli.core.dataset.sources.find_sources`.
    backgrounds : list of str
        Folders of backgrounds for composites made on the fly.
    unlabeled : list of str
        ``FOLDER`` or ``FOLDER=WEIGHT`` of photos without mattes, which `teachers` tell of.
    teachers : list of str
        ``NETWORK`` or ``NETWORK=WEIGHT``, see :mod:`mattecli.core.training.teaching`.
    validation : list of str
        Folders of photo/matte pairs; the weights of lowest SAD there become ``best``.
    network : dict
        ``name`` of a network and changes to its settings.
    steps, batch_size, crop_size : int
        Optimizer steps, samples a step over all processes, side of the training squares in pixels.
    sides : list of int
        Instead of `crop_size`: every step draws one of these, so that the network learns subjects
        of every size. None: all steps have `crop_size`.
    epochs : float
        Instead of steps, where not 0: an epoch is as many samples as there are files to train on.
    accumulate : int
        Parts that a step's samples go through the network in, where memory is short.
    crops : list of int
        Sides of squares that are cut out of pairs at their own size and resized to `crop_size`; a
        flip is then the only augmentation. None: the part of the picture that `crop_size` shows,
        its colors and its sharpness vary.
    optimizer : "adamw" or "sgd" (momentum 0.9)
    encoder_lr : float
        Learning rate of the encoder as a share of `lr`.
    schedule : "cosine" or "poly" (power 0.9), after `warmup` steps of linear rise
    ema : float
        Decay of the averaged weights, which are what is validated and exported; 0 turns it off.
    clip : float
        Largest norm of the gradient; 0 turns clipping off.
    train_only : str
        Train this part of the network alone (``levels``, ``head``, ``encoder``...) and leave the
        others and their batch norms as they are; empty trains all.
    freeze : list of str
        Parts that stay as they are, with their batch norms (``encoder.body.conv_stem``). The finest
        levels of an encoder take a fifth of a step.
    freeze_batch_norm : bool
        Keep batch norm's running statistics, which small batches would make inaccurate.
    guided : float
        Share of the samples that come with guidance, where the network takes it.
    loss, first_epoch_loss : dict
        Weight of each loss by name, and what is different during the first epoch.
    optional_losses : list of str
        Losses of a recipe that are left out, and said to be, where the data cannot serve them. One
        that is asked for besides the recipe is not optional.
    gan, gan_lr : "minimax", "bce" or "lsgan", float
        Objective and learning rate of the discriminator, where the adversarial loss has a weight;
        see :func:`mattecli.core.training.adversary.adversarial_loss`.
    gan_channels : int
        Width of the discriminator's first layer, 64 in pix2pix; a light network can do with less.
    augment_on : "host" or "device"
        Where colors, sharpness and noise are varied: with the samples, or for whole batches where
        the network runs, for cores too few to feed a fast GPU.
    compile : bool
        Run the network through ``torch.compile``.
    tensorboard : bool
        Also log to ``tensorboard/`` in the run.
    workers : int
        Processes that prepare samples; 0 prepares them between steps, on all cores. -1 is 0 on a
        CPU, which the step itself needs, and beside a GPU all cores but one, at most 16.
    mixture : dict
        Shares of :class:`mattecli.core.dataset.training_set.Mixture`.
    """

    data: list[str] = field(default_factory=list)
    backgrounds: list[str] = field(default_factory=list)
    unlabeled: list[str] = field(default_factory=list)
    teachers: list[str] = field(default_factory=list)
    validation: list[str] = field(default_factory=list)
    network: dict[str, Any] = field(default_factory=lambda: {"name": "matte"})
    steps: int = 10_000
    epochs: float = 0
    batch_size: int = 12
    accumulate: int = 1
    crop_size: int = 320
    sides: list[int] = field(default_factory=list)
    crops: list[int] = field(default_factory=list)
    optimizer: str = "adamw"
    lr: float = 1e-3
    encoder_lr: float = 0.3
    weight_decay: float = 1e-2
    schedule: str = "cosine"
    warmup: int = 200
    ema: float = 0.998
    clip: float = 1.0
    train_only: str = ""
    freeze: list[str] = field(default_factory=list)
    freeze_batch_norm: bool = False
    guided: float = 0.65
    gan: str = "lsgan"
    gan_lr: float = 2e-4
    gan_channels: int = 64
    augment_on: str = "host"
    precision: str = "auto"
    compile: bool = False
    tensorboard: bool = False
    seed: int = 0
    workers: int = -1
    log_every: int = 10
    validate_every: int = 500
    checkpoint_every: int = 100
    loss: dict[str, float] = field(default_factory=dict)
    first_epoch_loss: dict[str, float] = field(default_factory=dict)
    optional_losses: list[str] = field(default_factory=list)
    mixture: dict[str, float] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse values that cannot work.

        Raises
        ------
        MatteError
        """
        self._check_choices()
        for name in _POSITIVE:
            if getattr(self, name) < 1:
                raise MatteError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name, value in self._not_negative().items():
            if not 0 <= value < math.inf:
                raise MatteError(f"{name} must be 0 or more, not {value}")
        if not 0 <= self.seed < 2**63:
            raise MatteError(f"seed must be 0 or more and below 2 to the 63rd, not {self.seed}")
        if self.workers < -1:
            raise MatteError(f"workers must be -1 (automatic) or more, not {self.workers}")
        if not 0 <= self.ema < 1:
            raise MatteError(f"ema must be at least 0 and below 1, not {self.ema}")
        if not 0 <= self.guided <= 1:
            raise MatteError(f"guided must be from 0 to 1, not {self.guided}")
        self._check_sides()
        self._check_combinations()

    def _check_combinations(self) -> None:
        if bool(self.unlabeled) != bool(self.teachers):
            raise MatteError(
                "photos without mattes need networks that teach, and these such photos: give "
                "--unlabeled and --teacher together"
            )
        if others := sorted(set(self.optional_losses) - {"composition"}):
            raise MatteError(f"only composition can be an optional loss, not {', '.join(others)}")
        if self.crops and self.augment_on == "device":
            raise MatteError("with crops no colors are varied: leave augment_on = 'device' out")

    def _check_choices(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise MatteError(f"{name} '{getattr(self, name)}': use {' or '.join(allowed)}")

    def _not_negative(self) -> dict[str, float]:
        """Collect by name all values that must be 0 or more."""
        values = {name: getattr(self, name) for name in _NOT_NEGATIVE}
        for table in ("loss", "first_epoch_loss"):
            values |= {f"{table} {name}": value for name, value in getattr(self, table).items()}
        return values

    def _check_sides(self) -> None:
        for name, sides in ("crop_size", [self.crop_size]), ("sides", self.sides):
            for side in sides:
                if side < 1 or side % MULTIPLE:
                    raise MatteError(f"{name} must be a multiple of {MULTIPLE}, not {side}")
        for side in self.crops:
            if side < 1:
                raise MatteError(f"crops must be at least 1, not {side}")

    def uses(self, loss: str) -> bool:
        """Whether `loss` has a weight at any time."""
        return bool(self.loss.get(loss) or self.first_epoch_loss.get(loss))

    def loss_at(self, step: int, epoch: int) -> dict[str, float]:
        """Weights of the losses at `step`, from 0, with `epoch` steps an epoch."""
        return {**self.loss, **(self.first_epoch_loss if step < epoch else {})}

    def save(self, path: Path) -> None:
        """Write as TOML.

        Raises
        ------
        MatteError
            If nothing can be written there.
        """
        from mattecli.core.storage import write_whole

        write_whole(path, tomli_w.dumps(asdict(self)).encode())


def load_config(recipe: str, **overrides: Any) -> TrainingConfig:
    """Load a named recipe or a TOML file, then apply `overrides`.

    Parameters
    ----------
    **overrides
        Fields of `TrainingConfig`. Tables are merged, None is ignored.

    Raises
    ------
    MatteError
        If there is no such recipe, or a setting is unknown.
    """
    values = _read_recipe(recipe)
    network = values["network"]
    # The settings of the recipe's network would not fit another one.
    if overrides.get("network", {}).get("name", network["name"]) != network["name"]:
        network.clear()
    # A weight that is asked for holds from the first step on.
    for loss in overrides.get("loss", {}):
        values.get("first_epoch_loss", {}).pop(loss, None)
        if loss in values.get("optional_losses", []):
            values["optional_losses"].remove(loss)
    for name, value in overrides.items():
        if isinstance(value, dict):
            values[name] = {**values.get(name, {}), **value}
        elif value is not None:
            values[name] = value
    return _checked(values)


def _read_recipe(recipe: str) -> dict[str, Any]:
    """Read and check the settings of a recipe, which then name a network."""
    path = Path(recipe) if recipe.endswith(".toml") else RECIPES / f"{recipe}.toml"
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
        raise MatteError(f"no recipe '{recipe}': use one of {names}, or a .toml file")
    values = read_toml(path)
    for name in ("network", "loss", "first_epoch_loss"):
        if not isinstance(values.get(name, {}), dict):
            raise MatteError(f"{path}: '{name}' must be a table")
    network = values.setdefault("network", {})
    network.setdefault("name", "matte")
    if not isinstance(network["name"], str):
        raise MatteError(f"{path}: 'network.name' must be text")
    _checked(values, f"{path}: ")
    return values


def _checked(values: dict[str, Any], where: str = "") -> TrainingConfig:
    for old, new in _OLD_KEYS.items():
        if old in values:
            values[new] = values.pop(old)
    try:
        config = from_table(TrainingConfig, values)
        config.check()
    except (ValueError, MatteError) as error:
        raise MatteError(f"{where}{error}") from None
    return config
