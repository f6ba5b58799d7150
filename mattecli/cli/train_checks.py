"""What ``matte train`` looks at before it begins."""

from __future__ import annotations

import math
from pathlib import Path

import typer

from mattecli.cli.streams import say
from mattecli.core.errors import MatteError


def parse_loss(text: str) -> tuple[str, float]:
    """Read ``NAME=WEIGHT``.

    Raises
    ------
    typer.BadParameter
        If it is written otherwise.
    MatteError
        If the weight is negative or no finite number.
    """
    name, _, weight = text.partition("=")
    try:
        value = float(weight)
    except ValueError:
        raise typer.BadParameter(f"'{text}': write NAME=WEIGHT, such as l1=1") from None
    if not 0 <= value < math.inf:
        raise MatteError(f"loss {name} must be 0 or more, not {value}")
    return name, value


def check_options(
    steps: int | None,
    epochs: float | None,
    encoder_weights: Path | None,
    start_from: Path | None,
    pretrained: bool,
) -> None:
    """Refuse options that contradict one another.

    Raises
    ------
    typer.BadParameter
    """
    if steps and epochs:
        raise typer.BadParameter("give --steps or --epochs, not both")
    if encoder_weights and not pretrained:
        raise typer.BadParameter(
            "--encoder-weights and --no-pretrained contradict one another: leave one of them out"
        )
    if encoder_weights and start_from:
        raise typer.BadParameter(
            "--start-from brings the encoder's weights along: leave --encoder-weights out"
        )


def say_how_masks_are_read(folders: list[str], *, quiet: bool) -> None:
    """Look at some masks before anything is trained on them, as a run takes days.

    Raises
    ------
    MaskError
        If one of them is no mask, also where nothing is to be said of the others.
    """
    from mattecli.core.dataset.sources import find_sources
    from mattecli.core.imaging.mask_notes import look_at_masks

    for folder in folders:
        files = [file for source in find_sources(folder) for file in source.files]
        for line in look_at_masks([alpha for _, alpha in files if alpha is not None]):
            if not quiet:
                say(f"note: {line}")


def checked_backgrounds(folders: list[Path]) -> list[str] | None:
    """Give folders of backgrounds that are there as a recipe names them; None if there are none.

    Raises
    ------
    MatteError
    """
    for folder in folders:
        if not folder.is_dir():
            raise MatteError(f"{folder}: no such folder of backgrounds")
    return [str(folder) for folder in folders] or None
