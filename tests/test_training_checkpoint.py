"""Checkpoints, averaged weights and the optimizer, without a whole run."""

from __future__ import annotations

import errno
import os
from collections import namedtuple
from unittest import mock

import pytest
import torch
from torch import nn

from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.training import checkpoint
from mattecli.core.training.checkpoint import load_checkpoint, save_checkpoint
from mattecli.core.training.optimization import AveragedNetwork

Usage = namedtuple("Usage", "total used free")


def test_a_checkpoint_that_would_not_fit_is_not_begun_and_the_old_one_stays(tmp_path):
    path = tmp_path / "last/checkpoint.pt"
    weights = {"optimizer": {"state": [torch.ones(1000, 250)]}}
    disk = "mattecli.core.training.checkpoint.shutil.disk_usage"
    with mock.patch(disk, return_value=Usage(0, 0, 3_000_000)):
        save_checkpoint(path, {"step": 1} | weights)
    with (
        mock.patch(disk, return_value=Usage(0, 0, 1_200_000)),
        pytest.raises(MatteError, match=r"1 MiB free, a checkpoint needs 2 MiB.*--resume"),
    ):
        save_checkpoint(path, {"step": 2} | weights)
    assert load_checkpoint(path)["step"] == 1
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.pt"]


def test_a_disk_that_fills_up_is_one_line_and_the_old_one_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_PIECE", 256)
    path, pieces = tmp_path / "checkpoint.pt", []
    save_checkpoint(path, {"step": 1})

    def full():
        pieces.append(None)
        if len(pieces) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OutputUnusable, match=r"cannot write .*checkpoint\.pt: No space left"):
        save_checkpoint(path, {"step": 2, "weights": torch.ones(1000)}, full)
    assert load_checkpoint(path)["step"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_averaged_weights_follow_the_formula_and_statistics_are_copied():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    average = AveragedNetwork(network, 0.75)
    before = network[0].weight.detach().clone()
    with torch.no_grad():
        network[0].weight += 1
        network[1].running_mean += 2
    average.update(network, 0)
    assert torch.allclose(average.network[0].weight, before + 0.9), "the first decay is 1/10"
    average.update(network, 1000)
    assert torch.allclose(average.network[0].weight, before + 0.75 * 0.9 + 0.25)
    assert torch.equal(average.network[1].running_mean, network[1].running_mean)
