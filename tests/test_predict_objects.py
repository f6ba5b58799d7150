"""``matte predict`` from and to object stores: S3 by a server on loopback, others in memory."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from s3_serving import BUCKET, KEYS, s3_server
from test_predict import load_red_is_subject
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError
from mattecli.core.imaging.writing import encode
from mattecli.core.objects import listing, stores
from mattecli.core.objects.listing import list_objects
from mattecli.core.objects.paths import located
from mattecli.core.runtime import loading
from mattecli.core.storage import write_whole

NAMES = ["a.jpg", "deep/er/b.png", "x.jpg", "x.png", "ü & +%.png"]
RESULTS = ["a.png", "deep/er/b.png", "x.jpg.png", "x.png.png", "ü & +%.png"]


@pytest.fixture(autouse=True)
def network(monkeypatch):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)


@pytest.fixture(scope="module")
def server():
    with s3_server() as address:
        yield address


@pytest.fixture
def s3(server, tmp_path):
    return located(f"s3://{BUCKET}/{tmp_path.name}")


@pytest.fixture
def memory(tmp_path):
    return located(f"memory://{tmp_path.name}")


def picture(shade: int) -> np.ndarray:
    array = np.zeros((24, 32, 3), np.uint8)
    array[8:20, 8:20] = (255, shade, 0)
    return array


def fill(folder, names=NAMES) -> None:
    for shade, name in enumerate(names):
        write_whole(folder / name, encode(picture(shade), "." + name.rpartition(".")[2]))


def matte(*arguments: object):
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


def said(result) -> str:
    """Give what a run printed, and the error that `main` would have printed."""
    return " ".join(f"{result.output} {result.exception or ''}".split())


def names_in(folder) -> list[str]:
    return [found.name for found in list_objects(folder)]


def same_as_local(tmp_path, out, *options: str) -> None:
    fill(tmp_path / "in")
    assert matte(tmp_path / "in", tmp_path / "out", *options).exit_code == 0
    local = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert {name: (out / name).read_bytes() for name in names_in(out)} == local


def test_photos_go_from_bucket_to_bucket(s3, tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "PAGE", 2)
    fill(s3 / "in")
    write_whole(s3 / "in" / "notes.txt", b"no picture")
    result = matte(s3 / "in", s3 / "out", "--report", tmp_path / "report.jsonl")
    assert result.exit_code == 0, result.output
    assert "5 done" in result.output and "1 other file ignored (1 .txt)" in result.output
    assert names_in(s3 / "out") == RESULTS
    same_as_local(tmp_path, s3 / "out")
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").open()]
    assert sorted(line["input"] for line in lines) == [f"{s3}/in/{name}" for name in NAMES]
    assert sorted(line["outputs"]["cutout"] for line in lines) == [
        f"{s3}/out/{name}" for name in RESULTS
    ]


def test_kinds_have_their_folders(s3, tmp_path):
    fill(s3 / "in")
    kinds = ("--save", "cutout", "--save", "alpha")
    assert matte(s3 / "in", s3 / "out", *kinds).exit_code == 0
    assert names_in(s3 / "out") == [f"{kind}/{r}" for kind in ("alpha", "cutout") for r in RESULTS]
    same_as_local(tmp_path, s3 / "out", *kinds)


def test_a_run_is_taken_up_by_what_is_there(s3, monkeypatch, tmp_path):
    monkeypatch.setattr(listing, "PAGE", 2)
    fill(s3 / "in")
    assert matte(s3 / "in", s3 / "out").exit_code == 0
    (s3 / "out" / "deep" / "er" / "b.png").unlink()
    (s3 / "out" / "x.png.png").unlink()
    result = matte(s3 / "in", s3 / "out", "--resume", "--report", tmp_path / "report.jsonl")
    assert "2 done, 3 skipped" in result.output
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").open()]
    assert len(lines) == len({line["input"] for line in lines}) == 5
    assert names_in(s3 / "out") == RESULTS


@pytest.mark.parametrize("most_beside", [0, 100])
def test_resuming_where_other_objects_lie_between(s3, monkeypatch, most_beside):
    monkeypatch.setattr(listing, "_MOST_BESIDE", most_beside)
    fill(s3 / "in")
    assert matte(s3 / "in", s3 / "out").exit_code == 0
    for number in range(12):
        write_whole(s3 / "out" / f"b-{number}.png", b"")
    (s3 / "out" / "x.png.png").unlink()
    assert "1 done, 4 skipped" in matte(s3 / "in", s3 / "out", "--resume").output


def test_results_inside_the_place_of_the_photos_are_left_out(s3):
    fill(s3)
    for _ in range(2):
        assert "5 done" in matte(s3, s3 / "out").output
    assert names_in(s3 / "out") == RESULTS
    result = matte(s3, s3)
    assert result.exit_code == 1 and "would lie among the pictures" in said(result)


def test_single_objects_and_lists_of_them(s3, tmp_path):
    fill(s3 / "in")
    assert matte(s3 / "in" / "a.jpg", tmp_path / "cutout.png").exit_code == 0
    assert matte(s3 / "in" / "a.jpg", s3 / "one.png").exit_code == 0
    assert (tmp_path / "cutout.png").read_bytes() == (s3 / "one.png").read_bytes()
    (tmp_path / "list").write_text(f"{s3}/in/a.jpg\n{s3}/in/deep/er/b.png\n")
    assert matte("--from-list", tmp_path / "list", s3 / "listed").exit_code == 0
    assert names_in(s3 / "listed") == ["a.png", "deep/er/b.png"]


def test_a_folder_of_this_machine_goes_to_a_store_and_is_taken_up(s3, tmp_path):
    fill(tmp_path / "photos")
    assert "5 done" in matte(tmp_path / "photos", s3 / "out").output
    assert "0 done, 5 skipped" in matte(tmp_path / "photos", s3 / "out", "--resume").output
    same_as_local(tmp_path, s3 / "out")


def test_a_damaged_object_fails_alone(s3, tmp_path):
    fill(s3 / "in")
    write_whole(s3 / "in" / "b.jpg", b"\xff\xd8\xff damaged")
    write_whole(s3 / "in" / "c.jpg", b"")
    result = matte(s3 / "in", s3 / "out")
    assert result.exit_code == 1 and "5 done, 2 failed" in result.output
    assert f"{s3}/in/c.jpg is empty" in result.output
    assert names_in(s3 / "out") == RESULTS


def test_trimaps_and_dry_runs_know_all_photos_beforehand(s3):
    fill(s3 / "in")
    write_whole(s3 / "trimaps" / "a.png", encode(np.full((24, 32), 255, np.uint8), ".png"))
    result = matte(s3 / "in", s3 / "out", "--trimap", s3 / "trimaps", "--save", "alpha")
    assert result.exit_code == 0, result.output
    assert "5 to cut" in matte(s3 / "in", s3 / "out2", "--dry-run").output
    assert not (s3 / "out2").exists()


def test_wrong_places_are_one_line(s3, tmp_path):
    fill(s3 / "in", NAMES[:1])
    write_whole(s3 / "texts" / "x.txt", b"")
    for places, reason in (
        ((s3 / "nothing", tmp_path / "out"), "does not exist, or nothing is in it"),
        ((s3 / "texts", tmp_path / "out"), "holds no pictures"),
        (("s3://no-such-bucket/x", tmp_path / "out"), "there is no bucket no-such-bucket"),
        ((s3 / "in", "s3://no-such-bucket/x/"), "/x/a.png: there is no s3://no-such-bucket"),
        ((s3 / "in", "zip://::results.zip"), "for reading only"),
        ((s3 / "in", s3 / "out", "--report", s3 / "r.jsonl"), "needs a place on a disk"),
        ((s3 / "in", s3 / "out", "--review", s3 / "review"), "needs a place on a disk"),
        ((s3 / "in", s3 / "out", "--name", "all"), "needs {stem}"),
        ((s3 / "in", s3 / "out", "--watch"), "--watch takes a folder"),
    ):
        result = matte(*places)
        assert result.exit_code in (1, 2) and reason in said(result)
        assert result.exception is None or isinstance(result.exception, (MatteError, SystemExit))


def test_a_store_that_is_away_ends_the_run_and_no_key_is_printed(s3, monkeypatch, tmp_path):
    fill(s3 / "in")
    monkeypatch.setattr(stores, "WAITS", (0.0,))
    monkeypatch.setattr(stores, "_systems", {})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    result = matte(s3 / "in", tmp_path / "out")
    assert result.exit_code == 1 and "Could not connect" in said(result)
    assert not any(key in said(result) for key in KEYS.values())


def test_an_archive_is_cut_like_a_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for shade, name in enumerate(NAMES):
            archive.writestr(name, encode(picture(shade), "." + name.rpartition(".")[2]))
    assert matte(f"zip://::{tmp_path}/photos.zip", tmp_path / "cut").exit_code == 0
    fill(tmp_path / "in")
    assert matte(tmp_path / "in", tmp_path / "out").exit_code == 0
    for name in RESULTS:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_memory_is_a_store_like_others(memory, tmp_path):
    fill(memory / "in")
    assert matte(memory / "in", memory / "out").exit_code == 0
    assert "0 done, 5 skipped" in matte(memory / "in", memory / "out", "--resume").output
    same_as_local(tmp_path, memory / "out")
