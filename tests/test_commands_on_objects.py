"""composite, evaluate and build-dataset with object stores: the same bytes as in folders."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.dataset import manifest
from mattecli.core.dataset.manifest import Notes, read_notes
from mattecli.core.imaging.writing import write_image
from mattecli.core.objects.listing import list_objects
from mattecli.core.objects.paths import located


@pytest.fixture
def store(tmp_path):
    return located(f"memory://{tmp_path.name}")


def run(*arguments: object, code: int = 0):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == code, (result.output, result.exception)
    return result


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
