"""What an ONNX file does not say of itself: how it wants its picture, and what it gives."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from mattecli.core.errors import MatteError, nearest
from mattecli.core.toml import from_table, read_toml

#: Key in the metadata of the files that `matte export` writes.
METADATA_KEY = "mattecli"

# A convention travels with files of strangers: sides in pixels, and number of the output.
_BOUNDS = {"size": (8, 8192), "least": (0, 8192), "multiple": (1, 1024), "output": (0, 1000)}
# Of the numbers that are taken off or divided by.
_LARGEST = 10_000

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@dataclass(frozen=True)
class Convention:
    """How pictures go into a network and mattes come out; every field may stand in the TOML file.

    Attributes
    ----------
    size : int
        Side of the square that pictures are squeezed to, or with ``square = false`` their long
        side. Sizes that are fixed in the file itself win.
    square : bool
    least : int
        Long side that smaller pictures are brought to at least, if not square; 0 is `size`.
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
    least: int = 0
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
    "u2net": Convention(
        size=320, resample="lanczos", divide_by_max=True, min_max=True, **_IMAGENET
    ),
    "isnet": Convention(size=1024, mean=(0.5, 0.5, 0.5), min_max=True),
    # Its short side is meant to be 512.
    "modnet": Convention(size=672, square=False, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    "birefnet": Convention(size=1024, activation="sigmoid", **_IMAGENET),
    "rmbg-1.4": Convention(size=1024, mean=(0.5, 0.5, 0.5), min_max=True),
    "rmbg-2.0": Convention(size=1024, **_IMAGENET),
}


def find_convention(path: Path, metadata: dict[str, str]) -> Convention:
    """Learn the convention of a model from the TOML file beside it, its metadata, or its name.

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
            return _checked(from_table(Convention, json.loads(metadata[METADATA_KEY])))
        # Besides what is no JSON: lists nested thousands deep.
        except (ValueError, RecursionError) as error:
            raise MatteError(f"{path}: its metadata is damaged ({error})") from None
    for name, preset in PRESETS.items():
        if path.stem.lower().startswith(name):
            return preset
    raise MatteError(
        f"{path} does not say what pictures it takes: put a {beside.name} beside it with a line "
        f'such as preset = "u2net" (there are {", ".join(PRESETS)})'
    )


def _read(path: Path) -> Convention:
    table = read_toml(path)
    name = table.pop("preset", None)
    if name is not None and (not isinstance(name, str) or name not in PRESETS):
        raise MatteError(f"{path}: no preset '{name}': {nearest(str(name), PRESETS)}")
    try:
        said = from_table(Convention, table)
        changes = {key: getattr(said, key) for key in table}
        return _checked(replace(PRESETS.get(name, Convention()), **changes))
    except ValueError as error:
        raise MatteError(f"{path}: {error}") from None


def _checked(convention: Convention) -> Convention:
    """Give a convention back if pictures can be made by it.

    Raises
    ------
    ValueError
    """
    for name, (low, high) in _BOUNDS.items():
        value = getattr(convention, name)
        if not low <= value <= high:
            raise ValueError(f"'{name}' must be {low} to {high}: got {value}")
    for name in ("mean", "std"):
        if not all(abs(value) <= _LARGEST for value in getattr(convention, name)):
            raise ValueError(f"'{name}' must be {-_LARGEST} to {_LARGEST}")
    if not all(abs(value) >= 1 / _LARGEST for value in convention.std):
        raise ValueError(f"'std' is divided by, and must not be 0: got {convention.std}")
    return convention
