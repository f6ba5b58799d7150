"""What holds for all tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

# Tests that start other processes share the cores with them, as do pytest-xdist's own: with two
# threads each these wait for one another eight times as long as they compute. They inherit what the
# first process has set. Libraries read this when they are imported, so it stands before all that
# imports one.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
else:
    os.environ.setdefault("OMP_NUM_THREADS", "2")

from training_material import make_data

# A shell's background jobs ignore Ctrl-C, and so would every process that a test starts there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = {
    *("test_code_checks.py", "test_int8.py", "test_training.py", "test_training_paper.py"),
    *("test_build_dataset.py", "test_serve_page.py", "test_training_stop.py"),
}


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes for the whole suite; files that are named are tested in this one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    named = any(Path(argument.partition("::")[0]).is_file() for argument in config.args)
    asked = os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS")
    count = int(asked or min(cores or 1, 2))
    return 0 if named or count < 2 else count


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no process waits for another at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk():
    """No test can see whether a file is on the disk already; waiting for it takes a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Red blobs on blue-green noise: pairs, cutouts and backgrounds to train on."""
    return make_data(tmp_path_factory.mktemp("data"))
