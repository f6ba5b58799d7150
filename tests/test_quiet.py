"""What ``--quiet`` leaves: errors, and nothing else, in every command that has it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from test_decoding_limits import run
from test_predict import network  # noqa: F401

from mattecli.core.imaging.writing import write_image

RED = np.full((24, 32, 3), (255, 0, 0), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """An animation, of which there is a warning, and a photo without a subject."""
    cutout = Image.fromarray(np.dstack([RED, RED[..., 0] // 2]))
    buffer = io.BytesIO()
    cutout.save(buffer, "PNG", save_all=True, append_images=[Image.new("RGBA", (32, 24))])
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "moving.png").write_bytes(buffer.getvalue())
    write_image(tmp_path / "in" / "nothing.png", np.dstack([0 * RED, RED[..., 0]]))
    return tmp_path / "in"


def commands(folder, out):
    mattes = folder.parent / "set"
    return {
        "predict": ("predict", folder, out),
        "composite": ("composite", folder, "white", "-o", out),
        "build-dataset": (
            *("build-dataset", out, "--photos", mattes / "image", "--alphas", mattes / "alpha"),
            *("--backgrounds", mattes / "image", "--per-foreground", 1, "--workers", 1),
        ),
    }


@pytest.mark.parametrize("command", ["predict", "composite", "build-dataset"])
def test_warnings_and_summaries_are_left_out_and_errors_stay(folder, tmp_path, command):
    for kind, value in {"image": RED, "alpha": np.tri(24, 32, dtype=np.uint8)}.items():
        write_image(tmp_path / "set" / kind / "a.png", value)
    arguments = commands(folder, tmp_path / "out")[command]
    talkative = run(*arguments)
    said = "holds 0 and 1" if command == "build-dataset" else "only the first of 2 frames"
    assert talkative.exit_code == 0 and said in talkative.stderr
    quiet = run(*commands(folder, tmp_path / "again")[command], "--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert any((tmp_path / "again").rglob("*.png"))
    if command == "build-dataset":
        # What is no mask is refused before anything is made.
        write_image(tmp_path / "set/alpha/a.png", np.tri(24, 32, dtype=np.uint8) * 3)
        bad = run(*commands(folder, tmp_path / "third")[command], "--quiet")
        assert bad.exit_code == 1 and "holds values up to 3" in str(bad.exception)
        return
    (folder / "bad.png").write_bytes(b"nothing")
    bad = run(*commands(folder, tmp_path / "third")[command], "--quiet")
    assert bad.exit_code == 1
    (line,) = bad.output.splitlines()
    assert "bad.png is not a picture" in line


def test_a_sound_set_is_passed_in_silence_and_an_unsound_one_named(tmp_path):
    alpha = np.uint8(np.clip(np.hypot(*np.mgrid[-12:12, -16:16]) * 40, 0, 255))
    for kind, value in {"image": RED, "alpha": 255 - alpha}.items():
        write_image(tmp_path / "set" / kind / "a.png", value)
    result = run("build-dataset", "--check", tmp_path / "set", "-q", "--workers", 1)
    assert (result.exit_code, result.output) == (0, "")
    write_image(tmp_path / "set/alpha/a.png", alpha[:20])
    result = run("build-dataset", "--check", tmp_path / "set", "-q", "--workers", 1)
    assert result.exit_code == 1 and "error" in result.output
