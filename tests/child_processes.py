"""Processes of their own for ``matte train``: what takes seconds to import is imported once.

They are forked from a server that has imported the trainer and done nothing else, so each starts in
a fraction of a second, and is as new as one that a shell starts.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path

import torch

MATTE = "from mattecli.cli import app; app.main()"

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["mattecli.core.training.trainer", "torch.distributed.run"])


class Child:
    """Python code that is run with arguments in a process of its own."""

    def __init__(self, code: str, *arguments: object, said: Path) -> None:
        self.said = said
        self._start(_run, code, list(map(str, arguments)))

    def _start(self, work, *how: object) -> None:
        arguments = (str(self.said), torch.get_num_threads(), work, *how)
        self.process = _context.Process(target=_begin, args=arguments)
        self.process.start()

    def wait(self) -> tuple[int, str]:
        """Give the exit code, or minus the signal, and what was printed."""
        self.process.join(timeout=120)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
        assert code is not None, f"still running: {self.said.read_text()}"
        return code, self.said.read_text()


class Launched(Child):
    """Two processes as torchrun starts them, and starts them again `restarts` times."""

    def __init__(self, code: str, *arguments: object, said: Path, restarts: int = 0) -> None:
        self.said = said
        self._start(_launch, code, list(map(str, arguments)), restarts)


def _begin(said: str, threads: int, work, *how: object) -> None:
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    # A signal to its whole group, as a terminal sends it, leaves the tests alone.
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Sums differ in the last digit with the number of threads.
    torch.set_num_threads(threads)
    work(*how)


def _run(code: str, arguments: list[str]) -> None:
    sys.argv = ["matte", *arguments]
    exec(code, {"__name__": "__main__"})


def _launch(code: str, arguments: list[str], restarts: int) -> None:
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        **{"min_nodes": 1, "max_nodes": 1, "nproc_per_node": 2, "max_restarts": restarts},
        **{"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "start_method": "fork"},
        # Else processes look for one another by the host name, which not every machine resolves.
        local_addr="127.0.0.1",
    )
    elastic_launch(config, _work_for_launcher)(code, arguments)


def _work_for_launcher(code: str, arguments: list[str]) -> None:
    try:
        _run(code, arguments)
    except SystemExit as stop:
        if stop.code:
            raise RuntimeError(f"exit code {stop.code}") from None
