"""Scoring many images: in order, in flat memory, and on a device with the same results."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mattecli.core.imaging.reading import read_alpha
from mattecli.core.imaging.writing import write_image
from mattecli.core.metrics import score
from mattecli.core.metrics.batched import score_batch
from mattecli.core.metrics.matching import Entry
from mattecli.core.metrics.score_task import score_jobs
from mattecli.core.metrics.scoring import Job

DATA = Path(__file__).parent / "data" / "metrics"
KINDS = ("pred", "gt", "trimap")
NAMES = sorted(path.stem for path in (DATA / "gt").iterdir())


def data_jobs(region: str) -> list[Job]:
    return [
        Job(
            0,
            Entry(name, *(DATA / kind / f"{name}.png" for kind in ("pred", "gt", "trimap"))),
            region,
        )
        for name in NAMES
    ]


@pytest.mark.parametrize("region", ["whole", "unknown", "detail"])
def test_device_batches_agree_with_the_processor(region):
    on_processor = list(score_jobs(data_jobs(region)))
    on_device = list(score_jobs(data_jobs(region), device=torch.device("cpu")))
    assert [job.entry.name for job, _ in on_device] == NAMES
    for (_, expected), (_, got) in zip(on_processor, on_device, strict=True):
        assert got.pixels == expected.pixels
        assert got.scores == pytest.approx(expected.scores, rel=1e-9, abs=1e-12)


def test_device_batch_of_constant_and_deep_mattes():
    ramp = np.tile(np.arange(40, dtype=np.uint16) * 1680, (30, 1))
    mattes = np.stack([ramp, np.full_like(ramp, 65535), np.zeros_like(ramp)])
    rows = score_batch(mattes, mattes[[1, 2, 0]], None, torch.device("cpu"))
    for row, p, t in zip(rows, mattes, mattes[[1, 2, 0]], strict=True):
        assert row == pytest.approx(score(p, t)[:4], rel=1e-9, abs=1e-12)


def test_batches_break_at_another_size_and_at_errors(tmp_path):
    jobs = data_jobs("whole")[:4]
    write_image(tmp_path / "small.png", np.full((20, 30), 90, np.uint8))
    jobs.insert(1, Job(0, Entry("small", tmp_path / "small.png", tmp_path / "small.png"), "whole"))
    jobs.insert(3, Job(0, Entry("gone", tmp_path / "gone.png", tmp_path / "small.png"), "whole"))
    results = list(score_jobs(jobs, device=torch.device("cpu")))
    assert [job.entry.name for job, _ in results] == [job.entry.name for job in jobs]
    assert "gone.png" in str(results[3][1])
    for job, result in (*results[:3], *results[4:]):
        expected = score(read_alpha(job.entry.prediction), read_alpha(job.entry.truth))
        assert result.scores == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("workers", [1, 2])
def test_only_a_handful_of_jobs_is_under_way(workers):
    """The generator of jobs, which may predict mattes, never runs far ahead of the results."""
    taken = 0

    def jobs():
        nonlocal taken
        for job in data_jobs("whole") * 4:
            taken += 1
            yield job._replace(alpha=read_alpha(job.entry.prediction))

    ahead = [taken - done for done, _ in enumerate(score_jobs(jobs(), workers))]
    assert len(ahead) == 4 * len(NAMES)
    assert max(ahead) <= 3 * workers
