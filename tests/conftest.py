"""What holds for all tests."""

import os

# The tests that start other processes share the cores with them.
os.environ.setdefault("OMP_NUM_THREADS", "2")
