"""Executors give every answer once, whoever dies; the cluster is a small one of this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from cluster_tasks import Squares
from crashing import CRASHES, CrashingPhotos
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.executing.executor import executor_for
from mattecli.core.executing.tasks import ClusterPlan, parse_place
from mattecli.core.imaging.reading import read_color
from mattecli.core.imaging.writing import write_image
from mattecli.core.inference.jobs import Job
from mattecli.core.inference.options import PredictOptions
from mattecli.core.inference.run import Settings
from mattecli.core.inference.run_options import RunOptions
from mattecli.core.matting.outputs import OutputSpec

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("place", ["auto", "head:6379", "ray://head.example.com:10001"])
def test_clusters_elsewhere(place):
    assert parse_place(place) is None


def test_a_cluster_of_this_machine():
    assert parse_place("local:12") == 12


@pytest.mark.parametrize("place", ["local", "local:0", "local:-1", "head", "", "auto:3x"])
def test_places_that_are_none(place):
    with pytest.raises(MatteError, match="is no cluster"):
        parse_place(place)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MatteError, match=r"pip install 'mattecli\[ray\]'"):
        executor_for(ClusterPlan("local:2"))


def test_a_launcher_and_a_cluster_exclude_one_another(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(MatteError, match="without torchrun"):
        executor_for(ClusterPlan("local:2"))


def test_here_is_in_this_process(tmp_path):
    assert list(executor_for(None).run(Squares(tmp_path), [1, 2, 3])) == [1, 4, 9]
    assert (tmp_path / "1").read_text() == f"{os.getpid()}\n"


@pytest.fixture
def cluster(monkeypatch):
    # Not imported yet: Ray reads then how much it is to say.
    if importlib.util.find_spec("ray") is None:
        pytest.skip("pip install 'mattecli[test-scale]'")
    here = Path(__file__).parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(here), str(here.parent)]))
    return executor_for(ClusterPlan("local:2"))


def pids(notes: Path, item: object) -> list[str]:
    return (notes / str(item)).read_text().split()


def test_who_kills_is_told_from_who_was_near(cluster, tmp_path):
    items = [*range(20), "killer", *range(20, 30), "unlucky", *range(30, 40)]
    answers = list(cluster.run(Squares(tmp_path), iter(items)))
    lost = [answer for answer in answers if isinstance(answer, str)]
    assert sorted(answer for answer in answers if not isinstance(answer, str)) == [
        -1,  # the unlucky one, at its second try
        *[number**2 for number in range(40)],
    ]
    assert len(lost) == 1 and lost[0].startswith("killer: its worker was killed, twice")
    assert len(set(pids(tmp_path, "killer"))) == 2
    assert len(set(pids(tmp_path, "unlucky"))) == 2
    # Nothing is done a third time, and little a second time.
    tries = [len(pids(tmp_path, item)) for item in items]
    assert max(tries) == 2 and sum(tries) - len(items) <= 2 + 3


def test_what_makes_work_impossible_ends_the_run(cluster, tmp_path):
    with pytest.raises(MatteError, match="no such weights"):
        list(cluster.run(Squares(tmp_path, "no such weights"), [1]))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_ends_the_run_and_so_does_a_stop(cluster, tmp_path):
    done: list[int] = []
    items = iter([*range(40), "full", *range(40, 100)])
    with pytest.raises(OutputUnusable, match="the disk is full"):
        done.extend(cluster.run(Squares(tmp_path), items))
    assert next(items) < 60  # what is left is not taken


def test_nothing_to_do_needs_no_cluster(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(type(cluster), "_connect", lambda self: pytest.fail("it was started"))
    assert list(cluster.run(Squares(tmp_path), iter([]))) == []


def predict(*arguments: object):
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


def test_photos_have_the_same_bytes_whoever_cuts_them(cluster, tmp_path):
    photo = cv2.resize(read_color(ROOT / "examples" / "cat.jpg"), (160, 120))
    for number in range(6):
        write_image(tmp_path / "in" / f"{number}.png", np.roll(photo, 9 * number, axis=1))
    (tmp_path / "in" / "damaged.png").write_bytes(b"none")
    results = []
    for name, where in (("here", ()), ("there", ("--cluster", "local:2", "--price-per-hour", 1))):
        report = tmp_path / f"{name}.jsonl"
        done = predict(tmp_path / "in", tmp_path / name, "--size", 64, "--report", report, *where)
        assert done.exit_code == 1 and "1 failed" in done.output, (done.output, done.exception)
        lines = map(json.loads, report.read_text().splitlines())
        files = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        results.append((sorted((line["input"], line["status"]) for line in lines), files))
    assert results[0] == results[1] and len(results[0][0]) == 7 and len(results[0][1]) == 6
    assert "$0.0" in done.output


def test_a_photo_that_crashes_a_decoder_fails_alone(cluster, tmp_path, capfd):
    photo = cv2.resize(read_color(ROOT / "examples" / "cat.jpg"), (80, 60))
    jobs = []
    for number in range(7):
        path = tmp_path / f"{number}.png"
        write_image(path, photo)
        jobs.append(Job(path, {"cutout": tmp_path / "out" / path.name}))
    jobs[2].source.write_bytes(CRASHES)
    task = CrashingPhotos(
        Settings(OutputSpec(("cutout",))), PredictOptions(size=64), RunOptions(workers=1)
    )
    outcomes = {outcome.job.source.stem: outcome for outcome in cluster.run(task, iter(jobs))}
    assert len(outcomes) == 7
    assert [name for name, outcome in outcomes.items() if outcome.status == "failed"] == ["2"]
    assert "its worker was killed, twice: it crashed" in outcomes["2"].reason
    assert len(list((tmp_path / "out").iterdir())) == 6
    assert "raylet" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "options",
    [
        ("in", "out", "--cluster", "somewhere"),
        ("in", "out", "--actors", "2"),
        ("-", "-", "--cluster", "local:2"),
        ("clip.mp4", "out.mov", "--cluster", "local:2"),
    ],
)
def test_what_does_not_go_with_a_cluster_is_wrong_usage(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    assert predict(*options).exit_code == 2


def test_sets_have_the_same_bytes_whoever_makes_them(cluster, tmp_path):
    rng = np.random.default_rng(3)
    for number in range(3):
        cutout = rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)
        cutout[:3, :, 3], cutout[5:15, 5:25, 3] = 0, 255
        write_image(tmp_path / "fg" / f"{number}.png", cutout)
        write_image(tmp_path / "bg" / f"{number}.png", cutout[..., :3])
    sets = []
    for name, where in (("here", ("--workers", "1")), ("there", ("--cluster", "local:2"))):
        roots = ("--foregrounds", str(tmp_path / "fg"), "--backgrounds", str(tmp_path / "bg"))
        out = str(tmp_path / name)
        done = CliRunner().invoke(
            app, ["build-dataset", out, *roots, "--per-foreground", "2", *where]
        )
        assert done.exit_code == 0 and "6 made" in done.output, (done.output, done.exception)
        files = (path for path in Path(out).rglob("*") if path.is_file())
        sets.append({path.relative_to(out): path.read_bytes() for path in files})
    assert sets[0] == sets[1]
