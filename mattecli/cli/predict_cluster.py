"""``matte predict --cluster``: which cluster, and what does not go with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mattecli.cli.predict_checks import Usage
from mattecli.core.inference.options import ClusterOptions, SourceOptions

if TYPE_CHECKING:
    from mattecli.core.executing.tasks import ClusterPlan


def check_cluster(
    options: ClusterOptions, usage: Usage, sources: list[str], out: str, inputs: SourceOptions
) -> None:
    """Refuse what does not go with a cluster, or needs one.

    Raises
    ------
    typer.BadParameter
        If there is any.
    """
    from mattecli.core.errors import MatteError
    from mattecli.core.executing.tasks import parse_place

    if options.cluster is None:
        if options != ClusterOptions(price_per_hour=options.price_per_hour):
            raise typer.BadParameter("--actors, --cpus-per-actor, --gpus-per-actor need --cluster")
        return
    if usage.of_clip or inputs.watch or "-" in (*sources, out):
        raise typer.BadParameter("--cluster cuts photos of files and stores, without --watch")
    try:
        parse_place(options.cluster)
    except MatteError as error:
        raise typer.BadParameter(str(error)) from None


def plan_of(options: ClusterOptions, device: str) -> ClusterPlan | None:
    """Give the cluster that is wanted; None is this machine."""
    from mattecli.core.executing.tasks import ClusterPlan

    if options.cluster is None:
        return None
    return ClusterPlan(
        options.cluster,
        options.actors,
        options.cpus_per_actor,
        options.gpus_per_actor,
        uses_gpu=device == "auto" or device.startswith("cuda"),
    )
