"""Processes of this machine: who ends one is told from who was near, and the others are done."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster_tasks import Squares

from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.executing.processes import alone, in_processes
from mattecli.core.executing.starting import end_with_parent


def pids(notes, item: object) -> list[str]:
    return (notes / str(item)).read_text().split()


LEAVES_A_PROCESS = """
import os, signal, sys
from mattecli.core.executing.starting import end_with_parent, started_anew
if __name__ == "__main__":
    sys.path.insert(0, {folder!r})
    from test_processes import stay
    child = started_anew().Process(target=stay)
    child.start()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def stay() -> None:
    end_with_parent()
    time.sleep(60)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed in another way")
def test_a_process_that_is_still_starting_ends_with_its_parent():
    script = LEAVES_A_PROCESS.format(folder=str(Path(__file__).parent))
    # Its standard output ends with the last process that has it.
    subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, timeout=30)


def test_answers_are_in_order_and_made_elsewhere(tmp_path):
    assert list(in_processes(Squares(tmp_path), range(20), 2)) == [n**2 for n in range(20)]
    assert str(os.getpid()) not in pids(tmp_path, 7)


def test_who_kills_is_told_from_who_was_near(tmp_path):
    items = [0, 1, 2, "killer", 3, 4, "unlucky", 5]
    answers = list(in_processes(Squares(tmp_path), iter(items), 2))
    lost = [answer for answer in answers if isinstance(answer, str)]
    assert sorted(answer for answer in answers if not isinstance(answer, str)) == [
        -1,  # the unlucky one, at its second try
        *[number**2 for number in range(6)],
    ]
    assert len(lost) == 1 and lost[0].startswith("killer: its process ended, twice")
    assert len(set(pids(tmp_path, "killer"))) == 2
    assert max(len(pids(tmp_path, item)) for item in items) == 2


def test_suspects_share_a_process_until_one_ends_it(tmp_path):
    answers = list(alone(Squares(tmp_path), [1, 2, "killer", 3]))
    assert answers[:2] == [1, 4] and answers[2].startswith("killer") and answers[3] == 9
    assert pids(tmp_path, 1) == pids(tmp_path, 2) == pids(tmp_path, "killer")
    assert pids(tmp_path, 3) != pids(tmp_path, 1)


@pytest.mark.parametrize("run", [alone, lambda task, items: in_processes(task, items, 2)])
def test_processes_that_cannot_be_made_ready_end_the_run(run, tmp_path):
    with pytest.raises(MatteError, match="no such weights"):
        list(run(Squares(tmp_path, "no such weights"), [1]))
    with pytest.raises(MatteError, match="die before they have done anything"):
        list(run(Squares(tmp_path, "dies"), [1]))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_ends_the_run(tmp_path):
    items = iter([1, "full", *range(100)])
    with pytest.raises(OutputUnusable, match="the disk is full"):
        list(in_processes(Squares(tmp_path), items, 1))
    assert next(items) < 10  # what is left is not taken


def test_once_stopped_no_more_is_taken(tmp_path):
    items = iter(range(100))
    assert list(in_processes(Squares(tmp_path), items, 1, lambda: True)) == [0]
    assert next(items) == 1
