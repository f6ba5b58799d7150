"""What a run tells of its progress: speed, waiting for data, memory, and how long it will take."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

import torch
from torch import Tensor
from tqdm import tqdm

# Off a terminal a line is printed after the first step, then this many seconds apart at least.
_APART = 60.0


class TimedStream:
    """Batches of `stream`, and the seconds that were spent waiting for them."""

    def __init__(self, stream: Iterator[dict[str, Tensor]]) -> None:
        self.stream = stream
        self.waited = 0.0

    def __iter__(self) -> TimedStream:
        return self

    def __next__(self) -> dict[str, Tensor]:
        since = time.monotonic()
        try:
            return next(self.stream)
        finally:
            self.waited += time.monotonic() - since


class Meter:
    """Time a step, and of it waiting for data, since the last reset."""

    def __init__(self, step: int, stream: TimedStream) -> None:
        self.stream = stream
        self.reset(step)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out time that is not spent on steps, such as in a validation."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._started += time.monotonic() - began

    def read(self, step: int) -> dict[str, float]:
        """Seconds a step, and of them waiting for data."""
        steps = max(1, step - self._since)
        return {
            "s_per_step": (time.monotonic() - self._started) / steps,
            "data_wait_s": (self.stream.waited - self._waited) / steps,
        }

    def reset(self, step: int) -> None:
        """Start anew at `step`."""
        self._since, self._started = step, time.monotonic()
        self._waited = self.stream.waited


def memory_gb(device: torch.device) -> float | None:
    """Most memory that was in use so far, in GB: the GPU's, or this process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    try:
        import resource
    except ImportError:  # on Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # In bytes on macOS, in KiB elsewhere.
    return most / 1e9 if sys.platform == "darwin" else most * 1024 / 1e9


class Lines:
    """Progress after the first step, and as lines of text where no terminal could show a bar."""

    def __init__(self, bar: tqdm, device: torch.device, *, total: int, quiet: bool) -> None:
        self.bar = bar
        self.device = device
        self.total = total
        self.silent = quiet or sys.stderr.isatty()
        self._last: float | None = None

    def show(self, step: int, loss: Tensor, meter: Meter) -> None:
        """Print a line, if this is the first or the last one, or the one before is long ago."""
        if self.silent:
            if self._last is None and not self.bar.disable:
                self._last = time.monotonic()
                self.bar.set_postfix(loss=rounded(loss.item()))
            return
        now = time.monotonic()
        if self._last is not None and now - self._last < _APART and step < self.total:
            return
        self._last = now
        speed = meter.read(step)
        parts = [
            f"step {step}/{self.total}: loss {loss.item():.4g}",
            f"{speed['s_per_step']:.3g} s a step, of them {speed['data_wait_s']:.2g} s for data",
        ]
        if (memory := memory_gb(self.device)) is not None:
            parts.append(f"{memory:.1f} GB")
        if left := self.total - step:
            parts.append(f"{duration(left * speed['s_per_step'])} left")
        tqdm.write(", ".join(parts), file=sys.stderr)


def duration(seconds: float) -> str:
    """Write a time in the unit that suits it: ``40 s``, ``12 min``, ``5 h``, ``9 days``."""
    for unit, size, least in (("days", 86400, 48 * 3600), ("h", 3600, 2 * 3600), ("min", 60, 120)):
        if seconds >= least:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def rounded(value: float) -> float:
    """To six significant digits."""
    return float(f"{value:.6g}")
