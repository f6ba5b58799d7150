"""Bootstrap intervals and paired comparisons."""

import numpy as np
import pytest

from mattecli.core.metrics.statistics import bootstrap_mean, compare


def test_interval_of_many_values_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(10, [1, 4], size=(2000, 2))
    estimate = bootstrap_mean(values)
    assert estimate.mean == pytest.approx(values.mean(axis=0))
    half_width = 1.96 * values.std(axis=0) / np.sqrt(2000)
    assert estimate.low == pytest.approx(estimate.mean - half_width, abs=half_width.max() * 0.1)
    assert estimate.high == pytest.approx(estimate.mean + half_width, abs=half_width.max() * 0.1)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    # Every column is a set of 40 images drawn on its own.
    estimate = bootstrap_mean(np.random.default_rng(2).normal(5, 2, size=(40, 400)))
    covered = ((estimate.low <= 5) & (estimate.high >= 5)).mean()
    assert 0.90 <= covered <= 0.97


def test_interval_is_reproducible_and_undefined_for_one_image():
    values = np.array([[1.0], [2.0], [9.0]])
    assert bootstrap_mean(values) == bootstrap_mean(values)
    single = bootstrap_mean(values[:1])
    assert single.mean == 1
    assert np.isnan(single.low) and np.isnan(single.high)


def test_pairing_finds_a_small_steady_difference():
    rng = np.random.default_rng(4)
    baseline = rng.exponential(50, size=(30, 1))
    better = baseline - rng.uniform(0.5, 1.5, size=(30, 1))
    better[0] = baseline[0] + 1
    better[1] = baseline[1]
    comparison = compare(better, baseline)
    assert comparison.difference.mean == pytest.approx((better - baseline).mean(axis=0))
    assert comparison.difference.high < 0
    assert (comparison.wins, comparison.losses, comparison.images) == (28, 1, 30)
    alone = [bootstrap_mean(values) for values in (better, baseline)]
    assert alone[0].high > alone[1].low
