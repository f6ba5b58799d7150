"""What holds for all tests."""

from __future__ import annotations

import os

import pytest

# Tests that start other processes share the cores with them, as do pytest-xdist's own. Libraries
# read this when they are imported, so it stands before all that imports one.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")

from training_material import make_data


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes for the whole suite; files that are named are tested in this one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    whole = config.args_source is not pytest.Config.ArgsSource.ARGS
    return 2 if whole and (cores or 1) > 1 else 0


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Red blobs on blue-green noise: pairs, cutouts and backgrounds to train on."""
    return make_data(tmp_path_factory.mktemp("data"))
