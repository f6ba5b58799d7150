"""Files are written whole or not at all, and what goes wrong is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mattecli.cli import app as command
from mattecli.cli.status import ExitStatus
from mattecli.core import storage
from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.storage import clear_errors, followed, sweep, whole_file, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_file_is_not_there_before_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "x.bin"
    with whole_file(path) as temporary:
        temporary.write_bytes(b"half")
        assert not path.exists() and temporary.parent == path.parent
    assert path.read_bytes() == b"half"
    assert names(path.parent) == ["x.bin"]


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch, durable):
    path, synced = tmp_path / "x.bin", []

    def fsync(descriptor):
        assert not path.exists() and os.fstat(descriptor).st_size == 4
        synced.append(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with whole_file(path, durable=durable) as temporary:
        temporary.write_bytes(b"half")
    assert path.exists() and len(synced) == durable


def test_whatever_goes_wrong_leaves_nothing_behind(tmp_path):
    path = tmp_path / "x.bin"
    write_whole(path, b"old")
    with pytest.raises(KeyboardInterrupt), whole_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["x.bin"]


def test_a_link_that_is_named_stays_and_one_of_a_folder_is_replaced(tmp_path):
    real, link = tmp_path / "there" / "real.bin", tmp_path / "link.bin"
    link.symlink_to(real)
    for data in (b"old", b"new"):
        write_whole(followed(link), data)
        assert link.is_symlink() and real.read_bytes() == data
    assert names(real.parent) == ["real.bin"]
    write_whole(link, b"other")
    assert not link.is_symlink() and real.read_bytes() == b"new"


def test_a_replaced_file_keeps_its_mode(tmp_path):
    path = tmp_path / "x.bin"
    path.touch(0o600)
    write_whole(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o600 and path.read_bytes() == b"new"


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(path, b"new")
    assert os.read(reader, 9) == b"new" and path.is_fifo()
    os.close(reader)


def test_temporaries_of_dead_processes_are_swept(tmp_path):
    def left_by(process: int, machine: str = storage._MACHINE) -> Path:
        path = tmp_path / f".matte-{machine}-{process}-abc.tmp"
        path.touch()
        return path

    mine = left_by(os.getpid())
    elsewhere = left_by(dead_process(), "00000000")
    left_by(dead_process())
    others = tmp_path / ".matte-notes.tmp"
    others.touch()
    sweep(tmp_path)
    assert names(tmp_path) == sorted(path.name for path in (mine, elsewhere, others))


def test_the_first_file_in_a_folder_sweeps_it(tmp_path):
    left = tmp_path / f".matte-{storage._MACHINE}-{dead_process()}-abc.tmp"
    left.touch()
    write_whole(tmp_path / "x.bin", b"new")
    assert names(tmp_path) == ["x.bin"]


@pytest.mark.parametrize(
    ("number", "kind"), [(28, OutputUnusable), (30, OutputUnusable), (36, MatteError)]
)
def test_an_oserror_names_file_and_reason(number, kind):
    with pytest.raises(MatteError) as caught, clear_errors("x.bin"):
        raise OSError(number, os.strerror(number))
    assert type(caught.value) is kind
    assert str(caught.value) == f"cannot write x.bin: {os.strerror(number)}"


def test_an_oserror_that_nobody_expected_is_one_line_too(monkeypatch, capsys):
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "some/file")

    monkeypatch.setattr(command, "app", fail)
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == ExitStatus.FAILURE
    assert capsys.readouterr().err == "matte: some/file: Permission denied\n"


def test_usage_has_its_own_exit_code():
    assert CliRunner().invoke(command.app, ["predict"]).exit_code == ExitStatus.USAGE
