"""The metrics against the public MATLAB code run under GNU Octave, and against known answers."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from mattecli.core.errors import MatteError
from mattecli.core.imaging.reading import read_alpha
from mattecli.core.metrics import connectivity_error, gradient_error, mad, mse, sad, score
from mattecli.core.metrics.connectivity import steps_survived
from mattecli.core.metrics.regions import detail_region, unknown_region

DATA = Path(__file__).parent / "data" / "metrics"
METRICS = {
    "sad": sad,
    "mse": mse,
    "mad": mad,
    "grad": gradient_error,
    "conn": connectivity_error,
}
ORACLE = list(csv.DictReader((DATA / "octave.csv").open()))


def read_case(name: str, region: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    prediction, truth, trimap = (
        read_alpha(DATA / kind / f"{name}.png") for kind in ("pred", "gt", "trimap")
    )
    return prediction, truth, unknown_region(trimap) if region == "unknown" else None


@pytest.mark.parametrize("row", ORACLE, ids=lambda row: f"{row['name']}-{row['region']}")
def test_octave_values(row):
    prediction, truth, region = read_case(row["name"], row["region"])
    scores = score(prediction, truth, region)._asdict()
    pixels = truth.size if region is None else region.sum()
    expected = {key: float(row[key]) for key in ("sad", "mse", "grad", "conn")}
    expected["mad"] = expected["sad"] * 1000 / pixels
    assert scores == pytest.approx(expected, rel=1e-5, abs=1e-12)
    for key, metric in METRICS.items():
        assert metric(prediction, truth, region) == pytest.approx(
            expected[key], rel=1e-5, abs=1e-12
        )


@pytest.mark.parametrize("row", ORACLE, ids=lambda row: f"{row['name']}-{row['region']}")
def test_depths_agree(row):
    prediction, truth, region = read_case(row["name"], row["region"])
    scores = score(prediction, truth, region)
    deep = prediction.astype(np.uint16) * 257
    assert score(deep, truth, region) == pytest.approx(scores, rel=1e-9, abs=1e-15)
    unit = truth.astype(np.float32) / np.float32(255)
    assert score(prediction, unit, region) == pytest.approx(scores, rel=1e-5, abs=1e-9)


# Values of the same Octave code on arrays of every depth and kind, made by `octave_case`.
OCTAVE_CASES = {
    "noise": (0.2410353, 0.171770387, 0.0701959359, 0.259301965),
    "sixteen-bit": (0.23648664, 0.16487851, 0.0863713827, 0.257006673),
    "equal-components": (0.0786705907, 0.0454154193, 0.13546547, 0.0791294085),
    "constant-prediction": (0.200137261, 0.11054601, 0.172372748, 0.223058825),
    "full-truth": (0.352368634, 0.331421144, 0.172372748, 0.372419604),
    "on-the-thresholds": (0.253796084, 0.194734389, 0.117812773, 0.259874516),
}


def octave_case(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Small integer arrays from a formula, so that no file and no random generator is needed."""
    y, x = np.indices((23, 31))
    wave = (x * x * 7 + y * y * 13 + x * y * 5) % 256
    blocks = 255 * (((x % 6) < 5) & ((y % 6) < 5) & (((x // 6) * 3 + (y // 6) * 5) % 4 < 2))
    prediction, truth, dtype = {
        "noise": (wave, wave[::-1, ::-1], np.uint8),
        "sixteen-bit": (wave * 257 - wave // 2, wave.T.reshape(23, 31) * 257, np.uint16),
        "equal-components": (blocks * (100 + wave * 155 // 255) // 255, blocks, np.uint8),
        "constant-prediction": (np.full_like(wave, 90), wave, np.uint8),
        "full-truth": (wave, np.full_like(wave, 255), np.uint8),
        "on-the-thresholds": (wave // 43 * 51, wave[:, ::-1] // 26 * 153 // 6, np.uint8),
    }[kind]
    return prediction.astype(dtype), truth.astype(dtype)


@pytest.mark.parametrize("kind", OCTAVE_CASES)
def test_octave_values_of_formula_cases(kind):
    got = score(*octave_case(kind))._asdict()
    got.pop("mad")
    assert tuple(got.values()) == pytest.approx(OCTAVE_CASES[kind], rel=1e-5, abs=1e-12)


def test_pointwise_known_answers():
    prediction = np.zeros((10, 20), np.uint8)
    truth = np.zeros((10, 20), np.uint8)
    truth[:5] = 255
    prediction[0, 0] = 51
    assert sad(prediction, truth) == pytest.approx((100 - 0.2) / 1000)
    assert mad(prediction, truth) == pytest.approx(99.8 / 200)
    assert mse(prediction, truth) == pytest.approx((99 + 0.8**2) / 200)
    top_left = np.zeros((10, 20), bool)
    top_left[0, 0] = True
    assert sad(prediction, truth, top_left) == pytest.approx(0.8 / 1000)
    assert mse(prediction, truth, top_left) == pytest.approx(0.64)


def test_gradient_against_a_plain_two_dimensional_convolution():
    rng = np.random.default_rng(3)
    prediction, truth = rng.integers(0, 200, (2, 300, 40)).astype(np.uint8)
    x = np.arange(-4, 5)
    gaussian = np.exp(-(x**2) / (2 * 1.4**2)) / (np.sqrt(2 * np.pi) * 1.4)
    kernel = np.outer(gaussian, -x * gaussian / 1.4**2)
    kernel /= np.sqrt((kernel**2).sum())

    def amplitude(matte):
        span = (matte - matte.min()) / float(matte.max() - matte.min())
        padded = np.pad(span, 4, mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (9, 9))
        # The kernel is flipped: a convolution, not a correlation.
        return np.hypot(
            np.einsum("hwij,ij", windows, kernel[::-1, ::-1]),
            np.einsum("hwij,ij", windows, kernel.T[::-1, ::-1]),
        )

    expected = ((amplitude(prediction) - amplitude(truth)) ** 2).sum() / 1000
    assert gradient_error(prediction, truth) == pytest.approx(expected, rel=1e-10)


def test_gradient_ignores_a_factor_and_an_offset():
    truth = read_alpha(DATA / "gt" / "fur-lost.png") // 255 * 200
    assert gradient_error(truth // 2 + 20, truth) == pytest.approx(0, abs=1e-15)


def test_connectivity_of_an_island():
    truth = np.full((20, 20), 255, np.uint8)
    prediction = truth.copy()
    prediction[:, 12] = 0
    # Left of the gap 240 pixels hang together; 140 right of it fall out at the first threshold, and
    # there l = 0: both φ are 1 − 1 = 0, no error. In the gap φ(p) = 1 and φ(t) = 0.
    assert connectivity_error(prediction, truth) == pytest.approx(20 / 1000)
    prediction[:, 13:] = 102
    # Now p = 0.4 right of the gap: φ(p) = 0.6 against φ(t) = 0.
    assert connectivity_error(prediction, truth) == pytest.approx((20 + 140 * 0.6) / 1000)


def test_153_reaches_the_threshold_of_0_6():
    matte = np.array([[152, 153, 154]], np.uint8)
    assert steps_survived(matte, matte).tolist() == [[5, 6, 6]]
    as_floats = matte.astype(np.float32) / np.float32(255)
    assert steps_survived(as_floats, as_floats).tolist() == [[5, 6, 6]]


def test_body_that_jumps_ends_all_that_was_left():
    """The largest component is the dim one up to 0.3; from 0.4 on it is the bright one."""
    matte = np.zeros((3, 20), np.uint8)
    matte[1, :10] = 100
    matte[1, 12:16] = 255
    survived = steps_survived(matte, matte)
    assert survived[1, :10].tolist() == [3] * 10
    assert survived[1, 12:16].tolist() == [0] * 4


def test_diagonal_neighbors_are_not_connected():
    matte = np.zeros((4, 4), np.uint8)
    matte[0, :3] = 255
    matte[1, 3] = 255
    assert steps_survived(matte, matte)[1, 3] == 0


@pytest.mark.parametrize("seed", range(12))
def test_steps_survived_is_the_definition_word_by_word(seed):
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.random((2, 40, 50)).transpose(1, 2, 0), (0, 0), 1 + seed % 4)
    noise = (noise - noise.min()) / np.ptp(noise)
    p, t = np.clip(noise * 330 - 40, 0, 255).astype(np.uint8).transpose(2, 0, 1)
    l_map = np.full(p.shape, -1)
    for step in range(1, 11):
        level = ((10 * p.astype(int) >= 255 * step) & (10 * t.astype(int) >= 255 * step)).T
        # Transposed, the first component in row order is the first in column order.
        _, labels, stats, _ = cv2.connectedComponentsWithStats(
            np.ascontiguousarray(level, np.uint8), connectivity=4
        )
        largest = labels == 1 + stats[1:, 4].argmax() if level.any() else np.zeros_like(level)
        l_map[(l_map == -1) & ~largest.T] = step - 1
    l_map[l_map == -1] = 10
    assert (steps_survived(np.ascontiguousarray(p), np.ascontiguousarray(t)) == l_map).all()


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_equal_mattes_have_no_error(metric):
    truth = read_alpha(DATA / "gt" / "cloud.png")
    # Where a row lies in memory decides how OpenCV rounds its ends: squares of one last digit.
    assert metric(truth, truth) == pytest.approx(0, abs=1e-30)
    assert metric(np.zeros_like(truth), np.zeros_like(truth)) == 0


def test_equal_mattes_have_no_gradient_error_wherever_they_are_in_memory():
    rng = np.random.default_rng(0)
    for width in range(61, 101):
        matte = rng.integers(0, 200, (60, width), dtype=np.uint8)
        assert gradient_error(matte, matte.copy()) == 0.0


def test_empty_region_and_constant_mattes_count_as_no_error():
    truth = read_alpha(DATA / "gt" / "cloud.png")
    nowhere = np.zeros(truth.shape, bool)
    assert score(255 - truth, truth, nowhere) == (0, 0, 0, 0, 0)
    assert all(metric(255 - truth, truth, nowhere) == 0 for metric in METRICS.values())
    empty, full = np.zeros((30, 50), np.uint8), np.full((30, 50), 255, np.uint8)
    for prediction, truth in ((empty, full), (full, empty)):
        scores = score(prediction, truth)
        assert scores == pytest.approx((1.5, 1, 1, 0, 1.5))


def test_what_surrounds_the_subject_costs_nothing_but_counts():
    truth = np.zeros((200, 300), np.uint8)
    truth[80:120, 100:150] = read_alpha(DATA / "gt" / "fur-lost.png")[40:80, 60:110]
    prediction = cv2.GaussianBlur(truth, (0, 0), 2)
    scores = score(prediction, truth)
    alone = {key: metric(prediction, truth) for key, metric in METRICS.items()}
    assert scores._asdict() == pytest.approx(alone, rel=1e-12)


def test_refuses_what_is_no_matte():
    matte = np.zeros((4, 6), np.uint8)
    with pytest.raises(MatteError, match="6x4 but the ground truth is 4x6"):
        score(matte, matte.T)
    with pytest.raises(MatteError, match="region is 4x6"):
        score(matte, matte, np.ones((6, 4), bool))
    with pytest.raises(MatteError, match=r"\[0, 1\]"):
        score(matte.astype(np.float32) + 255, matte)
    with pytest.raises(MatteError, match=r"\[0, 1\]"):
        score(np.full((4, 6), np.nan), matte)


def test_regions():
    trimap = np.array([[0, 127, 128, 129, 255]], np.uint8)
    assert unknown_region(trimap).tolist() == [[False, False, True, False, False]]
    assert (unknown_region(trimap.astype(np.uint16) * 257) == unknown_region(trimap)).all()
    truth = np.zeros((60, 100), np.uint8)
    truth[:, 50:] = 255
    # Ten columns on either side of a hard edge.
    assert np.flatnonzero(detail_region(truth).all(axis=0)).tolist() == list(range(40, 60))
    truth[:, 50] = 128
    assert np.flatnonzero(detail_region(truth).all(axis=0)).tolist() == list(range(40, 61))
    assert not detail_region(np.zeros((9, 9), np.uint8)).any()
