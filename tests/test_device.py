"""Choosing a device where there are several."""

from __future__ import annotations

import pytest
import torch

from mattecli.core.device import choose_device
from mattecli.core.errors import MatteError


@pytest.fixture
def four_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


@pytest.mark.parametrize(
    ("asked", "given"), [("auto", "cuda:2"), ("cuda", "cuda:2"), ("cuda:0", "cuda:0")]
)
def test_processes_of_a_launcher_take_a_gpu_each(four_gpus, monkeypatch, asked, given):
    for name, value in (("RANK", "6"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "2")):
        monkeypatch.setenv(name, value)
    assert choose_device(asked) == torch.device(given)
    monkeypatch.setenv("LOCAL_RANK", "4")
    if asked != "cuda:0":
        with pytest.raises(MatteError, match=r"cuda:4.*found 4 GPU"):
            choose_device(asked)


def test_a_single_process_leaves_the_choice_to_cuda(four_gpus, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda")
