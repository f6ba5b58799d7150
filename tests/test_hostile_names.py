"""Names with escape sequences and line ends, and messages without end: shown, not obeyed."""

from __future__ import annotations

import json
import unicodedata

import numpy as np
import pytest
from typer.testing import CliRunner

from mattecli.cli.app import app
from mattecli.cli.streams import say
from mattecli.core.errors import MatteError, not_found, reason_of
from mattecli.core.imaging.writing import write_image
from mattecli.core.plain_text import LONGEST, cell, in_one_line, printable, to_json_line

EVIL = "a\x1b[2J\nmatte: 1 done\r\x9b\u202egnp.jpg\udcff"
SHOWN = r"a\x1b[2J\nmatte: 1 done\r\x9b\u202egnp.jpg\xff"


def test_what_a_terminal_would_obey_is_escaped_and_the_rest_is_not():
    assert printable(EVIL) == SHOWN
    assert printable(SHOWN) == SHOWN
    assert printable("Größe 寸法 é 😀.jpg") == "Größe 寸法 é 😀.jpg"
    assert printable("a\u2028b\u200bc\x7f") == r"a\u2028b\u200bc\x7f"


def test_messages_are_bounded_and_keep_their_ends():
    text = in_one_line("photo.jpg: " + "x" * 12_000 + " end")
    assert len(text) < LONGEST + 10
    assert text.startswith("photo.jpg: xxx") and text.endswith("xxx end") and "[...]" in text
    assert len(in_one_line("\x00" * 12_000)) < 2 * LONGEST + 10


def test_errors_are_one_line_wherever_they_end():
    assert str(MatteError(f"{EVIL} is no picture")) == f"{SHOWN} is no picture"
    reason = reason_of(ValueError("one\ntwo " + "y" * 12_000), EVIL)
    assert reason.startswith(SHOWN + ": ValueError: one two yyy") and len(reason) < 1100


def test_the_log_is_json_whatever_the_name():
    for ascii_only in (False, True):
        line = to_json_line({"input": EVIL}, ascii_only=ascii_only)
        assert line.isprintable() and json.loads(line) == {"input": EVIL}
    assert to_json_line({"a": "Größe"}) == '{"a": "Größe"}'
    assert to_json_line({"a": "Größe"}, ascii_only=True).isascii()
    tag = "\U000e0041"
    assert json.loads(to_json_line({"a": tag})) == {"a": tag}


def test_a_name_is_no_markup_of_a_table():
    from rich.console import Console

    console = Console(width=80)
    with console.capture() as captured:
        console.print(cell("[/red]x\x1b[2J[bold]"))
    assert captured.get() == "[/red]x\\x1b[2J[bold]\n"


def test_say_prints_one_line(capsys):
    say(EVIL)
    assert capsys.readouterr().err == SHOWN + "\n"


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    write_image(folder / "good.png", np.zeros((32, 48, 3), np.uint8))
    (folder / "bad\x1b]0;x\x07\n.jpg").write_bytes(b"no picture")
    return folder


def test_photos_that_fail_are_named_in_one_line(photos, tmp_path):
    report = tmp_path / "report.jsonl"
    arguments = ["predict", str(photos), str(tmp_path / "out"), "--report", str(report)]
    result = CliRunner().invoke(app, [*arguments, "--refine", "none"])
    assert result.exit_code == 1
    assert r"bad\x1b]0;x\x07\n.jpg" in result.stderr
    assert all(line.isprintable() for line in result.stderr.splitlines())
    records = [json.loads(line) for line in report.read_text().splitlines()]
    names = {record["input"]: record["status"] for record in records}
    assert names[str(photos / "bad\x1b]0;x\x07\n.jpg")] == "failed"
    assert report.read_text().replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "clip.mp4", "out\x1b[2J.gnp"],
        ["predict", "x.jpg", "y.png", "--refine", "\x1b[2J"],
        ["predict", "x.jpg", "y.png", "--size", "\x1b[2J\n" + "9" * 12_000],
        ["predict", "x.jpg", "y.png", "--\x1b[2J"],
        ["pre\x1b[2Jdict"],
        ["export", "a\x1b[2J.txt"],
        ["composite", "photo\x1b[2J.jpg", "no\x1b[2Jcolor"],
    ],
)
def test_wrong_usage_is_shown_escaped(arguments):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code != 0
    shown = result.output + str(result.exception)
    assert "\x1b[2J" not in shown
    assert "\\x1b[2J" in shown.replace("\n", "") or "\\x1b" in shown
    assert len(shown) < 4000


def test_what_does_not_exist_is_not_suggested_itself(tmp_path):
    (tmp_path / "folder.png").mkdir()
    assert str(not_found(tmp_path / "folder.png")).endswith("folder.png is a folder, not a file")
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    assert str(not_found(tmp_path / "link.png")).endswith("gone.png, which does not exist")
    composed, taken_apart = (unicodedata.normalize(f, "é.png") for f in ("NFC", "NFD"))
    (tmp_path / taken_apart).write_bytes(b"")
    assert "looks the same, but is spelled 'e\\u0301.png'" in str(not_found(tmp_path / composed))
    (tmp_path / "a.png ").write_bytes(b"")
    assert "is spelled 'a.png '" in str(not_found(tmp_path / "a.png"))
    (tmp_path / "photo.png").write_bytes(b"")
    assert str(not_found(tmp_path / "foto.png")).endswith(f"did you mean '{tmp_path}/photo.png'?")
    assert str(not_found(tmp_path / "zzzzzz")).endswith("zzzzzz does not exist")


@pytest.mark.parametrize("slashes", ["/", "//"])
def test_addresses_keep_both_slashes(slashes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "p.png", np.zeros((32, 32, 3), np.uint8))
    for arguments, hint in (
        ([f"https:{slashes}host/p.jpg", "out.png"], "download it and name the file"),
        (["p.png", "o.png", "--weights", f"https:{slashes}host/w.onnx"], "'matte weights add'"),
    ):
        message = str(CliRunner().invoke(app, ["predict", *arguments]).exception)
        assert message.startswith("https://host/") and hint in message
