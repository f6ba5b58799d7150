"""``--review``: the photos that are worth a look, worst first, and a list to write hints into."""

from __future__ import annotations

import csv
import json
import os
import re

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.imaging.writing import write_image
from mattecli.core.inference.assessment import Assessment
from mattecli.core.inference.hint_files import read_hint_file
from mattecli.core.inference.hint_planning import plan_hints
from mattecli.core.inference.jobs import Job
from mattecli.core.inference.review import Review
from mattecli.core.inference.source_options import SourceOptions
from mattecli.core.inference.steps import Outcome


def outcome(path, confidence: float | None, status: str = "ok") -> Outcome:
    job = Job(path, {"cutout": path.parent.parent / "out" / f"{path.stem}.png"}, path.name)
    seen = None if confidence is None else Assessment(0.2, confidence, status == "empty")
    preview = None if seen is None else np.zeros((24, 64, 3), np.uint8)
    return Outcome(job, status, "", assessment=seen, preview=preview)


def shown(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?) ?(?:<b>|</h2>)", page)


def photos_listed(folder) -> list[str]:
    with (folder / "hints.csv").open(newline="") as file:
        return [line["photo"] for line in csv.DictReader(file)]


def test_the_worst_come_first_and_the_good_not_at_all(tmp_path):
    source, folder = tmp_path / "in", tmp_path / "review"
    source.mkdir()
    review = Review(folder, [source])
    for name, confidence, status in (
        ("good.png", 0.9, "ok"),
        ("so-so.png", 0.45, "ok"),
        ("bad & <b>.png", 0.1, "ok"),
        ("nothing.png", 0.0, "empty"),
        ("broken.png", None, "failed"),
    ):
        review.add(outcome(source / name, confidence, status))
    page = review.close().read_text()
    names = ["broken.png", "nothing.png", "bad &amp; &lt;b&gt;.png", "so-so.png"]
    assert shown(page) == names and "4 photos worth a look" in page
    assert 'href="../in/bad%20%26%20%3Cb%3E.png"' in page
    assert 'href="../out/so-so.png"' in page and "45 %" in page
    assert photos_listed(folder) == ["nothing.png", "bad & <b>.png", "so-so.png"]
    pictures = re.findall(r'src="(.*?)"', page)
    assert len(pictures) == 3 and all((folder / path).is_file() for path in pictures)


def test_a_resumed_run_shows_what_the_interrupted_one_saw(tmp_path):
    source, folder = tmp_path / "in", tmp_path / "review"
    source.mkdir()
    review = Review(folder, [source])
    review.add(outcome(source / "a.png", 0.2))
    review.add(outcome(source / "b.png", 0.3))
    with (folder / "review.jsonl").open("a") as file:
        file.write('{"photo": "cut o')  # killed
    resumed = Review(folder, [source], resume=True)
    resumed.add(outcome(source / "a.png", None, "skipped"))
    resumed.add(outcome(source / "b.png", 0.9))
    resumed.add(outcome(source / "c.png", 0.1))
    assert shown(resumed.close().read_text()) == ["c.png", "a.png"]
    assert shown(Review(folder, [source]).close().read_text()) == []


def test_a_list_that_was_filled_in_is_not_written_over(tmp_path):
    source, folder = tmp_path / "in", tmp_path / "review"
    source.mkdir()
    review = Review(folder, [source])
    review.add(outcome(source / "a.png", 0.2))
    review.close()
    Review(folder, [source]).add(outcome(source / "a.png", 0.2))
    text = (folder / "hints.csv").read_text().replace(",,", ',"1,1,5,5",', 1)
    for filled in (text, "my notes"):
        (folder / "hints.csv").write_text(filled)
        with pytest.raises(MatteError, match=r"hints\.csv holds hints"):
            Review(folder, [source])
        assert (folder / "hints.csv").read_text() == filled
    with pytest.raises(MatteError, match="which the run reads"):
        Review(source / "review", [source])


@pytest.mark.parametrize("name", [b"a\nb", b"a\rb", "a\u2028b".encode(), b"a\xe9b", b' "a",\tb'])
def test_the_list_is_read_whatever_a_photo_is_called(name, tmp_path):
    job = Job(tmp_path / "in/x.png", {}, os.fsdecode(name + b".png"))
    review = Review(tmp_path, [tmp_path / "in"])
    review.add(Outcome(job, "ok", "", assessment=Assessment(0.2, 0.1, False)))
    review.close()
    options = SourceOptions(subject="largest", hints=tmp_path / "hints.csv")
    text = options.hints.read_bytes()
    options.hints.write_bytes(re.sub(rb'("?)\n$', rb"center\1\n", text))
    assert plan_hints(options, "in", [job]).of(job.source).subject == "center"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A photo of noise, of which nothing is sure, and one that is plain."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    write_image(tmp_path / "in/a/noise.png", noise)
    write_image(tmp_path / "in/plain.png", np.full((96, 128, 3), 200, np.uint8))
    return tmp_path


def predict(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["predict", "in", "out", "--device", "cpu", *arguments])


def test_from_a_run_to_hints_and_back(here):
    result = predict("--review", "review", "--report", "report.jsonl")
    assert result.exit_code == 0, result.output
    assert " of 2 worth a look" in result.output
    assert "review/index.html shows what is worth a look" in result.output.replace("\n", "")
    lines = map(json.loads, (here / "report.jsonl").read_text().splitlines())
    seen = {line["input"]: line["confidence"] for line in lines}
    doubtful = [name.removeprefix("in/") for name, value in seen.items() if value < 0.5]
    assert "a/noise.png" in doubtful
    assert sorted(photos_listed(here / "review")) == sorted(doubtful)
    rows = (here / "review/hints.csv").read_text().splitlines()
    columns = rows[0].split(",")
    row = dict.fromkeys(columns, "") | {"photo": "a/noise.png", "box": '"10,10,50,50"'}
    (here / "mine.csv").write_text(f"{rows[0]}\n{','.join(row.values())}\nplain.png{',' * 10}\n")
    assert [line.hints.is_empty for line in read_hint_file(here / "mine.csv")] == [False, True]
    before = (here / "out/plain.png").stat().st_mtime_ns
    result = predict("--hints", "mine.csv", "--only-hinted", "--save", "alpha")
    assert result.exit_code == 0 and "1 " in result.output
    assert (here / "out/plain.png").stat().st_mtime_ns == before


def test_wrong_usage(here):
    assert "needs --hints" in predict("--only-hinted").output
    write_image(here / "keep/plain.png", np.full((96, 128), 255, np.uint8))
    for arguments in (["in/review"], ["keep", "--keep", "keep"], ["keep/x", "--guide", "keep"]):
        result = predict("--review", *arguments)
        assert result.exit_code == 1 and "which the run reads" in str(result.exception)
    (here / "matte.toml").write_text("[predict]\nsize = 64\n")
    for report in ("review/index.html", "review/hints.csv", "review/review.jsonl", "matte.toml"):
        result = predict("--review", "review", "--report", report)
        assert result.exit_code == 1 and "would be written over" in str(result.exception)
    assert (here / "matte.toml").read_text() == "[predict]\nsize = 64\n"
