"""``--cluster``: which cluster, and what does not go with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mattecli.core.inference.run_options import ClusterOptions

if TYPE_CHECKING:
    from mattecli.core.executing.tasks import Executor


def check_cluster(options: ClusterOptions, *, unfit: str = "") -> None:
    """Refuse what is no cluster, does not go with one, or needs one.

    Parameters
    ----------
    unfit : str
        Why the rest of the command does not go with a cluster, if it does not.

    Raises
    ------
    typer.BadParameter
        If there is any.
    """
    from mattecli.core.errors import MatteError
    from mattecli.core.executing.tasks import parse_place

    if options.cluster is None:
        if options != ClusterOptions():
            raise typer.BadParameter("--actors, --cpus-per-actor, --gpus-per-actor need --cluster")
        return
    if unfit:
        raise typer.BadParameter(f"--cluster {unfit}")
    try:
        parse_place(options.cluster)
    except MatteError as error:
        raise typer.BadParameter(str(error)) from None


def chosen_executor(options: ClusterOptions, *, uses_gpu: bool = False) -> Executor:
    """Give who works: this process, or the cluster that is wanted.

    Parameters
    ----------
    uses_gpu : bool
        Whether the work can be done on a GPU.

    Raises
    ------
    MatteError
        If a library is missing, or a launcher has started several of this process.
    """
    from mattecli.core.executing.executor import executor_for
    from mattecli.core.executing.tasks import ClusterPlan

    if options.cluster is None:
        return executor_for(None)
    return executor_for(
        ClusterPlan(
            options.cluster,
            options.actors,
            options.cpus_per_actor,
            options.gpus_per_actor,
            uses_gpu=uses_gpu,
        )
    )


def may_use_gpu(device: str) -> bool:
    """Tell whether a value of ``--device`` lets a GPU be used."""
    return device == "auto" or device.startswith("cuda")
