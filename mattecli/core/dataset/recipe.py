"""Recipes: everything that decides how a set is composed, as data."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import string
import typing
from dataclasses import MISSING, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import tomli_w

from mattecli.core.errors import MatteError
from mattecli.core.objects.paths import located
from mattecli.core.storage import write_whole
from mattecli.core.toml import from_table, parse_toml

OUTPUTS = ("image", "alpha", "fg", "bg", "trimap")

Range = tuple[float, float]


def _one_of(*choices: str, default: Any = MISSING) -> Any:
    return field(metadata={"choices": choices}, default=default)


# Of a field of a number, a range or a `Draw`: the least and the most that it may be, and in words.
_ANY = {"limits": (-math.inf, math.inf, "a number")}
_POSITIVE = {"limits": (math.ulp(0.0), math.inf, "above 0")}
_NOT_NEGATIVE = {"limits": (0, math.inf, "0 or more")}
_SHARE = {"limits": (0, 1, "from 0 to 1")}
_QUALITY = {"limits": (1, 100, "from 1 to 100")}


@dataclass(frozen=True)
class Draw:
    """A value drawn evenly from `range` in a share `chance` of the cases."""

    chance: float = field(metadata=_SHARE)
    range: Range = field(metadata=_ANY)


@dataclass(frozen=True)
class Background:
    """How a background is brought to the frame of a foreground that is placed as it is.

    `fit` ``enlarge`` touches only backgrounds that are too small, ``cover`` also shrinks large
    ones. `resampling` names a Pillow filter, `size_rounding` how the new size becomes whole.
    """

    fit: str = _one_of("enlarge", "cover", default="cover")
    resampling: str = _one_of("bilinear", "bicubic", "lanczos", default="bicubic")
    size_rounding: str = _one_of("ceil", "round", default="ceil")
    crop: str = _one_of("top-left", "center", "random", default="random")


@dataclass(frozen=True)
class Scene:
    """The ranges that a scene is drawn from; `custom.toml` says what each one means."""

    long_side: Range = field(default=(640, 1024), metadata=_POSITIVE)
    background_part: Range = field(default=(0.5, 1), metadata=_POSITIVE)
    layers: tuple[float, ...] = (1.0,)
    scale: Range = field(default=(0.4, 1.1), metadata=_POSITIVE)
    enlarge: float = field(default=1.5, metadata=_POSITIVE)
    cut: float = field(default=0.0, metadata=_SHARE)
    visible: float = field(default=0.6, metadata=_SHARE)
    flip: float = field(default=0.5, metadata=_SHARE)
    tilt: Draw | None = None


@dataclass(frozen=True)
class Augment:
    """Changes to each layer's colors before composition; absent ones are left out."""

    gamma: Draw | None = field(default=None, metadata=_POSITIVE)
    gain: Draw | None = field(default=None, metadata=_NOT_NEGATIVE)
    saturation: Draw | None = field(default=None, metadata=_NOT_NEGATIVE)
    background_blur: Draw | None = field(default=None, metadata=_NOT_NEGATIVE)
    noise: Draw | None = field(default=None, metadata=_NOT_NEGATIVE)
    jpeg: Draw | None = field(default=None, metadata=_QUALITY)


@dataclass(frozen=True)
class Trimap:
    """The range of radii, in pixels, by which the unknown region is grown on either side."""

    radius: Range = field(default=(1, 30), metadata=_NOT_NEGATIVE)


@dataclass(frozen=True)
class Split:
    """One part of the set: a share of the user's material, or folders and lists under a root."""

    per_foreground: int = 20
    share: float = 1.0
    foreground_count: int | None = None
    foregrounds: tuple[str, ...] = ()
    alphas: tuple[str, ...] = ()
    photos: bool = False
    foreground_names: str | None = None
    backgrounds: tuple[str, ...] = ()
    background_names: str | None = None


@dataclass(frozen=True)
class Recipe:
    """A whole recipe. `published` ones reproduce a published script and cannot be altered."""

    name: str
    splits: dict[str, Split]
    description: str = ""
    published: bool = False
    placement: str = _one_of("as-is", "scene", default="scene")
    background_order: str = _one_of("running", "shuffled", default="shuffled")
    naming: str = "{stem}_{n:03}"
    color_profiles: str = _one_of("srgb", "ignore", default="srgb")
    outputs: tuple[str, ...] = ("image", "alpha", "fg", "bg")
    bits: int = 8
    light: str = _one_of("srgb", "linear", default="srgb")
    rounding: str = _one_of("nearest", "truncate", default="nearest")
    background: Background = Background()
    scene: Scene = Scene()
    augment: Augment = Augment()
    trimap: Trimap = Trimap()
    raw: dict[str, str] = field(default_factory=dict)

    @property
    def names_folders(self) -> bool:
        """Whether the splits name their folders, so that only their root must be given."""
        return any(split.foregrounds for split in self.splits.values())

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of everything that can change a sample's pixels."""
        settings = dataclasses.asdict(self)
        for key in ("description", "published", "splits", "raw", "outputs"):
            settings.pop(key)
        text = json.dumps(settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def recipe_names() -> list[str]:
    """Name the recipes that come with the program."""
    files = resources.files("mattecli.core.dataset.recipes").iterdir()
    return sorted(file.name[:-5] for file in files if file.name.endswith(".toml"))


def load_recipe(name: str) -> Recipe:
    """Read a recipe of the program by name, or one of the user's by the path of its TOML file.

    Raises
    ------
    MatteError
        If there is no such recipe, or it says something that is not understood.
    """
    if name in recipe_names():
        text = (resources.files("mattecli.core.dataset.recipes") / f"{name}.toml").read_text(
            encoding="utf-8"
        )
    else:
        path = located(name)
        if path.suffix != ".toml":
            known = ", ".join(recipe_names())
            raise MatteError(f"no recipe '{name}': use one of {known}, or the path of a .toml file")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MatteError(f"cannot read the recipe {path}: {error}") from None
    try:
        recipe = from_table(Recipe, parse_toml(text, f"recipe {name}"))
    except ValueError as error:
        raise MatteError(f"recipe {name}: {error}") from None
    return check_recipe(recipe)


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write the recipe with every value spelt out, so that `load_recipe` gives it back."""
    write_whole(path, tomli_w.dumps(_without_none(dataclasses.asdict(recipe))).encode())


def _without_none(value: typing.Any) -> typing.Any:
    # TOML has no word for nothing.
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value


def check_recipe(recipe: Recipe) -> Recipe:
    """Give the recipe back if its values make sense together.

    Raises
    ------
    MatteError
        If they do not.
    """
    unknown = [output for output in recipe.outputs if output not in OUTPUTS]
    if unknown or not recipe.outputs:
        raise MatteError(f"outputs must be some of {', '.join(OUTPUTS)}: got {recipe.outputs}")
    if recipe.bits not in (8, 16):
        raise MatteError(f"bits must be 8 or 16: got {recipe.bits}")
    if not recipe.splits:
        raise MatteError(f"recipe {recipe.name} has no [splits]")
    _check_naming(recipe.naming)
    for part in ("scene", "augment", "trimap"):
        _check_numbers(getattr(recipe, part), f"recipe {recipe.name}: {part}")
    layers = recipe.scene.layers
    if min(layers, default=0) < 0 or not 0 < sum(layers) < math.inf:
        raise MatteError(
            f"recipe {recipe.name}: scene.layers must be chances, at least one of them above 0: "
            f"got {list(layers)}"
        )
    for name, split in recipe.splits.items():
        if split.per_foreground < 1 or not 0 < split.share <= 1:
            raise MatteError(f"split {name} needs per_foreground ≥ 1 and a share in (0, 1]")
    if recipe.augment.jpeg and recipe.bits == 16:
        raise MatteError("JPEG has 8 bits: take [augment] jpeg out of the recipe for 16-bit sets")
    return recipe


def _check_naming(naming: str) -> None:
    example = {"stem": "", "prefix": "", "n": 0, "index": 0}
    try:
        used = {name for _, name, _, _ in string.Formatter().parse(naming) if name is not None}
        if used <= example.keys():
            naming.format(**example)
            return
    except (AttributeError, LookupError, TypeError, ValueError):
        pass
    raise MatteError(f"naming '{naming}' may use {{stem}}, {{prefix}}, {{n}} and {{index}}")


def _check_numbers(part: Any, where: str) -> None:
    """Refuse numbers of a part of a recipe that lie outside of what the fields say."""
    for item in dataclasses.fields(part):
        value, name = getattr(part, item.name), f"{where}.{item.name}"
        if isinstance(value, Draw):
            _check_numbers(value, name)
            value, name = value.range, f"{name}.range"
        if value is None or "limits" not in item.metadata:
            continue
        least, most, words = item.metadata["limits"]
        values = value if isinstance(value, tuple) else (value,)
        if not all(least <= one <= most for one in values):
            raise MatteError(f"{name} must be {words}: got {_shown(value)}")
        if list(values) != sorted(values):
            raise MatteError(f"{name} must have its lower end first: got {_shown(value)}")


def _shown(value: Any) -> str:
    return str(list(value) if isinstance(value, tuple) else value)
