"""What metrics and regions are called where people read them."""

from __future__ import annotations

from typing import NamedTuple

from mattecli.core.metrics.regions import DETAIL_RADIUS
from mattecli.core.metrics.scores import Scores


class Metric(NamedTuple):
    """A metric's key in `Scores`, its name, the digits worth showing, and what it means."""

    key: str
    label: str
    digits: int
    meaning: str


METRICS = tuple(
    Metric(key, *texts)
    for key, texts in zip(
        Scores._fields,
        (
            ("SAD", 3, "sum of absolute differences, in thousands of pixels"),
            ("MSE", 5, "mean squared difference"),
            ("MAD", 5, "mean absolute difference"),
            ("Grad", 3, "difference of slopes: blurred, ragged or displaced edges, / 1000"),
            ("Conn", 3, "pieces that hang off the shared body, / 1000"),
        ),
        strict=True,
    )
)
UNITS = "SAD, Grad, Conn / 1000; MSE, MAD means; lower is better"
REGION_NAMES = {
    "whole": "the whole image",
    "unknown": "the trimap's unknown pixels",
    "detail": f"detail, within {DETAIL_RADIUS} px of the truth's soft pixels and edges",
}
