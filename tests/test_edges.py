"""Edges by taste, and the colors of what they add."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_predict import matte, network, photo

from mattecli.core.imaging.reading import read_alpha, read_picture
from mattecli.core.imaging.writing import write_image
from mattecli.core.matting.edges import Edges, corrected, drop_islands, fill_holes, shaped
from mattecli.core.matting.outputs import OutputSpec, render_outputs

__all__ = ["network", "photo"]


def disc(radius: float = 30, center=(50, 60), size=(100, 120)) -> np.ndarray:
    """A disc whose edge is two pixels wide."""
    y, x = np.mgrid[: size[0], : size[1]]
    distance = np.hypot(y - center[0], x - center[1])
    return np.clip((radius - distance) / 2 + 0.5, 0, 1).astype(np.float32)


def width(alpha: np.ndarray) -> float:
    """The subject's width in its middle row."""
    return float(alpha[50].sum())


@pytest.mark.parametrize("length", [0.5, 1, 4, 7.25])
def test_edges_move_by_pixels(length):
    alpha = disc()
    assert width(shaped(alpha, Edges(grow=length))) - width(alpha) == pytest.approx(
        2 * length, abs=0.15
    )
    assert width(alpha) - width(shaped(alpha, Edges(shrink=length))) == pytest.approx(
        2 * length, abs=0.15
    )
    # In every direction alike.
    grown = shaped(alpha, Edges(grow=length)).sum()
    assert np.sqrt(grown / np.pi) == pytest.approx(30 + length, rel=0.03)


def test_shrinking_and_growing_takes_off_what_is_thin():
    alpha = disc()
    alpha[49:51, 90:] = 1
    opened = shaped(alpha, Edges(shrink=3, grow=3))
    assert not opened[:, 95:].any()
    assert np.abs(opened - disc()).mean() < 0.01


def test_the_border_of_the_photo_is_no_edge():
    half = np.zeros((60, 80), np.float32)
    half[:, :40] = 1
    for edges in (Edges(shrink=5), Edges(feather=6), Edges(grow=5)):
        done = shaped(half, edges)
        assert (done[:, 0] == 1).all() and (done == done[:1]).all()


def test_feather_fades_to_either_side():
    half = np.zeros((60, 80), np.float32)
    half[:, :40] = 1
    soft = shaped(half, Edges(feather=8))[30]
    assert soft[31] > 0.95 and soft[48] < 0.05 and 0.4 < soft[39] < 0.6
    assert (np.diff(soft) <= 1e-6).all() and soft[36] < 0.95


def test_threshold_leaves_nothing_between():
    alpha = disc(radius=20.3)
    hard = shaped(alpha, Edges(threshold=0.8))
    assert np.array_equal(hard, alpha >= 0.8) and hard.dtype == np.float32


def test_islands_go_with_their_haze():
    alpha = disc(20, (50, 40)) + disc(6, (50, 100))
    alpha = np.maximum(alpha, np.float32(0.04) * (disc(12, (50, 100)) > 0))
    assert np.array_equal(drop_islands(alpha, 0.05), alpha)  # its share is .09
    kept = drop_islands(alpha, 0.2)
    assert not kept[:, 85:].any()
    assert np.array_equal(kept[:, :70], alpha[:, :70])
    nothing = np.zeros((20, 20), np.float32)
    assert drop_islands(nothing, 0.5) is nothing


def test_holes_are_filled_with_their_soft_border_and_bays_are_not():
    alpha = disc() - disc(8)
    alpha[48:52, 84:] = 0  # a bay
    filled = fill_holes(alpha)
    assert (filled[35:65, 45:75] == 1).all()
    assert not filled[48:52, 84:].any()
    ring = disc(70, (50, 60)) - disc(60, (50, 60))  # the border closes it
    assert np.array_equal(fill_holes(ring), ring)


def test_nothing_asked_for_changes_nothing():
    alpha = disc()
    assert shaped(corrected(alpha, Edges()), Edges()) is alpha


def test_what_is_grown_has_the_colors_of_the_subject_and_a_filled_hole_those_of_the_photo():
    alpha = disc() - disc(8)
    color = alpha[..., None] * [220, 40, 40] + (1 - alpha[..., None]) * [20, 40, 200]
    photo = np.rint(color).astype(np.uint8)
    grown = render_outputs(photo, alpha, OutputSpec(edges=Edges(grow=4)))["cutout"]
    rim = (grown[..., 3] > 200) & (alpha < 0.5) & (disc(20) == 0)
    assert rim.sum() > 300
    assert grown[rim][:, 0].min() > 180 and grown[rim][:, 2].max() < 70
    filled = render_outputs(photo, alpha, OutputSpec(edges=Edges(fill_holes=True)))["cutout"]
    assert filled[50, 60].tolist() == [20, 40, 200, 255]


def test_the_command_line_has_all_of_them(photo, tmp_path):
    write_image(tmp_path / "photo.png", photo)
    common = [tmp_path / "photo.png", tmp_path / "a.png", "--save", "alpha", "--size", 128]

    def made(*options: object) -> np.ndarray:
        result = matte(*common, *options)
        assert result.exit_code == 0, result.output
        return read_alpha(tmp_path / "a.png").astype(int)

    plain = made()
    assert set(np.unique(made("--threshold", 0.5))) == {0, 255}
    assert made("--grow", 3).sum() > plain.sum() > made("--shrink", 3).sum()
    assert ((made("--feather", 10) > 0) & (made("--feather", 10) < 255)).sum() > 1000
    assert np.array_equal(made("--drop-islands"), made("--drop-islands", 0.05))
    assert np.array_equal(made("--fill-holes"), plain)


def test_islands_need_no_number(photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    two = photo.copy()
    two[80:86, 5:11] = [255, 0, 0]
    write_image(Path("photo.png"), two)
    for arguments in (
        ["--drop-islands", "photo.png", "out.png"],
        ["photo.png", "out.png", "--drop-islands"],
        ["photo.png", "out.png", "--drop-islands", "--size", 128],
    ):
        assert matte(*arguments).exit_code == 0
        assert not read_picture(Path("out.png")).alpha[75:, :20].any(), arguments
    assert matte("photo.png", "out.png", "--drop-islands", "0.001").exit_code == 0
    assert read_picture(Path("out.png")).alpha[75:, :20].max() > 200
    assert matte("photo.png", "out.png", "--drop-islands", "2").exit_code == 2
