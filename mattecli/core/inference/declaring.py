"""How options are declared: as fields of dataclasses, each on a panel of the help."""

from __future__ import annotations

import dataclasses
from typing import Any

INPUTS_PANEL, RESULTS_PANEL, CANVAS_PANEL, EDGES_PANEL = "Inputs", "Results", "Canvas", "Edges"
MATTE_PANEL, HINTS_PANEL, NETWORK_PANEL, RUN_PANEL = "Matte", "Hints", "Network", "Run"
CLUSTER_PANEL = "Cluster"


def option(default: Any, help: str, *, panel: str = "", flags: tuple[str, ...] = (), **more: Any):
    """Declare a field of a dataclass as an option.

    Parameters
    ----------
    help : str
        Its line in ``--help``, on the panel `panel`.
    flags : tuple of str
        How it is spelt on the command line, where its name does not say so.
    **more
        What else ``typer.Option`` takes, such as ``min``; ``aliases``, older spellings that still
        work and are not shown; ``bare``, what the option means where no number follows it.
    """
    if panel:
        more["rich_help_panel"] = panel
    metadata = {"help": help, "flags": flags, **more}
    if isinstance(default, list):
        return dataclasses.field(default_factory=list, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
