"""Addresses of object stores: as paths, listed in order, written whole, with plain errors."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.imaging.object_walking import stream_pictures
from mattecli.core.imaging.walking import by_stem, relative_stem, stands_for_folder, walk
from mattecli.core.objects import stores
from mattecli.core.objects.listing import existing, list_objects
from mattecli.core.objects.paths import ObjectPath, is_object, located, located_results
from mattecli.core.objects.stores import check_writable, read_object, size_of, write_object
from mattecli.core.storage import whole_file, write_whole

NAMES = ["a.jpg", "b-c/k.jpg", "b.jpg", "b/x.jpg", "b/x.png", ".h/x.jpg", "t.txt", "raw.nef"]


@pytest.fixture
def memory(tmp_path):
    """Give a place in a store in memory, which all tests share, for this test alone."""
    return located(f"memory://{tmp_path.name}/in")


@pytest.fixture
def filled(memory):
    for name in NAMES:
        write_whole(memory / name, b"123")
    return memory


def test_an_address_is_a_path():
    path = located("s3://bucket/a/b.c.jpg")
    assert isinstance(path, ObjectPath) and isinstance(path, Path)
    assert str(path) == "s3://bucket/a/b.c.jpg"
    assert (path.name, path.stem, path.suffix) == ("b.c.jpg", "b.c", ".jpg")
    assert str(path.parent / "x.png") == "s3://bucket/a/x.png"
    assert str(path.with_suffix(".png")) == "s3://bucket/a/b.c.png"
    assert path.key == "bucket/a/b.c.jpg"
    assert relative_stem(path, path.parent.parent) == "a/b.c"
    # As a command line gives it, which keeps one slash only.
    assert located(Path("s3://bucket/a/b.c.jpg")) == path


def test_an_address_survives_the_way_to_another_process():
    path = located("s3://bucket/x.jpg")
    path.size = 7
    again = pickle.loads(pickle.dumps(path))
    assert (again, str(again), again.size) == (path, str(path), 7)


def test_other_places_stay_what_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert type(located("photos/x.jpg")) is type(Path())
    assert not is_object("C:/photos") and not is_object("photos/s3://x")
    Path("s3:").mkdir()
    Path("s3:/x").touch()
    assert located("s3://x") == Path("s3:/x") and not isinstance(located("s3://x"), ObjectPath)


@pytest.mark.parametrize("text", ["S3://b/out/", "abfss://b/x", "sftp://host/x/", "file:///x/"])
def test_no_folder_is_made_of_an_address_that_is_not_known(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    write_whole(tmp_path / "in" / "a.png", b"")
    for command in (["predict", "in", text], ["composite", "in", "white", "--out", text]):
        error = CliRunner().invoke(app, command).exception
        assert isinstance(error, MatteError) and "is no place for results" in str(error)
    with pytest.raises(MatteError, match="is no place for results"):
        located_results(Path(text))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    (tmp_path / "S3:").mkdir()
    assert located_results("S3://") == Path("S3:")
    assert located_results("new:/x") == Path("new:/x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3://", "names no place"),
        ("zip://photos.zip", "zip://::photos.zip"),
        ("s3://key:hidden@bucket/x", "do not belong into an address"),
        ("https://user:hidden@host/x.jpg", "do not belong into an address"),
        ("https://host/x.jpg?signature=hidden", "do not belong into an address"),
    ],
)
def test_addresses_that_are_none(text, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MatteError, match=said) as caught:
        located(text)
    assert "hidden" not in str(caught.value)


def test_objects_are_listed_in_the_order_of_names(filled):
    names = [found.name for found in list_objects(filled)]
    assert names == sorted(NAMES)
    assert [found.name for found in list_objects(filled, after="b/x.jpg")] == [
        name for name in sorted(NAMES) if name > "b/x.jpg"
    ]
    assert [found.size for found in list_objects(filled)] == [3] * len(NAMES)


def test_walking_a_store_is_walking_a_folder(filled, tmp_path):
    for name in NAMES:
        write_whole(tmp_path / name, b"123")
    mine, passed_over = walk(filled)
    local, passed_over_here = walk(tmp_path)
    assert [path.relative_to(filled).as_posix() for path in mine] == [
        path.relative_to(tmp_path).as_posix() for path in local
    ]
    assert passed_over == passed_over_here
    write_whole(filled / "b" / "x.png", b"")
    (filled / "b" / "x.jpg").unlink()
    assert list(by_stem(filled)) == ["a", "b/x", "b-c/k", "b", "raw"]


def test_what_could_share_a_name_comes_together(memory):
    for name in ("x.jpg", "x-1.jpg", "x.png", "x.jpg.png", "x/y.jpg"):
        write_whole(memory / name, b"1")
    groups = stream_pictures(memory, Counter())
    assert [[path.name for path in group] for group in groups] == [
        ["x-1.jpg"],
        ["x.jpg", "x.jpg.png", "x.png"],
        ["y.jpg"],
    ]


def test_a_place_without_objects_does_not_exist(memory):
    assert not memory.exists() and not memory.is_dir()
    with pytest.raises(MatteError, match="does not exist, or nothing is in it"):
        walk(memory)


def test_questions_to_the_store(filled):
    assert (filled / "a.jpg").is_file() and not (filled / "a.jpg").is_dir()
    assert filled.is_dir() and not filled.is_file()
    assert size_of(filled / "a.jpg") == 3 and size_of(filled / "z.jpg") is None
    assert [path.name for path in filled.glob("*.jpg")] == ["a.jpg", "b.jpg"]
    asked = [filled / "a.jpg", filled / "z.jpg", filled / "b" / "x.png"]
    assert existing(asked, OrderedDict()) == {asked[0], asked[2]}
    assert stands_for_folder(str(filled)) and not stands_for_folder(f"{filled}/a.jpg")


def test_an_object_is_written_whole_or_not_at_all(memory):
    path = memory / "x.bin"
    with pytest.raises(KeyboardInterrupt), whole_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert not path.exists()
    with whole_file(path) as temporary:
        temporary.write_bytes(b"whole")
        assert not path.exists() and temporary.suffix == ".bin"
    assert path.read_bytes() == b"whole"


def test_no_more_is_read_than_asked_for(filled):
    assert read_object(filled / "a.jpg", 1) == b"12"
    with pytest.raises(MatteError, match=r"z\.jpg does not exist"):
        read_object(filled / "z.jpg", 1)


def test_an_archive_is_a_folder_that_is_read_only(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("in/x.jpg", b"1")
        archive.writestr("y.png", b"2")
    root = located(f"zip://::{tmp_path}/photos.zip")
    assert [str(path) for path in walk(root)[0]] == [
        f"zip://in/x.jpg::{tmp_path}/photos.zip",
        f"zip://y.png::{tmp_path}/photos.zip",
    ]
    inside = located(f"zip://in::{tmp_path}/photos.zip")
    assert walk(inside)[0] == [root / "in" / "x.jpg"]
    assert (root / "y.png").read_bytes() == b"2"
    with pytest.raises(OutputUnusable, match="for reading only"):
        write_whole(root / "z.png", b"3")
    with pytest.raises(MatteError, match="cannot open"):
        walk(located(f"zip://::{tmp_path}/other.zip"))


def test_what_needs_a_file_of_this_machine_says_so(filled):
    with pytest.raises(MatteError, match="this needs a file on this machine"):
        os.stat(filled / "a.jpg")


class Flaky:
    """A store that answers the third time, or never."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_what_passes_is_tried_again(memory, monkeypatch):
    monkeypatch.setattr(stores, "WAITS", (0.0, 0.0))
    store = Flaky(ConnectionError("reset"), TimeoutError())
    assert stores.attempt(memory, "read", store) == "answer"
    store = Flaky(*[ConnectionError("no way there")] * 3)
    with pytest.raises(MatteError, match=r"cannot read memory://.*: no way there"):
        stores.attempt(memory, "read", store)
    assert store.asked == 3


def test_what_lasts_is_tried_once(memory):
    store = Flaky(PermissionError("Access Denied"), ValueError())
    with pytest.raises(OutputUnusable, match=r"cannot write memory://.*: Access Denied"):
        stores.attempt(memory, "write", store, writing=True)
    with pytest.raises(MatteError) as caught:
        stores.attempt(memory, "write", store, writing=True)
    assert type(caught.value) is MatteError  # of this object alone
    assert store.asked == 2


def test_secrets_of_messages_are_not_passed_on(memory):
    class NoCredentialsError(Exception):
        pass

    for error in (
        PermissionError("GET https://user:hidden@host/x?X-Amz-Signature=hidden failed"),
        NoCredentialsError("hidden"),
    ):
        with pytest.raises(MatteError) as caught:
            stores.attempt(memory, "read", Flaky(error))
        assert "hidden" not in str(caught.value)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MatteError, match=r"pip install 'mattecli\[gcs\]'"):
        size_of(located("gs://bucket/x"))
    with pytest.raises(MatteError, match=r"pip install 'mattecli\[gcs\]'"):
        check_writable(located("gs://bucket/x"))


def test_objects_that_cannot_be_written_name_the_reason():
    with pytest.raises(OutputUnusable, match="https:// is for reading only"):
        write_object(located("https://host/x.png"), b"")


def test_a_run_on_this_machine_imports_no_library_of_stores():
    code = (
        "import sys, mattecli, mattecli.cli.app, mattecli.core.inference.run\n"
        "from mattecli.cli import predict, predict_photos\n"
        "print([name for name in ('fsspec', 's3fs', 'ray') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
