"""Results as one HTML file that needs nothing else: figures, plots, a table, and pictures."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from mattecli.core.errors import MatteError
from mattecli.core.imaging.reading import read_color
from mattecli.core.imaging.writing import encode
from mattecli.core.metrics.evaluation import Evaluation, compare_to_first
from mattecli.core.metrics.matching import Entry
from mattecli.core.metrics.pixels import white
from mattecli.core.metrics.presentation import METRICS, REGION_NAMES
from mattecli.core.metrics.scoring import Job, read_job
from mattecli.core.metrics.statistics import Estimate
from mattecli.core.storage import write_whole

#: Name of the page in its folder.
PAGE = "index.html"
TEMPLATE = Path(__file__).with_name("page.html")
THUMBNAIL = 420


def write_page(
    folder: Path,
    evaluations: list[Evaluation],
    examples: int,
    predict: Callable[[Entry], np.ndarray] | None = None,
) -> Path:
    """Write ``folder/index.html``.

    Parameters
    ----------
    folder : Path
    evaluations : list of Evaluation
        One a method, of one region.
    examples : int
        How many of the worst and of the best images are shown, by each metric (averaged over the
        methods). Only these are read again.
    predict : callable, optional
        Gives the 8-bit matte of an entry; by default it is read from the entry's file.

    Returns
    -------
    Path
        The page.
    """
    data = {
        "region": evaluations[0].region,
        "regionName": REGION_NAMES[evaluations[0].region],
        "metrics": [metric._asdict() for metric in METRICS],
        "methods": [
            {
                "name": evaluation.method,
                **_estimate(evaluation.estimate()),
                "scores": evaluation.scores,
                "missing": evaluation.missing,
            }
            for evaluation in evaluations
        ],
        "comparisons": [
            {
                "name": method,
                **_estimate(comparison.difference),
                "wins": comparison.wins.tolist(),
                "losses": comparison.losses.tolist(),
                "images": comparison.images,
            }
            for method, comparison in compare_to_first(evaluations).items()
        ],
        "examples": examples,
        "pictures": {
            name: _pictures(name, evaluations, predict)
            for name in _worst_and_best(evaluations, examples)
        },
    }
    # "<" is the only character that could end the script element that holds the data.
    text = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    page = folder / PAGE
    content = TEMPLATE.read_text("utf-8").replace("{{data}}", text)
    # Bytes of a name that are no UTF-8 become escapes, which JSON knows too.
    write_whole(page, content.encode(errors="backslashreplace"))
    return page


def error_map(
    prediction: np.ndarray, truth: np.ndarray, region: np.ndarray | None, height: int, width: int
) -> np.ndarray:
    """Color where a prediction is wrong: red too opaque, blue too clear, white right.

    Strength grows with the square root of the error, so that faint veils show; pixels that do not
    count are grey.

    Parameters
    ----------
    prediction, truth : ndarray, shape (H, W), of one dtype
    region : ndarray of bool, shape (H, W), or None
    height, width : int
        Size of the result. Red and blue are shrunk apart, lest they cancel out.

    Returns
    -------
    ndarray, shape (height, width, 3), uint8
    """
    difference = (prediction.astype(np.float32) - truth) / np.float32(white(truth))
    if region is not None:
        difference *= region
    too_opaque, too_clear = (
        np.sqrt(_shrink(np.maximum(part, 0), height, width))[..., None]
        for part in (difference, -difference)
    )
    # What is left of white paper: red ink takes green and blue away, blue ink red and green.
    paper = np.ones((height, width, 3), np.float32)
    if region is not None:
        paper -= 0.12 * (1 - _shrink(region.astype(np.float32), height, width)[..., None])
    ink = too_opaque * np.array([0.15, 0.9, 0.95], np.float32) + too_clear * np.array(
        [0.95, 0.65, 0.1], np.float32
    )
    return np.rint(np.clip(paper - ink, 0, 1) * 255).astype(np.uint8)


def _worst_and_best(evaluations: list[Evaluation], examples: int) -> list[str]:
    """Choose the images, of those that every method has, that some metric finds worst or best."""
    names = [name for name in evaluations[0].scores if all(name in e.scores for e in evaluations)]
    if not names or not examples:
        return []
    means = np.mean([evaluation.table(names) for evaluation in evaluations], axis=0)
    order = means.argsort(axis=0)
    chosen = np.unique(np.concatenate([order[:examples], order[-examples:]]))
    return [names[i] for i in chosen]


def _pictures(
    name: str, evaluations: list[Evaluation], predict: Callable[[Entry], np.ndarray] | None
) -> dict[str, str | list[str]]:
    """Photo (where there is one), truth, and each method's prediction and error map."""
    predictions: list[str] = []
    errors: list[str] = []
    pictures: dict[str, str | list[str]] = {"predictions": predictions, "errors": errors}
    for evaluation in evaluations:
        entry = evaluation.entries[name]
        alpha = predict(entry) if predict else None
        prediction, truth, region = read_job(Job(0, entry, evaluation.region, alpha))
        height, width = truth.shape
        scale = min(1.0, THUMBNAIL / max(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        predictions.append(_embed(_shrink(prediction, *size)))
        errors.append(_embed(error_map(prediction, truth, region, *size)))
        if "truth" not in pictures:
            pictures["truth"] = _embed(_shrink(truth, *size))
            photo = _photo(entry.photo, *size)
            if photo is not None:
                pictures["photo"] = _embed(photo)
    return pictures


def _photo(path: Path | None, height: int, width: int) -> np.ndarray | None:
    if path is None:
        return None
    try:
        return _shrink(read_color(path), height, width)
    except MatteError:
        return None  # the photo only illustrates; its place stays empty


def _shrink(image: np.ndarray, height: int, width: int) -> np.ndarray:
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _embed(image: np.ndarray) -> str:
    if image.dtype == np.uint16:
        image = np.rint(image / 257).astype(np.uint8)
    data = base64.b64encode(encode(image, ".webp", quality=82)).decode()
    return f"data:image/webp;base64,{data}"


def _estimate(estimate: Estimate) -> dict[str, list[float | None]]:
    return {
        "mean": estimate.mean.tolist(),
        **{
            side: [None if np.isnan(value) else value for value in values.tolist()]
            for side, values in (("low", estimate.low), ("high", estimate.high))
        },
    }
