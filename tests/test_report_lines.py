"""A report has one line for each photo, however often its run was broken off and taken up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from test_predict import load_red_is_subject
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import OutputUnusable
from mattecli.core.imaging.writing import write_image
from mattecli.core.inference.jobs import Job
from mattecli.core.inference.report import Report
from mattecli.core.inference.steps import Outcome
from mattecli.core.runtime import loading


def outcome(name: str, status: str = "ok", out: str = "out") -> Outcome:
    return Outcome(Job(Path(f"in/{name}.jpg"), {"cutout": Path(out, f"{name}.png")}), status)


def write(path: Path, *outcomes: Outcome, resumes: bool = True) -> None:
    with Report(path, resumes=resumes) as report:
        for each in outcomes:
            report.add(each)


def lines(path: Path) -> list[tuple[str, str]]:
    read = map(json.loads, path.read_text().splitlines())
    return [(Path(line["input"]).stem, line["status"]) for line in read]


@pytest.fixture
def report(tmp_path):
    return tmp_path / "report.jsonl"


def test_what_is_there_gets_a_line_only_if_it_has_none(report):
    write(report, outcome("a"), outcome("b", "empty"))
    for _ in range(2):
        write(report, *(outcome(name, "skipped") for name in "abc"), outcome("d"))
    assert lines(report) == [("a", "ok"), ("b", "empty"), ("c", "skipped"), ("d", "ok")]


def test_a_photo_that_failed_before_has_its_last_line(report):
    write(report, outcome("a", "failed"), outcome("b", "failed"), outcome("c"))
    write(report, outcome("a"), outcome("b", "failed"), outcome("c", "skipped"))
    assert lines(report) == [("c", "ok"), ("a", "ok"), ("b", "failed")]


@pytest.mark.parametrize("status", ["ok", "failed"])
def test_results_that_were_lost_have_their_last_line(report, status):
    write(report, outcome("a"), outcome("b"))
    write(report, outcome("a", status), outcome("b", "skipped"))
    assert lines(report) == [("b", "ok"), ("a", status)]


def test_lines_of_other_results_and_of_others_stay(report):
    report.write_text('no line of ours\n{"input": "in/a.jpg"}\n')
    before = report.read_text()
    write(report, outcome("a"), outcome("b", "failed"))
    write(report, outcome("a", "skipped", out="elsewhere"), outcome("c"))
    text = report.read_text()
    assert text.startswith(before)
    assert lines_of(text[len(before) :]) == [
        ("a", "out/a.png"),
        ("b", None),
        ("a", "elsewhere/a.png"),
        ("c", "out/c.png"),
    ]


def lines_of(text: str) -> list[tuple[str, str | None]]:
    read = map(json.loads, text.splitlines())
    return [(Path(line["input"]).stem, line["outputs"].get("cutout")) for line in read]


@pytest.mark.parametrize("resumes", [False, True])
def test_a_line_that_a_killed_process_did_not_finish(report, resumes):
    write(report, outcome("a"))
    whole = report.read_text()
    report.write_text(whole + whole[: len(whole) // 2])
    write(report, outcome("b"), resumes=resumes)
    told = report.read_text().splitlines()
    assert told[0] + "\n" == whole and json.loads(told[-1])["input"] == "in/b.jpg"
    assert len(told) == (2 if resumes else 3)
    # A whole line that only lacks its end is one.
    report.write_text(whole.rstrip("\n"))
    write(report, outcome("b"), resumes=resumes)
    assert lines(report) == [("a", "ok"), ("b", "ok")]


def test_without_resume_lines_are_appended(report):
    for _ in range(2):
        write(report, outcome("a"), resumes=False)
    assert lines(report) == [("a", "ok")] * 2
    # The next that is taken up tidies up what a killed one could not.
    write(report, outcome("a", "skipped"))
    assert lines(report) == [("a", "ok")]


def test_processes_that_share_a_report_take_nothing_out_of_it(report, monkeypatch):
    write(report, outcome("a", "failed"), outcome("b"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    write(report, outcome("a"), outcome("b", "skipped"))
    assert lines(report) == [("a", "failed"), ("b", "ok"), ("a", "ok")]


def test_a_run_that_breaks_off_is_tidied_by_the_next(report):
    write(report, outcome("a", "failed"), outcome("b"))
    with pytest.raises(OutputUnusable), Report(report, resumes=True) as broken:
        broken.add(outcome("a"))
        raise OutputUnusable("the disk is full")
    assert lines(report) == [("b", "ok"), ("a", "ok")]


def test_results_without_a_line_get_one(tmp_path, monkeypatch, report):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)
    photo = np.zeros((24, 32, 3), np.uint8)
    photo[8:20, 8:20, 0] = 255
    for number in range(6):
        write_image(tmp_path / "in" / f"{number}.png", photo)
    (tmp_path / "in" / "damaged.png").write_bytes(b"none")

    def predict(code: int) -> None:
        places = (tmp_path / "in", tmp_path / "out", "--report", report, "--resume")
        assert CliRunner().invoke(app, ["predict", *map(str, places)]).exit_code == code

    predict(1)
    # As if the process had been killed: two results are there that the report does not know, one
    # result is not there at all.
    told = report.read_text().splitlines(keepends=True)
    done = [line for line in told if '"ok"' in line]
    report.write_text("".join(line for line in told if line not in done[:3]))
    Path(json.loads(done[0])["outputs"]["cutout"]).unlink()
    predict(1)
    write_image(tmp_path / "in" / "damaged.png", photo)
    predict(0)
    statuses = dict(lines(report))
    assert len(statuses) == len(lines(report)) == 7
    assert sorted(statuses.values()) == ["ok"] * 5 + ["skipped"] * 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full, of Linux")
def test_a_report_for_which_there_is_no_room_is_named():
    with pytest.raises(OutputUnusable, match="cannot write /dev/full: No space left"):
        write(Path("/dev/full"), outcome("a"))
