"""How a run goes about its work, and on which machines; see `mattecli.core.inference.options`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from mattecli.core.inference.declaring import CLUSTER_PANEL, NETWORK_PANEL, RUN_PANEL, option


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How a run goes about its work and what it reports."""

    batch_size: int | None = option(
        None,
        "Photos per pass through the network; halved where memory runs out.",
        panel=NETWORK_PANEL,
        min=1,
        show_default="1 on the CPU, else 8",
    )
    workers: int | None = option(
        None,
        "Threads that decode, and as many that encode.",
        panel=RUN_PANEL,
        min=1,
        show_default="one per core, 8 at most",
    )
    overwrite: bool = option(
        True,
        "Do photos again whose results are there, or skip them, which continues an interrupted "
        "run.",
        panel=RUN_PANEL,
        flags=("--overwrite/--skip-existing", " /--resume"),
    )
    dry_run: bool = option(
        False,
        "Say what would be read and written, and how large it is, and do nothing.",
        panel=RUN_PANEL,
        flags=("--dry-run",),
    )
    report: Path | None = option(
        None, "Append one line of JSON for each photo.", panel=RUN_PANEL, metavar="FILE"
    )
    review: Path | None = option(
        None,
        "Show the doubtful photos, worst first: a page of pictures, and a list to "
        "write hints into.",
        panel=RUN_PANEL,
        metavar="DIR",
    )
    preview: Path | None = option(
        None,
        "Write a contact sheet: photo, alpha, cutout of the first 60.",
        panel=RUN_PANEL,
        metavar="FILE",
    )
    price_per_hour: float | None = option(
        None,
        "Dollars that the machines cost an hour, to show what a run costs.",
        panel=CLUSTER_PANEL,
        min=0,
    )
    json_log: bool = option(
        False,
        "Say how each photo ended as a line of JSON on standard error, and nothing else.",
        panel=RUN_PANEL,
        flags=("--json-log",),
    )
    quiet: bool = option(
        False,
        "Print errors only, no progress, summary or warnings.",
        panel=RUN_PANEL,
        flags=("--quiet", "-q"),
    )

    def batch_size_on(self, device_type: str) -> int:
        """Give the batch size for ``cpu``, ``cuda`` or ``mps``."""
        return self.batch_size or (1 if device_type == "cpu" else 8)


@dataclasses.dataclass(frozen=True)
class ClusterOptions:
    """Which machines do the work, beside this one."""

    cluster: str | None = option(
        None,
        "Work on a Ray cluster: the one that this machine belongs to, the one at an address, or N "
        "workers on this machine.",
        panel=CLUSTER_PANEL,
        metavar="auto|ADDRESS|local:N",
    )
    actors: int | None = option(
        None,
        "Workers to ask for, also of a cluster that grows when it is asked.",
        panel=CLUSTER_PANEL,
        min=1,
        show_default="as many as there is room for",
    )
    cpus_per_actor: int = option(1, "Cores of each worker.", panel=CLUSTER_PANEL, min=1)
    gpus_per_actor: float | None = option(
        None,
        "GPUs of each worker, such as 0.5 for two that share one.",
        panel=CLUSTER_PANEL,
        min=0,
        show_default="1 if there are any and --device allows it",
    )
