"""Results as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from mattecli.core.metrics.evaluation import Evaluation, compare_to_first
from mattecli.core.metrics.scores import Scores
from mattecli.core.metrics.statistics import Comparison, Estimate
from mattecli.core.storage import followed, write_whole


def write_json(path: Path, evaluations: list[Evaluation]) -> None:
    """Write the scores of all images and their mean.

    One method gives ``{"region", "mean": {metric: value}, "images": [{"name", metric: value}],
    "missing": [names]}``; several give ``{"region", "methods": [{"method", "mean", "interval":
    {metric: [low, high]}, "images", "missing"}], "comparisons": [{"method", "against", "images",
    "difference", "interval", "wins", "losses"}]}``.
    """
    region = evaluations[0].region
    if len(evaluations) == 1:
        content = {"region": region, **_results(evaluations[0])}
    else:
        content = {
            "region": region,
            "methods": [
                {
                    "method": evaluation.method,
                    "interval": _intervals(evaluation.estimate()),
                    **_results(evaluation),
                }
                for evaluation in evaluations
            ],
            "comparisons": [
                {
                    "method": method,
                    "against": evaluations[0].method,
                    **_comparison(comparison),
                }
                for method, comparison in compare_to_first(evaluations).items()
            ],
        }
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    # Bytes of a name that are no UTF-8 become escapes, which JSON knows too.
    write_whole(followed(path), (text + "\n").encode(errors="backslashreplace"))


def write_csv(path: Path, evaluations: list[Evaluation]) -> None:
    """Write one line an image: method (where there are several), name, region and the errors."""
    several = len(evaluations) > 1
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((["method"] if several else []) + ["name", "region", *Scores._fields])
    for evaluation in evaluations:
        for name, scores in evaluation.scores.items():
            start = [evaluation.method] if several else []
            writer.writerow([*start, name, evaluation.region, *scores])
    write_whole(followed(path), buffer.getvalue().encode(errors="surrogateescape"))


def _results(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "mean": _by_metric(evaluation.table().mean(axis=0)),
        "images": [
            {"name": name, **scores._asdict()} for name, scores in evaluation.scores.items()
        ],
        "missing": evaluation.missing,
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "images": comparison.images,
        "difference": _by_metric(comparison.difference.mean),
        "interval": _intervals(comparison.difference),
        "wins": _by_metric(comparison.wins),
        "losses": _by_metric(comparison.losses),
    }


def _by_metric(values: np.ndarray) -> dict[str, float]:
    return dict(zip(Scores._fields, values.tolist(), strict=True))


def _intervals(estimate: Estimate) -> dict[str, list[float] | None]:
    """[low, high] by metric; None for a single image, which tells nothing about spread."""
    return {
        key: None if math.isnan(low) else [low, high]
        for key, low, high in zip(
            Scores._fields, estimate.low.tolist(), estimate.high.tolist(), strict=True
        )
    }
