"""What a run says of itself: a line of JSON a logged step, and TensorBoard if wanted."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType

import numpy as np

from mattecli.core.errors import MatteError


class RunLog:
    """Appends to ``log.jsonl`` in `run` and, with `tensorboard`, to ``tensorboard/`` there.

    Raises
    ------
    MatteError
        If TensorBoard is wanted but not installed.
    """

    def __init__(self, run: Path, *, tensorboard: bool = False) -> None:
        self.writer = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise MatteError(
                    "TensorBoard is not installed: pip install 'mattecli[tensorboard]'"
                ) from None
            self.writer = SummaryWriter(run / "tensorboard")
        self.file = open(run / "log.jsonl", "a", encoding="utf-8")  # noqa: SIM115

    def write(self, step: int, values: dict[str, float]) -> None:
        """Log figures by name."""
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
