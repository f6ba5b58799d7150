"""``matte export``: the network for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mattecli.cli.commands import yields_to_what_is_typed
from mattecli.cli.streams import say

_MOST_PIXELS = 16_000_000


def _check(size: str | None, rembg: bool) -> None:
    if size and rembg:
        raise typer.BadParameter("--rembg has a size of its own")


@yields_to_what_is_typed(_check)
def export(
    out: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="The file to write.")],
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="NAME|FILE", help="Weights to export.", show_default="the bundled ones"
        ),
    ] = None,
    opset: Annotated[int, typer.Option(min=11, max=20, help="Version of ONNX's operators.")] = 17,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTHxHEIGHT",
            help="Fix the input to one picture of this size.",
            show_default="any number of pictures of any size",
        ),
    ] = None,
    rembg: Annotated[
        bool,
        typer.Option(
            "--rembg",
            help="For rembg's session u2net_custom: 320x320, normalized as it does.",
        ),
    ] = False,
    int8: Annotated[
        Path | None,
        typer.Option(
            "--int8",
            metavar="PHOTOS",
            help="Quantize to int8, which takes two thirds of the time on a CPU; a folder of a few "
            "dozen photos calibrates the ranges of values. As NAME.int8.onnx beside "
            "NAME.safetensors, `matte predict` takes the file by itself.",
        ),
    ] = None,
) -> None:
    """Write the network as an ONNX file and check its mattes against PyTorch.

    Without --rembg it takes RGB in [0, 1], B×3×H×W float32, and gives alpha in [0, 1], B×1×H×W.
    """
    if out.suffix != ".onnx":
        raise typer.BadParameter(f"{out} does not end in .onnx")
    _check(size, rembg)
    fixed = _parse_size(size) if size else None

    from mattecli.core.export.exporting import export as export_network
    from mattecli.core.imaging.walking import require_images
    from mattecli.core.network.weights import load_network
    from mattecli.core.runtime.named_weights import find_weights

    path = find_weights(weights)
    photos = require_images(int8) if int8 else []
    done = export_network(
        load_network(path), out, opset=opset, size=fixed, rembg=rembg, photos=photos, weights=path
    )
    say(
        f"{out}: {done.size / 1e6:.1f} MB, opset {opset}, at most {done.difference:.1e} from "
        f"PyTorch on {done.pictures} picture{'s' if done.pictures > 1 else ''}",
        err=False,
    )
    if done.int8_difference is not None:
        count = f"{len(photos)} photo{'s' if len(photos) > 1 else ''}"
        typer.echo(f"int8: mean difference {done.int8_difference:.1e} from float32 on {count}")


def _parse_size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.split("x"))
    except ValueError:
        raise typer.BadParameter(f"--size {text}: say WIDTHxHEIGHT, such as 640x480") from None
    if min(height, width) < 32:
        raise typer.BadParameter("--size: 32 pixels at least")
    # The check against PyTorch runs the network at this size, in many times the input's memory.
    if height * width > _MOST_PIXELS:
        raise typer.BadParameter(f"--size {text}: {_MOST_PIXELS / 1e6:g} megapixels at most")
    return height, width
