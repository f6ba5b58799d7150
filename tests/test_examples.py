"""The scripts in examples/, run as a user does."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np

from mattecli.core.imaging.reading import read_color, read_picture

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(monkeypatch, script: str, *arguments: object) -> int:
    """Run a script in this process, as `python SCRIPT` does, and give its exit code."""
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    try:
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_a_shop_gets_squares_with_the_product_in_the_middle(tmp_path, monkeypatch, capsys):
    photos = tmp_path / "photos"
    (photos / "cups").mkdir(parents=True)
    (photos / "cups" / "coffee.jpg").write_bytes((EXAMPLES / "coffee.jpg").read_bytes())
    (photos / "broken.jpg").write_text("no photo")
    code = run(monkeypatch, "shop_catalogue.py", photos, tmp_path / "shop", "--canvas", "300x300")
    assert code == 1 and "broken.jpg" in capsys.readouterr().err
    (made,) = [path for path in (tmp_path / "shop").rglob("*") if path.is_file()]
    assert made == tmp_path / "shop" / "cups" / "coffee.jpg"
    picture = read_color(made)
    assert picture.shape == (300, 300, 3)
    rim = np.ones((300, 300), bool)
    rim[20:-20, 20:-20] = False
    assert picture[rim].min() > 240
    assert picture[100:200, 100:200].mean() < 200


def test_an_id_photo_has_its_format_and_a_plain_background(tmp_path, monkeypatch):
    out, portrait = tmp_path / "id.jpg", EXAMPLES / "grace-hopper.jpg"
    assert run(monkeypatch, "id_photo.py", portrait, out, "--color", "#dfe3e8") == 0
    picture = read_color(out)
    assert picture.shape == (531, 413, 3)
    for corner in (picture[:20, :20], picture[:20, -20:]):
        assert np.abs(corner.astype(int) - [0xDF, 0xE3, 0xE8]).max() < 12
    # The face is in the middle: skin is redder than blue.
    face = picture[180:260, 180:240].astype(int).mean(axis=(0, 1))
    assert face[0] > face[2] + 20


def test_drawn_subjects_are_cutouts_one_sees_through(tmp_path):
    # It starts processes of its own, which need a script that they can import.
    command = [sys.executable, EXAMPLES / "draw_subjects.py", tmp_path, "--count", 4, "--seed", 3]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 4
    draw = runpy.run_path(str(EXAMPLES / "draw_subjects.py"))["draw"]
    for path in paths:
        drawn = read_picture(path)
        again = draw(int(path.stem.rpartition("_")[2]), seed=3)
        assert np.array_equal(np.dstack([drawn.color, drawn.alpha]), again)
        alpha = drawn.alpha
        rows, columns = (np.flatnonzero(alpha.any(axis=axis)) for axis in (1, 0))
        box = alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert max(box.shape) > 0.9 * max(alpha.shape), "it fills its picture"
        assert (box == 255).mean() > 0.02 and (box == 0).mean() > 0.02, path
        assert ((box > 0) & (box < 255)).any(), "edges are soft"


def test_the_ablation_prints_the_papers_table_with_what_each_row_switches():
    ablation = runpy.run_path(str(EXAMPLES / "ablation" / "ablation.py"))
    names = ["+".join(["Basic", *row]) for row in ablation["ROWS"]]
    assert names[0] == "Basic" and names[-1] == "Basic+Low+CA+SA+SSIM+Adv"
    metrics = {"sad": 50.0, "mse": 0.01, "grad": 30.0, "conn": 40.0}
    means = {name: metrics for name in names}
    for name in (names[0], names[-1]):
        means[f"{name} seed 1"] = {**metrics, "sad": 60.0}
    head, _, first, *rows = ablation["table"](means, 2)
    assert head.startswith("| row | Low | CA | SA | SSIM | Adv |")
    assert "| 55.0 (50.0 to 60.0) |" in first and "| 55.0 (50.0 to 60.0) |" in rows[-1]
    assert len(rows) == 8
    (row,) = (row for row in rows if row.startswith("| Basic+Low+SA |"))
    assert row == (
        "| Basic+Low+SA | ✓ |  | ✓ |  |  | appearance cues of block 1, spatial attention on the "
        "cues | 50.0 | 0.0100 | 30.0 | 40.0 |"
    )


def test_the_ablation_trains_all_rows_once_before_it_repeats_any(tmp_path, monkeypatch, capsys):
    path = str(EXAMPLES / "ablation" / "ablation.py")
    ablation = runpy.run_path(path)
    commands = []

    def do(command):
        words = command[3:]
        commands.append(words)
        if words[0] == "train":
            Path(words[words.index("--out") + 1]).mkdir(parents=True)
        if words[0] == "evaluate":
            scores = dict.fromkeys(ablation["METRICS"], 1.0)
            methods = [{"method": Path(w).name, "mean": scores} for w in words[1:-4]]
            Path(words[-1]).write_text(json.dumps({"methods": methods}))
        return subprocess.CompletedProcess(command, 0)

    arguments = ["ablation.py", "data", "val", "--out", str(tmp_path / "out"), "--seeds", "2"]
    monkeypatch.setattr(subprocess, "run", do)
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(path, run_name="__main__")
    trained = [Path(words[words.index("--out") + 1]).name for words in commands[::2][:-1]]
    names = ["+".join(["Basic", *row]) for row in ablation["ROWS"]]
    assert trained == [*names, f"{names[0]} seed 1", f"{names[-1]} seed 1"]
    assert capsys.readouterr().out.count("| Basic") == 9

    # What is finished is not done again, and the table alone needs no more than that.
    commands.clear()
    runpy.run_path(path, run_name="__main__")
    assert [words[0] for words in commands] == ["evaluate"]
    for row in ablation["ROWS"][1:]:
        (tmp_path / "out/runs" / "+".join(["Basic", *row]) / "finished").unlink()
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", [*arguments, "--table"])
    runpy.run_path(path, run_name="__main__")
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| Basic")]
    assert [line.split(" | ")[0] for line in table] == ["| Basic", f"| {names[-1]}"]
