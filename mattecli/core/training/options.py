"""The options of a training run beside its recipe, declared once for the command line and Python.

Importing this module is cheap, as `matte --help` does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mattecli.core.inference.declaring import option

DATA_PANEL, NETWORK_PANEL, MACHINE_PANEL = "Data", "Network", "Machine"


@dataclass(frozen=True)
class StartOptions:
    """What a network starts from.

    Attributes
    ----------
    encoder_weights : Path, optional
        Local ImageNet weights for the encoder, instead of timm's download.
    start_from : Path, optional
        Weights to fine-tune: a file, on the command line also a name. Their network is changed by
        the recipe's network settings, not by its name; parts that they lack are initialized.
    pretrained : bool
        Whether the encoder starts from ImageNet weights.
    """

    encoder_weights: Path | None = option(
        None,
        "Local ImageNet weights for the encoder.",
        panel=NETWORK_PANEL,
        show_default="timm's, downloaded",
    )
    start_from: Path | None = option(
        None,
        "Weights to fine-tune, network included.",
        panel=NETWORK_PANEL,
        metavar="NAME|FILE",
    )
    pretrained: bool = option(True, "Start the encoder from ImageNet weights.", panel=NETWORK_PANEL)


@dataclass(frozen=True)
class TeachingOptions:
    """Photos without mattes, and the networks that tell of them.

    Attributes
    ----------
    unlabeled, teachers : list of str
        See `mattecli.core.training.config.TrainingConfig`.
    """

    unlabeled: list[str] = option(
        [],
        "Photos without mattes, which teachers tell of; repeatable, FOLDER=2 as in DATA.",
        panel=DATA_PANEL,
        metavar="FOLDER",
    )
    teachers: list[str] = option(
        [],
        "Network whose mattes of --unlabeled are learned where it and other teachers agree, "
        "NETWORK=2 counts twice; repeatable, the first one's edges are learned.",
        panel=DATA_PANEL,
        flags=("--teacher",),
        metavar="NAME|FILE",
    )


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out.

    Attributes
    ----------
    resume : bool
        Continue the run that is in the folder.
    cache : Path, optional
        Folder for decoded samples, which runs may share; ``cache`` in the run's folder by default.
        With the name ``none`` nothing is cached.
    device : str
        See `mattecli.core.device.choose_device`.
    quiet : bool
        Show no progress.
    """

    resume: bool = option(
        False,
        "Continue the run in OUT; its settings need not be repeated.",
        flags=("--resume",),
    )
    quiet: bool = option(
        False,
        "Show no progress and no notes beforehand; what goes wrong is told.",
        flags=("--quiet", "-q"),
    )
    cache: Path | None = option(
        None,
        "Folder for decoded samples, which several runs may share.",
        panel=DATA_PANEL,
        metavar="DIRECTORY|none",
        show_default="OUT/cache",
    )
    device: str = option("auto", "auto, cpu, cuda, cuda:N or mps.", panel=MACHINE_PANEL)
