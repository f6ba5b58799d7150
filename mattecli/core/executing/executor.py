"""The one place that chooses who does the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mattecli.core.errors import MatteError
from mattecli.core.executing.tasks import Answer, ClusterPlan, Executor, Item, Task
from mattecli.core.ranks import rank_and_world


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
    try:
        import ray  # noqa: F401
    except ImportError:
        raise MatteError(
            "--cluster needs a library: pip install 'mattecli[ray]', here and on all machines of "
            "the cluster"
        ) from None
    from mattecli.core.executing.ray_pool import RayExecutor

    return RayExecutor(plan)
