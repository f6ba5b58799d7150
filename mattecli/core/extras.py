"""Packages that come with an extra of the installation: what is missing, and how to get it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mattecli.core.errors import MatteError

#: The distribution without PyTorch, from `packaging/lite`.
LIGHT = "mattecli-lite"


def is_light() -> bool:
    """Tell whether this is the installation without PyTorch."""
    from importlib import metadata

    try:
        metadata.version("mattecli")
    except metadata.PackageNotFoundError:
        # A working copy that is run as it is counts as complete.
        return any(True for _ in metadata.distributions(name=LIGHT))
    return False


def install_line(extra: str) -> str:
    """Give the command that installs an extra of this distribution."""
    return f"pip install '{LIGHT if is_light() else 'mattecli'}[{extra}]'"


@contextlib.contextmanager
def needs_extra(what: str, extra: str, where: str = "") -> Iterator[None]:
    """Say of imports in a ``with`` block what needs them, and how to install them.

    Parameters
    ----------
    what : str
        What is not done without them, as the subject of a sentence.
    extra : str
        Name of the extra that brings them.
    where : str
        What follows the command, where it is not for this machine alone.

    Raises
    ------
    MatteError
        If an import fails.
    """
    try:
        yield
    except ImportError:
        line = install_line(extra)
        raise MatteError(f"{what} needs a package that is not installed: {line}{where}") from None
