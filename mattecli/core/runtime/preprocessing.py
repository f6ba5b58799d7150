"""What an ONNX file does not say of itself: how it wants its picture, and what it gives."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mattecli.core.errors import MatteError, nearest
from mattecli.core.toml import from_table, read_toml

#: Key in the metadata of the files that `matte export` writes.
METADATA_KEY = "mattecli"

# Keys of earlier versions, in files that are in use.
_OLD_KEYS = {"least": "min_size"}

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@dataclass(frozen=True)
class PreprocessingSpec:
    """How pictures go into a network and mattes come out; every field may stand in the TOML file.

    Attributes
    ----------
    size : int
        Side of the square that pictures are squeezed to, or with ``square = false`` their long
        side. Sizes that are fixed in the file itself win.
    square : bool
    min_size : int
        Long side that smaller pictures are brought to at least, if not square; 0 is `size`.
    first_pass_size : int
        Long side of the first of two passes, where there are two; 0 is a fixed part of the second.
    multiple : int
        What the sides are rounded to a multiple of, in pixels, if not square.
    resample : {"area", "lanczos"}
        How pictures are made smaller.
    channels : {"rgb", "bgr"}
    divide_by_max : bool
        Whether pictures are brought to [0, 1] by their own largest value instead of 255.
    mean, std : tuple of float
        Taken off and divided by, after that; in the order of `channels`.
    output : int
        Number of the output that holds the matte.
    activation : {"none", "sigmoid"}
        What turns that output into alpha.
    min_max : bool
        Whether each matte is then stretched to run from 0 to 1.
    """

    size: int = 512
    square: bool = True
    min_size: int = 0
    first_pass_size: int = 0
    multiple: int = 32
    resample: str = field(default="area", metadata={"choices": ("area", "lanczos")})
    channels: str = field(default="rgb", metadata={"choices": ("rgb", "bgr")})
    divide_by_max: bool = False
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    output: int = 0
    activation: str = field(default="none", metadata={"choices": ("none", "sigmoid")})
    min_max: bool = False

    def to_json(self) -> str:
        """Text for the metadata of a file."""
        return json.dumps(asdict(self))


PRESETS = {
    # As rembg runs it.
    "u2net": PreprocessingSpec(
        size=320, resample="lanczos", divide_by_max=True, min_max=True, **_IMAGENET
    ),
    "isnet": PreprocessingSpec(size=1024, mean=(0.5, 0.5, 0.5), min_max=True),
    # Its short side is meant to be 512.
    "modnet": PreprocessingSpec(size=672, square=False, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    "birefnet": PreprocessingSpec(size=1024, activation="sigmoid", **_IMAGENET),
    "rmbg-1.4": PreprocessingSpec(size=1024, mean=(0.5, 0.5, 0.5), min_max=True),
    "rmbg-2.0": PreprocessingSpec(size=1024, **_IMAGENET),
}


def find_spec(path: Path, metadata: dict[str, str]) -> PreprocessingSpec:
    """Find how a model takes pictures: by the TOML file beside it, its metadata, or its name.

    Parameters
    ----------
    path : Path
        ``model.onnx``, whose TOML file is ``model.toml``.
    metadata : dict of str
        The file's own.

    Raises
    ------
    MatteError
        If none of the three says anything, or the TOML file something wrong.
    """
    beside = path.with_suffix(".toml")
    if beside.is_file():
        return _read(beside)
    if METADATA_KEY in metadata:
        return from_table(PreprocessingSpec, _renamed(json.loads(metadata[METADATA_KEY])))
    for name, preset in PRESETS.items():
        if path.stem.lower().startswith(name):
            return preset
    raise MatteError(
        f"{path} does not say what pictures it takes: put a {beside.name} beside it with a line "
        f'such as preset = "u2net" (there are {", ".join(PRESETS)})'
    )


def _read(path: Path) -> PreprocessingSpec:
    table = _renamed(read_toml(path))
    name = table.pop("preset", None)
    if name is not None and name not in PRESETS:
        raise MatteError(f"{path}: no preset '{name}': {nearest(str(name), PRESETS)}")
    try:
        given = from_table(PreprocessingSpec, table)
    except ValueError as error:
        raise MatteError(f"{path}: {error}") from None
    return replace(
        PRESETS.get(name, PreprocessingSpec()), **{key: getattr(given, key) for key in table}
    )


def _renamed(table: dict[str, Any]) -> dict[str, Any]:
    """Take over the keys that files of earlier versions have."""
    return {_OLD_KEYS.get(key, key): value for key, value in table.items()}
