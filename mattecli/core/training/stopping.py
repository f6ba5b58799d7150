"""Leaving a step that is under way, since at the paper's sizes one takes minutes on a CPU."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn

from mattecli.core.training.processes import Processes

#: Seconds from a stop on in which files may be written. Two more, and the process is gone: the last
#: piece is written whole, and leaving Python takes one on a busy machine.
WRITING = 3.0


class Stopped(KeyboardInterrupt):
    """A stop was asked for in the middle of a step or a validation.

    No `Exception`, so that nothing takes it for a damaged photo or a lack of memory.
    """


def never_asked() -> bool:
    """Answer whether training is to end before its last step: no."""
    return False


class Stop:
    """Whether training is to end, asked of one process or agreed on by several.

    Parameters
    ----------
    asked : callable
        Whether this process was asked to stop.
    """

    def __init__(self, asked: Callable[[], bool], processes: Processes) -> None:
        self._asked = asked
        self._since: float | None = None
        self.processes = processes

    def asked(self) -> bool:
        """Tell whether this process was asked."""
        if not self._asked():
            return False
        if self._since is None:
            self._since = time.monotonic()
        return True

    def seconds_left(self) -> float:
        """Give the time that is left for writing files; inf if nobody asked."""
        if not self.asked() or self._since is None:
            return math.inf
        return self._since + WRITING - time.monotonic()

    def agreed(self) -> bool:
        """Tell whether any process was asked; all must call it, or the others wait forever."""
        return bool(self.processes.total([float(self.asked())])[0])

    def between_parts(self, parts: int) -> None:
        """Leave the step if a stop is wanted.

        A GPU does a part in less time than processes need for coming to an agreement on it.

        Raises
        ------
        Stopped
        """
        alone = self.processes.world == 1
        if self.asked() if alone else (self._slow(parts) and self.agreed()):
            raise Stopped

    def _slow(self, parts: int) -> bool:
        return parts > 1 or self.processes.device.type == "cpu"

    @contextlib.contextmanager
    def between_operations(self, *networks: nn.Module | None) -> Iterator[None]:
        """Leave forward and backward passes of `networks` between any two convolutions.

        On the CPU, where a pass may take minutes, and in a single process: several would have to
        agree. Python runs a signal's handler where it comes to its own code, as in these hooks.
        """
        if self.processes.world > 1 or self.processes.device.type != "cpu":
            yield
            return

        def check(*_: Any) -> None:
            if self.asked():
                raise Stopped

        def watch(_: nn.Module, __: Any, output: Tensor) -> None:
            check()
            if output.requires_grad:
                output.register_hook(check)

        handles = [
            module.register_forward_hook(watch)
            for network in networks
            if network is not None
            for module in network.modules()
            if isinstance(module, nn.Conv2d)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
