"""What holds for all tests."""

import os

import pytest
from training_material import make_data

# The tests that start other processes share the cores with them.
os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Red blobs on blue-green noise: pairs, cutouts and backgrounds to train on."""
    return make_data(tmp_path_factory.mktemp("data"))
