"""The log of a run: one line of JSON per logged step, and TensorBoard if wanted."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mattecli.core.extras import needs_extra
from mattecli.core.storage import clear_errors, write_whole


class RunLog:
    """Appends to ``log.jsonl`` in `run` and, with `tensorboard`, to ``tensorboard/`` there.

    Lines after `step`, the step of the checkpoint that a run continues from, are dropped: those
    steps are done again.

    Raises
    ------
    MatteError
        If TensorBoard is wanted but not installed.
    """

    def __init__(self, run: Path, step: int, *, tensorboard: bool = False) -> None:
        self.writer: Any = None
        if tensorboard:
            with needs_extra("--tensorboard", "tensorboard"):
                from torch.utils.tensorboard import SummaryWriter
            self.writer = SummaryWriter(run / "tensorboard", purge_step=step + 1)
        path = run / "log.jsonl"
        if path.exists():
            write_whole(path, _up_to(step, path.read_bytes()))
        self.path = path
        with clear_errors(path):
            self.file = open(path, "a", encoding="utf-8")  # noqa: SIM115

    def write(self, step: int, values: dict[str, float]) -> None:
        """Log values by name."""
        with clear_errors(self.path):
            self.file.write(json.dumps({"step": step, **values}) + "\n")
            self.file.flush()
        for name, value in values.items() if self.writer else ():
            self.writer.add_scalar(name.replace("val_", "validation/"), value, step)

    def show(self, step: int, rows: list[np.ndarray]) -> None:
        """Keep preview pictures, uint8 HxWx3, for TensorBoard."""
        for number, row in enumerate(rows if self.writer else ()):
            self.writer.add_image(f"validation/{number}", row, step, dataformats="HWC")

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.file.close()
        if self.writer:
            self.writer.close()


def _up_to(step: int, log: bytes) -> bytes:
    """Keep the lines of a log up to `step`; the last one may be cut off."""
    kept = []
    for line in log.splitlines(keepends=True):
        with contextlib.suppress(ValueError):
            if json.loads(line)["step"] <= step and line.endswith(b"\n"):
                kept.append(line)
    return b"".join(kept)
