"""``matte train``: train the network on photos with mattes and on composites."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mattecli.cli.commands import yields_to_what_is_typed
from mattecli.cli.interruption import GracefulShutdown
from mattecli.cli.option_groups import with_options
from mattecli.cli.streams import say
from mattecli.cli.train_checks import (
    check_options,
    checked_backgrounds,
    parse_loss,
    say_how_masks_are_read,
)
from mattecli.core.training.config import load_config
from mattecli.core.training.options import (
    DATA_PANEL,
    MACHINE_PANEL,
    NETWORK_PANEL,
    RunOptions,
    StartOptions,
    TeachingOptions,
)

_DEFAULTS = load_config("default")
_COURSE = "Course of the training"


def _of_recipe(name: str, text: str, panel: str = _COURSE) -> typer.models.OptionInfo:
    """Declare an option that overrides the recipe; the help shows what the default recipe says."""
    default = getattr(_DEFAULTS, name)
    return typer.Option(help=text, show_default=f"recipe's, {default}", rich_help_panel=panel)


def _switch(name: str, text: str) -> typer.models.OptionInfo:
    return typer.Option(
        f"--{name}/--no-{name}", help=text, show_default="on", rich_help_panel=NETWORK_PANEL
    )


@yields_to_what_is_typed(check_options)
@with_options(start=StartOptions, teaching=TeachingOptions, run=RunOptions)
def train(
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA...",
            help="Folders of image/ + alpha/ pairs or RGBA cutouts; FOLDER=2 draws twice as often.",
            show_default=False,
        ),
    ] = None,
    *,
    start: StartOptions,
    teaching: TeachingOptions,
    run: RunOptions,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the run: log, checkpoint, weights.")
    ] = Path("runs/matte"),
    backgrounds: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of backgrounds to compose on; repeatable.", rich_help_panel=DATA_PANEL
        ),
    ] = None,
    val: Annotated[
        list[str] | None,
        typer.Option(
            help="Folder of pairs to validate on; repeatable. The best weights there are kept.",
            rich_help_panel=DATA_PANEL,
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            help="matte, hattmatting, hattmatting++ or late-fusion.",
            show_default=f"recipe's, {_DEFAULTS.network['name']}",
            rich_help_panel=NETWORK_PANEL,
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Any CNN by timm's name.",
            show_default="the network's",
            rich_help_panel=NETWORK_PANEL,
        ),
    ] = None,
    predict_size: Annotated[
        int | None,
        typer.Option(
            min=32,
            help="Long side in pixels at which the weights will see photos.",
            show_default="the network's, 512",
            rich_help_panel=NETWORK_PANEL,
        ),
    ] = None,
    channel_attention: Annotated[
        bool | None, _switch("channel-attention", "Distil the pyramidal features.")
    ] = None,
    spatial_attention: Annotated[
        bool | None, _switch("spatial-attention", "Filter the appearance cues.")
    ] = None,
    low_level: Annotated[bool | None, _switch("low-level", "Use appearance cues at all.")] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Name of a recipe or a .toml file.",
            show_default="default",
            rich_help_panel=_COURSE,
        ),
    ] = None,
    steps: Annotated[int | None, _of_recipe("steps", "Optimizer steps.")] = None,
    epochs: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Instead of steps: passes over as many samples as there are files.",
            show_default="recipe's",
            rich_help_panel=_COURSE,
        ),
    ] = None,
    batch_size: Annotated[
        int | None, _of_recipe("batch_size", "Samples a step, over all processes.")
    ] = None,
    accumulate: Annotated[
        int | None, _of_recipe("accumulate", "Parts of a step, where memory is short.")
    ] = None,
    crop_size: Annotated[
        int | None, _of_recipe("crop_size", "Side of the training squares in pixels.")
    ] = None,
    lr: Annotated[float | None, _of_recipe("lr", "Highest learning rate.")] = None,
    loss: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WEIGHT",
            help="Change one loss of the recipe; repeatable.",
            show_default=" ".join(f"{k}={v}" for k, v in _DEFAULTS.loss.items()),
            rich_help_panel=_COURSE,
        ),
    ] = None,
    gan: Annotated[
        str | None, _of_recipe("gan", "Objective of the adversarial loss: lsgan, bce or minimax.")
    ] = None,
    train_only: Annotated[
        str | None,
        typer.Option(
            metavar="PART",
            help="Train this part alone (levels, head, encoder...) and leave the rest as it is.",
            rich_help_panel=NETWORK_PANEL,
        ),
    ] = None,
    only: Annotated[str | None, typer.Option("--only", hidden=True)] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help="Leave this part as it is (encoder.body.conv_stem...); repeatable.",
            show_default="recipe's",
            rich_help_panel=NETWORK_PANEL,
        ),
    ] = None,
    freeze_batch_norm: Annotated[
        bool | None,
        typer.Option(
            "--freeze-batch-norm/--train-batch-norm",
            help="Keep batch norm's statistics, for small batches from trained weights.",
            show_default="recipe's, train",
            rich_help_panel=_COURSE,
        ),
    ] = None,
    seed: Annotated[int | None, _of_recipe("seed", "Same seed, same run.")] = None,
    precision: Annotated[
        str | None, _of_recipe("precision", "auto, fp32, fp16 or bf16.", MACHINE_PANEL)
    ] = None,
    augment_on: Annotated[
        str | None,
        _of_recipe("augment_on", "Where colors are varied: host or device.", MACHINE_PANEL),
    ] = None,
    compiled: Annotated[
        bool | None,
        typer.Option(
            "--compile/--no-compile",
            help="Compile the network first, which pays on GPUs and takes minutes.",
            show_default="recipe's, no",
            rich_help_panel=MACHINE_PANEL,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that prepare samples.",
            show_default="recipe's, automatic",
            rich_help_panel=MACHINE_PANEL,
        ),
    ] = None,
    tensorboard: Annotated[
        bool | None,
        typer.Option(
            "--tensorboard/--no-tensorboard",
            help="Log to OUT/tensorboard too, with pictures at every validation.",
            show_default="recipe's, no",
            rich_help_panel=MACHINE_PANEL,
        ),
    ] = None,
) -> None:
    """Train on DATA and leave the weights in OUT, ready for `matte predict --weights`.

    Under torchrun the processes share every step: torchrun --nproc-per-node 8 -m mattecli train ...
    """
    check_options(steps, epochs, start.encoder_weights, start.start_from, start.pretrained)
    settled = out / "config.toml"
    if recipe is None:
        recipe = str(settled) if run.resume and settled.is_file() else "default"
    from mattecli.core.ranks import rank_and_world
    from mattecli.core.runtime.named_weights import find_weights
    from mattecli.core.training.trainer import train as run_training

    settings = {
        "name": network,
        "encoder": encoder,
        "predict_size": predict_size,
        "channel_attention": channel_attention,
        "spatial_attention": spatial_attention,
        "low_level": low_level,
    }
    config = load_config(
        recipe,
        data=data,
        **{name: found for name, found in vars(teaching).items() if found},
        validation=val,
        backgrounds=checked_backgrounds(backgrounds or []),
        network={key: value for key, value in settings.items() if value is not None},
        steps=steps,
        epochs=0 if steps else epochs,
        batch_size=batch_size,
        accumulate=accumulate,
        crop_size=crop_size,
        lr=lr,
        loss=dict(parse_loss(text) for text in loss or []),
        gan=gan,
        train_only=only if train_only is None else train_only,
        freeze=freeze or None,
        freeze_batch_norm=freeze_batch_norm,
        seed=seed,
        augment_on=augment_on,
        compile=compiled,
        tensorboard=tensorboard,
        workers=workers,
        precision=precision,
    )
    if not config.data:
        raise typer.BadParameter("name at least one folder of training DATA")
    if start.start_from:
        start = replace(start, start_from=find_weights(start.start_from))
    first = rank_and_world()[0] == 0
    if first:
        say_how_masks_are_read([*config.data, *config.validation], quiet=run.quiet)
    shutdown = GracefulShutdown()
    weights = run_training(config, out, start=start, options=run, shutdown=shutdown)
    if shutdown.number:
        if first:
            _say_stopped(out)
        raise typer.Exit(shutdown.status())
    if first:
        say(f"weights: {weights}", err=False)


def _say_stopped(out: Path) -> None:
    """Say what is left of a run that was stopped."""
    from mattecli.core.training.run_files import checkpoint_of

    if checkpoint_of(out).exists():
        say(f"{out}: stopped; --resume goes on from the checkpoint")
    else:
        say(f"{out}: stopped before there was anything to keep")
