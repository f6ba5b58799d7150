"""Preprocessing specs: how an ONNX model takes pictures and gives mattes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mattecli.core.errors import MatteError, suggest
from mattecli.core.network.validation import parse_object
from mattecli.core.toml import from_table, read_toml

#: Key in the metadata of the files that `matte export` writes.
METADATA_KEY = "mattecli"

# A spec travels with files of strangers: sides in pixels, and number of the output.
_BOUNDS = {"size": (8, 8192), "min_size": (0, 8192), "multiple": (1, 1024), "output": (0, 1000)}
# Of the numbers that are taken off or divided by.
_MAX_MAGNITUDE = 10_000

# Keys of earlier versions, in files that are in use.
_OLD_KEYS = {"least": "min_size"}

_IMAGENET: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


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
        Long side of the first of two passes; 0 is a fixed part of the last.
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
        try:
            table = parse_object(metadata[METADATA_KEY], "its metadata")
            return _checked(from_table(PreprocessingSpec, _renamed(table)))
        except MatteError as error:
            raise MatteError(f"{path}: {error}") from None
        except ValueError as error:
            raise MatteError(f"{path}: its metadata is damaged: {error}") from None
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
    if name is not None and (not isinstance(name, str) or name not in PRESETS):
        raise MatteError(f"{path}: no preset '{name}': {suggest(str(name), PRESETS)}")
    try:
        given = from_table(PreprocessingSpec, table)
        changes = {key: getattr(given, key) for key in table}
        return _checked(replace(PRESETS[name] if name else PreprocessingSpec(), **changes))
    except ValueError as error:
        raise MatteError(f"{path}: {error}") from None


def _checked(spec: PreprocessingSpec) -> PreprocessingSpec:
    """Give a spec back if pictures can be made by it.

    Raises
    ------
    ValueError
    """
    for name, (low, high) in _BOUNDS.items():
        value = getattr(spec, name)
        if not low <= value <= high:
            raise ValueError(f"'{name}' must be {low} to {high}: got {value}")
    for name in ("mean", "std"):
        if not all(abs(value) <= _MAX_MAGNITUDE for value in getattr(spec, name)):
            raise ValueError(f"'{name}' must be {-_MAX_MAGNITUDE} to {_MAX_MAGNITUDE}")
    if not all(abs(value) >= 1 / _MAX_MAGNITUDE for value in spec.std):
        raise ValueError(f"'std' is divided by, and must not be 0: got {spec.std}")
    return spec


def _renamed(table: dict[str, Any]) -> dict[str, Any]:
    """Take over the keys that files of earlier versions have."""
    return {_OLD_KEYS.get(key, key): value for key, value in table.items()}
