"""Results as tables for the terminal; the region stands over every number."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from rich.table import Table

from mattecli.core.metrics.evaluation import Evaluation, compare_to_first
from mattecli.core.metrics.presentation import METRICS, REGION_NAMES, UNITS
from mattecli.core.metrics.statistics import Estimate
from mattecli.core.plain_text import cell

# A longer list scrolls the mean out of sight; the files hold all of it.
LONGEST_LIST = 40
WORST = 10


def image_table(evaluation: Evaluation) -> Table:
    """Errors of each image (of the worst by SAD where there are many), their mean and interval."""
    scores, title = evaluation.scores, f"{evaluation.method}: {len(evaluation.scores)} images"
    if len(scores) > LONGEST_LIST:
        worst = sorted(scores, key=lambda name: -scores[name].sad)[:WORST]
        scores = {name: scores[name] for name in worst}
        title += f"; here the {WORST} with the largest SAD"
    caption = f"{UNITS}\n95%: interval of the mean over resampled images"
    table = _table(title, caption, evaluation.region, "image")
    for name, row in scores.items():
        table.add_row(cell(name), *_figures(row))
    table.add_section()
    _add_estimate(table, evaluation.estimate(), "mean", style="bold")
    return table


def method_table(evaluations: list[Evaluation]) -> Table:
    """Give a row a method: means with their intervals, the best in bold."""
    table = _table("means", f"{UNITS}; best in bold", evaluations[0].region, "method", "images")
    estimates = [evaluation.estimate() for evaluation in evaluations]
    best = np.min([estimate.mean for estimate in estimates], axis=0)
    for evaluation, estimate in zip(evaluations, estimates, strict=True):
        images = str(len(evaluation.scores))
        _add_estimate(table, estimate, evaluation.method, images, marked=estimate.mean == best)
    return table


def comparison_table(evaluations: list[Evaluation]) -> Table:
    """Every further method against the first one: difference of means, interval, wins, losses."""
    table = _table(
        f"difference to {evaluations[0].method} on the same images",
        "negative is better; bold: the interval leaves out 0, so the difference is sure",
        evaluations[0].region,
        "method",
        "images",
    )
    for method, comparison in compare_to_first(evaluations).items():
        low, high = comparison.difference.low, comparison.difference.high
        marked = (low > 0) | (high < 0)
        images = str(comparison.images)
        _add_estimate(table, comparison.difference, method, images, marked=marked, sign="+")
        table.add_row("won", "", *map(str, comparison.wins), style="dim")
        table.add_row("lost", "", *map(str, comparison.losses), style="dim")
    return table


def _table(title: str, caption: str, region: str, *columns: str) -> Table:
    table = Table(
        title=f"{cell(title)}\nregion: {REGION_NAMES[region]}",
        caption=caption,
        title_justify="left",
        caption_justify="left",
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    for metric in METRICS:
        table.add_column(f"{metric.label}\n[dim]{region}[/]", justify="right", no_wrap=True)
    return table


def _add_estimate(
    table: Table,
    estimate: Estimate,
    *labels: str,
    marked: np.ndarray | None = None,
    sign: str = "",
    style: str | None = None,
) -> None:
    if table.rows and marked is not None:
        table.add_section()
    means = _figures(estimate.mean, sign)
    if marked is not None:
        means = [
            f"[bold]{mean}[/]" if mark else mean for mean, mark in zip(means, marked, strict=True)
        ]
    table.add_row(*map(cell, labels), *means, style=style)
    blank = [""] * (len(labels) - 1)
    table.add_row("95% from", *blank, *_figures(estimate.low, sign), style="dim")
    table.add_row("95% to", *blank, *_figures(estimate.high, sign), style="dim")


def _figures(values: Iterable[float], sign: str = "") -> list[str]:
    return [
        "–" if np.isnan(value) else f"{value:{sign}.{metric.digits}f}"
        for value, metric in zip(values, METRICS, strict=True)
    ]
