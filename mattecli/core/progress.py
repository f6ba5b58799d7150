"""The one progress bar: on standard error, silent when that is not a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress(
    items: Iterable[Any] | None = None,
    *,
    total: int | None = None,
    label: str = "",
    unit: str = "image",
    quiet: bool = False,
    stays: bool = True,
) -> tqdm:
    """Wrap `items`, or count by hand with ``.update()``, showing items/s and the time left.

    ``.set_postfix(failed=2)`` adds values; use it as a context manager when counting by hand. One
    that does not stay is wiped away at its end.
    """
    return tqdm(
        items,
        total=total,
        desc=label or None,
        unit=unit,
        # None lets tqdm fall silent where standard error is not a terminal.
        disable=True if quiet else None,
        leave=stays,
        dynamic_ncols=True,
        smoothing=0.1,
    )
