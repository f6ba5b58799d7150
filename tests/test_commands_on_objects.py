"""composite, evaluate and build-dataset with object stores: the same bytes as in folders."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cluster_tasks import Elsewhere
from s3_serving import BUCKET, s3_server
from test_predict import load_red_is_subject
from typer.testing import CliRunner

from mattecli.cli import build_dataset, composite, evaluate
from mattecli.cli.app import app
from mattecli.core.dataset import manifest
from mattecli.core.dataset.manifest import Notes, read_notes
from mattecli.core.imaging.writing import write_image
from mattecli.core.objects.listing import list_objects
from mattecli.core.objects.paths import located
from mattecli.core.runtime import loading


@pytest.fixture
def store(tmp_path):
    return located(f"memory://{tmp_path.name}")


def run(*arguments: object, code: int = 0):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.fixture
def elsewhere(monkeypatch):
    """Let ``--cluster local:1`` do the work as a cluster does, without one."""
    for command in (build_dataset, composite, evaluate):

        def choose(options, chosen=command.chosen_executor, **more):
            return Elsewhere() if options.cluster else chosen(options, **more)

        monkeypatch.setattr(command, "chosen_executor", choose)


def cutout(seed: int) -> np.ndarray:
    array = np.random.default_rng(seed).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    array[4:16, 8:22, 3] = 255
    array[:3, :, 3] = 0
    return array


def contents(folder) -> dict[str, bytes]:
    if isinstance(folder, type(located("memory://x"))):
        return {found.name: (folder / found.name).read_bytes() for found in list_objects(folder)}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_cutouts_of_a_store_onto_backgrounds_of_a_store(store, tmp_path):
    for place in (store, tmp_path):
        write_image(place / "cutouts" / "a.png", cutout(1))
        write_image(place / "cutouts" / "deep" / "b.png", cutout(2))
        write_image(place / "scenes" / "s.png", cutout(3)[..., :3])
        run("composite", place / "cutouts", place / "scenes", "-o", f"{place}/out/")
        run("composite", place / "cutouts/a.png", place / "scenes/s.png", "-o", place / "one.png")
    assert sorted(contents(store / "out")) == ["a_s.png", "deep/b_s.png"]
    assert contents(store / "out") == contents(tmp_path / "out")
    assert (store / "one.png").read_bytes() == (tmp_path / "one.png").read_bytes()


def test_mattes_of_a_store_are_scored(store, tmp_path):
    figures = []
    for place in (store, tmp_path):
        for name in ("a", "deep/b"):
            write_image(place / "truth" / f"{name}.png", cutout(1)[..., 3])
            write_image(place / "found" / f"{name}.png", cutout(2)[..., 3])
        run("evaluate", place / "found", place / "truth", "--json", place / "scores.json")
        figures.append(json.loads((place / "scores.json").read_bytes()))
    assert figures[0] == figures[1] and len(figures[0]["images"]) == 2


def write_mattes(place) -> None:
    for name in ("a", "deep/b", "x-1", "x/2", "small"):
        write_image(place / "truth" / f"{name}.png", cutout(1)[..., 3])
        write_image(place / "found" / f"{name}.png", cutout(len(name))[..., 3])
    write_image(place / "found" / "small.png", cutout(1)[:9, :9, 3])


def test_scores_are_the_same_whoever_gives_them(elsewhere, tmp_path):
    write_mattes(tmp_path)
    told = []
    for name, where in (("here", ()), ("there", ("--cluster", "local:1"))):
        files = ("--json", tmp_path / f"{name}.json", "--csv", tmp_path / f"{name}.csv")
        result = run("evaluate", tmp_path / "found", tmp_path / "truth", *files, *where, code=1)
        told.append((result.output, *(path.read_bytes() for path in files[1::2])))
    assert told[0] == told[1] and "sizes differ" in told[0][0]
    assert len(json.loads(told[0][1])["images"]) == 4


def test_a_network_is_scored_the_same_by_workers_that_load_it(elsewhere, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "load_model", load_red_is_subject)
    for number in range(2):
        photo = np.zeros((40, 50, 3), np.uint8)
        photo[8:30, 10 * number : 25, 0] = 255
        write_image(tmp_path / "photos" / f"{number}.png", photo)
        write_image(tmp_path / "truth" / f"{number}.png", photo[..., 0])
    write_image(tmp_path / "truth" / "damaged.png", photo[..., 0])
    (tmp_path / "photos" / "damaged.png").write_bytes(b"none")
    figures = []
    for name, where in (("here", ()), ("there", ("--cluster", "local:1"))):
        places = ("--weights", "mine", tmp_path / "photos", tmp_path / "truth")
        files = ("--json", tmp_path / f"{name}.json", "--html", tmp_path / name)
        run("evaluate", *places, *files, *where, code=1)
        figures.append((files[1].read_bytes(), (tmp_path / name / "index.html").read_bytes()))
    assert figures[0] == figures[1] and len(json.loads(figures[0][0])["images"]) == 2


def test_mattes_of_a_bucket_are_scored_as_those_of_a_folder(tmp_path):
    with s3_server():
        figures = []
        for place in (located(f"s3://{BUCKET}"), tmp_path):
            write_mattes(place)
            out = place / "scores.json"
            run("evaluate", place / "found", place / "truth", "--json", out, code=1)
            figures.append(out.read_bytes())
        assert figures[0] == figures[1]


def test_composites_have_the_same_bytes_whoever_makes_them(elsewhere, tmp_path):
    for seed in range(3):
        write_image(tmp_path / "cutouts" / f"{seed}.png", cutout(seed))
    write_image(tmp_path / "scenes" / "s.png", cutout(3)[..., :3])
    write_image(tmp_path / "scenes" / "t.png", cutout(4)[..., :3])
    (tmp_path / "cutouts" / "damaged.png").write_bytes(b"none")
    for name, where in (("here", ()), ("there", ("--cluster", "local:1"))):
        places = (tmp_path / "cutouts", tmp_path / "scenes", "-o", f"{tmp_path}/{name}/")
        assert "6 done, 2 failed" in run("composite", *places, *where, code=1).stderr
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert len(contents(tmp_path / "here")) == 6


@pytest.mark.parametrize(
    "arguments",
    [
        ("composite", "-", "red", "--cluster", "local:1"),
        ("composite", "a.png", "red", "--actors", "2"),
        ("evaluate", "found", "truth", "--cluster", "somewhere"),
        ("build-dataset", "--check", "set", "--cluster", "local:1"),
    ],
)
def test_what_does_not_go_with_a_cluster_is_wrong_usage(arguments):
    assert "luster" in run(*arguments, code=2).stderr


def build(place, code: int = 0):
    return run(
        *("build-dataset", place / "set", "--foregrounds", place / "cutouts"),
        *("--backgrounds", place / "scenes", "--per-foreground", 2, "--workers", 1),
        code=code,
    )


@pytest.fixture
def material(store, tmp_path):
    for place in (store, tmp_path):
        for seed in range(3):
            write_image(place / "cutouts" / f"{seed}.png", cutout(seed))
            write_image(place / "scenes" / f"{seed}.png", cutout(seed + 3)[..., :3])


def test_a_set_is_built_in_a_store_and_taken_up(material, store, tmp_path):
    assert "6 made, 0 already there" in build(store).output
    build(tmp_path)
    whole = contents(store / "set")
    assert whole == contents(tmp_path / "set")
    assert not [name for name in whole if name.startswith(".manifest")]
    assert "0 made, 6 already there" in build(store).output
    lost = next(found.name for found in list_objects(store / "set" / "image"))
    (store / "set" / "image" / lost).unlink()
    assert "1 made, 5 already there" in build(store).output
    assert contents(store / "set") == whole
    assert "6 samples" in run("build-dataset", "--check", store / "set", "--workers", 1).output


def test_a_set_has_the_same_bytes_whoever_makes_it(elsewhere, material, tmp_path):
    sets = []
    for name, where in (("here", ("--workers", 1)), ("there", ("--cluster", "local:1"))):
        roots = ("--foregrounds", tmp_path / "cutouts", "--backgrounds", tmp_path / "scenes")
        run("build-dataset", tmp_path / name, *roots, "--per-foreground", 2, *where)
        sets.append(contents(tmp_path / name))
    assert sets[0] == sets[1] and "manifest.jsonl" in sets[0]


def test_notes_in_a_store_outlive_a_crash(store, monkeypatch):
    monkeypatch.setattr(manifest, "_LINES_OF_A_PART", 2)
    path = store / ".manifest.part-0"
    notes = Notes(path)
    for number in range(5):
        notes.add({"name": str(number)})
    # What follows the last whole part is lost with the process.
    assert [line["name"] for line in read_notes(path)] == ["0", "1", "2", "3"]
    with Notes(path) as taken_up:
        taken_up.add({"name": "4"})
    assert [line["name"] for line in read_notes(path)] == ["0", "1", "2", "3", "4"]
    assert [found.name for found in list_objects(store)] == [".manifest.part-0"]
