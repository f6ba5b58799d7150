"""What a network's configuration and tensors may be, checked before anything is allocated.

Weights files come from strangers, and their headers say what is built.
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mattecli.core.errors import MatteError, suggest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from torch import nn

_WIDTH = (1, 2048)
_POWERS = (1, 2, 4, 8, 16, 32)

#: Least and greatest value of every setting that is a number, or a tuple of numbers. A new one
#: needs a line here.
BOUNDS: dict[str, tuple[int, int]] = {
    "output_stride": (4, 32),
    "aspp_rates": (1, 64),
    "pyramid_channels": _WIDTH,
    "cue_strides": (1, 32),
    "cue_channels": _WIDTH,
    "detail_channels": (0, 1024),
    "guided_strides": (1, 32),
    "guidance_stride": (1, 32),
    "context_blocks": (0, 16),
    "predict_size": (32, 8192),
    "first_pass_size": (0, 8192),
}
#: Of those, the ones that are powers of two.
STRIDES = ("output_stride", "cue_strides", "guided_strides", "guidance_stride")
#: How many numbers a tuple has at least, where not none, and how many at most.
LEAST_ENTRIES = {"cue_strides": 1, "cue_channels": 1}
MOST_ENTRIES = 8

# Names of timm's models, with or without the tag of their weights; no address, no path.
_ENCODER = re.compile(r"[A-Za-z0-9_]{1,80}(\.[A-Za-z0-9_]{1,80})?")


def check_settings(config: DataclassInstance) -> None:
    """Refuse a configuration with a value of the wrong type or out of its bounds.

    Raises
    ------
    MatteError
    """
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        _check_setting(field.name, getattr(config, field.name), hints[field.name])


def check_encoder(name: str) -> None:
    """Refuse an encoder that timm would have to fetch from somewhere, or does not know.

    Raises
    ------
    MatteError
    """
    import timm

    if not timm.is_model(name):
        known = timm.list_models()
        hint = suggest(name, known) if len(known) < 20 else _near(name, known)
        raise MatteError(f"encoder '{name}' is not among timm's models{hint}")


def parse_object(text: str | None, what: str) -> dict[str, Any]:
    """Read a JSON object in which every key stands once.

    Raises
    ------
    MatteError
        If there is none, naming it `what`.
    """
    if text is None:
        raise MatteError(f"{what} is missing")
    try:
        found = json.loads(text, object_pairs_hook=_without_doubles)
    # Besides what is no JSON: integers of thousands of digits, lists nested thousands deep.
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, _Double) else "not JSON"
        raise MatteError(f"{what} is damaged: {reason}") from None
    if not isinstance(found, dict):
        raise MatteError(f"{what} is damaged: not a table of settings")
    return found


def check_shapes(network: nn.Module, shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Compare the shapes of a file's tensors with those that a network has places for.

    Parameters
    ----------
    network : torch.nn.Module
        May be on PyTorch's meta device, where it takes no memory.
    shapes : dict
        By name, as the header of the file at `path` says.

    Raises
    ------
    MatteError
        If a tensor is missing, left over, or has another shape.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    reason = ""
    if missing := sorted(set(wanted) - set(shapes)):
        reason = f"{_some(missing)} missing"
    elif unknown := sorted(set(shapes) - set(wanted)):
        reason = f"{_some(unknown)} not of this network"
    else:
        for name, shape in wanted.items():
            if shapes[name] != shape:
                reason = f"{name} has the shape {shapes[name]}, not {shape}"
                break
    if reason:
        raise MatteError(f"{path}: tensors do not fit the configuration ({reason})")


class _Double(ValueError):
    """A key that stands twice, of which JSON would take the last."""


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise _Double(f"'{double}' stands there twice")
    return found


def _check_setting(name: str, value: Any, hint: Any) -> None:
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, tuple):
            raise _wrong(name, value, "a list of whole numbers")
        least = LEAST_ENTRIES.get(name, 0)
        if not least <= len(value) <= MOST_ENTRIES:
            raise MatteError(f"{name} must have {least} to {MOST_ENTRIES} entries: {len(value)}")
        for entry in value:
            _check_number(name, entry)
    elif hint is int:
        _check_number(name, value)
    elif hint is bool:
        if type(value) is not bool:
            raise _wrong(name, value, "true or false")
    elif type(value) is not str:
        raise _wrong(name, value, "text")
    elif name == "encoder" and not _ENCODER.fullmatch(value):
        raise MatteError(f"encoder '{value}' is no name of a model of timm's")


def _check_number(name: str, value: Any) -> None:
    low, high = BOUNDS[name]
    if type(value) is not int:
        raise _wrong(name, value, "a whole number")
    if not low <= value <= high:
        shown = value if abs(value) < 10**18 else "what it is"
        raise MatteError(f"{name} must be {low} to {high}, not {shown}")
    if name in STRIDES and value not in _POWERS:
        raise MatteError(f"{name} must be a power of two, not {value}")


def _wrong(name: str, value: Any, wanted: str) -> MatteError:
    return MatteError(f"{name} must be {wanted}, not {repr(value)[:100]}")


def _near(name: str, known: Iterable[str]) -> str:
    hint = suggest(name, known)
    return f": {hint}" if hint.startswith("did you mean") else " ('timm.list_models()' names them)"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"
