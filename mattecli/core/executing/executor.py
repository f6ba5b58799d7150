"""The one place that chooses who does the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from mattecli.core.errors import MatteError
from mattecli.core.executing.tasks import Answer, ClusterPlan, Executor, Item, Task
from mattecli.core.extras import needs_extra
from mattecli.core.ranks import rank_and_world

# Read by Ray as it is imported and started; what is set already stays.
_RAY = {
    # What it says of itself is not for whoever runs matte, nor are its reports to its makers.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Workers get as much of a busy machine as the threads would that they stand for.
    "RAY_worker_niceness": "0",
}


class Here:
    """Does tasks in this process."""

    def run(
        self,
        task: Task[Item, Answer],
        items: Iterable[Item],
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[Answer]:
        """Give what the task gives; see `Executor`."""
        return task.run_here(items, stopped)


def executor_for(plan: ClusterPlan | None) -> Executor:
    """Choose who works: this process without a plan, a cluster otherwise.

    Raises
    ------
    MatteError
        If a library is missing, or a launcher has started several of this process.
    """
    if plan is None:
        return Here()
    if rank_and_world()[1] > 1:
        raise MatteError("--cluster has its own workers: run it without torchrun")
    for name, value in _RAY.items():
        os.environ.setdefault(name, value)
    with needs_extra("--cluster", "ray", ", here and on all machines of the cluster"):
        import ray  # noqa: F401
    from mattecli.core.executing.ray_pool import RayExecutor

    return RayExecutor(plan)
