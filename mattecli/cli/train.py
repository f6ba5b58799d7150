"""``matte train``: train the network on photos with mattes and on composites."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mattecli.core.errors import MatteError

Maybe = typer.Option(show_default="the recipe's")


def _loss(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        return name, float(weight)
    except ValueError:
        raise typer.BadParameter(f"'{text}': write NAME=WEIGHT, such as l1=1") from None


def train(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help="Folders of image/ + alpha/ pairs or RGBA cutouts; FOLDER=2 draws twice as often.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run: log, checkpoint, weights.")],
    backgrounds: Annotated[
        list[Path] | None, typer.Option(help="Folder of backgrounds to compose on; repeatable.")
    ] = None,
    val: Annotated[
        list[Path] | None, typer.Option(help="Pairs to validate on; repeatable.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or a TOML file.")] = "default",
    network: Annotated[
        str | None,
        typer.Option(help="Network by name."),
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="Encoder by timm's name.")] = None,
    encoder_weights: Annotated[
        Path | None, typer.Option(help="Local ImageNet weights for the encoder.")
    ] = None,
    pretrained: Annotated[
        bool, typer.Option(help="Start the encoder from ImageNet weights.")
    ] = True,
    start_from: Annotated[Path | None, typer.Option(help="Weights to fine-tune.")] = None,
    steps: Annotated[int | None, Maybe] = None,
    batch_size: Annotated[int | None, Maybe] = None,
    crop_size: Annotated[int | None, Maybe] = None,
    lr: Annotated[float | None, Maybe] = None,
    loss: Annotated[
        list[str] | None, typer.Option(help="NAME=WEIGHT; repeatable, changes the recipe's.")
    ] = None,
    channel_attention: Annotated[
        bool | None, typer.Option("--channel-attention/--no-channel-attention", show_default="on")
    ] = None,
    spatial_attention: Annotated[
        bool | None, typer.Option("--spatial-attention/--no-spatial-attention", show_default="on")
    ] = None,
    low_level: Annotated[
        bool | None, typer.Option("--low-level/--no-low-level", show_default="on")
    ] = None,
    predict_size: Annotated[
        int | None, typer.Option(help="Long side in pixels the weights will predict at.")
    ] = None,
    seed: Annotated[int | None, Maybe] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that prepare samples.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for decoded samples.", show_default="OUT/cache")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in OUT.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str | None, typer.Option(help="auto, fp32, fp16 or bf16.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Train on DATA and leave the weights in OUT, ready for `matte predict --weights`."""
    losses = dict(_loss(text) for text in loss or [])
    from mattecli.core.training.config import load_config
    from mattecli.core.training.trainer import train as run_training

    switches = {
        "name": network,
        "encoder": encoder,
        "channel_attention": channel_attention,
        "spatial_attention": spatial_attention,
        "low_level": low_level,
        "predict_size": predict_size,
    }
    for folder in backgrounds or []:
        if not folder.is_dir():
            raise MatteError(f"{folder}: no such folder of backgrounds")
    config = load_config(
        recipe,
        data=data,
        backgrounds=[str(folder) for folder in backgrounds] if backgrounds else None,
        network={key: value for key, value in switches.items() if value is not None},
        steps=steps,
        batch_size=batch_size,
        crop_size=crop_size,
        lr=lr,
        loss=losses,
        seed=seed,
        workers=workers,
        precision=precision,
    )
    weights = run_training(
        config,
        out,
        validation=val,
        encoder_weights=encoder_weights,
        start_from=start_from,
        pretrained=pretrained,
        resume=resume,
        device=device,
        cache=cache,
        quiet=quiet,
    )
    typer.echo(f"weights: {weights}")
