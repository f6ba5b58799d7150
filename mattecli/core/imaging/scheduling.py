"""What libraries do to the scheduling of the process that calls them, and undoing it."""

from __future__ import annotations

import os
from contextlib import suppress


def leave_real_time() -> None:
    """Put all threads of this process that run in real time back among the ordinary ones.

    For root, SVT-AV1 makes real-time threads of the highest priority (SCHED_FIFO, 99) of its own
    threads and of the one that opens it, which then take a core from all else on the machine. Only
    Linux has such.
    """
    if not hasattr(os, "sched_setscheduler"):
        return
    with suppress(OSError):
        for thread in map(int, os.listdir("/proc/self/task")):
            # A thread may have ended since it was listed.
            with suppress(OSError):
                if os.sched_getscheduler(thread) in (os.SCHED_FIFO, os.SCHED_RR):
                    os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
