"""``matte evaluate``: score mattes, or a weights file, against the truth."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mattecli.cli.cluster import check_cluster, chosen_executor, may_use_gpu
from mattecli.cli.commands import yields_to_what_is_typed
from mattecli.cli.option_groups import with_options
from mattecli.cli.side_files import check_side_files
from mattecli.cli.status import ExitStatus
from mattecli.cli.streams import say
from mattecli.core.inference.run_options import ClusterOptions
from mattecli.core.objects.paths import located

if TYPE_CHECKING:
    import torch

    from mattecli.core.inference.predictor import Predictor
    from mattecli.core.metrics.evaluation import Evaluation

LONGEST_REPORT = 100

_SCORING, _RESULTS, _RUN = "Scoring", "Results", "Run"


class Region(str, Enum):
    """Pixels that count."""

    whole = "whole"
    unknown = "unknown"
    detail = "detail"


def _meant(
    paths: list[Path],
    gt: Path | None,
    weights: Path | None,
    trimap: Path | None,
    region: Region | None,
) -> tuple[Path, list[Path], str]:
    """Tell the truth from the predictions, and what region counts."""
    truth, predictions = (gt, paths) if gt else (paths[-1], paths[:-1])
    chosen = Region(region).value if region else "unknown" if trimap else "whole"
    if not predictions:
        raise typer.BadParameter("name the predictions and the truth: PRED GT, or PRED --gt GT")
    if len(predictions) > 1 and not gt:
        raise typer.BadParameter("to compare several folders name the truth with --gt")
    if len(predictions) > 1 and weights:
        raise typer.BadParameter("--weights takes one folder of images and the truth")
    if chosen == "unknown" and not trimap:
        raise typer.BadParameter("--region unknown needs --trimap DIR")
    return truth, predictions, chosen


@yields_to_what_is_typed(
    _meant, {"paths": [Path("predictions"), Path("truth")], "trimap": Path("trimaps")}
)
@with_options(cluster=ClusterOptions)
def evaluate(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PRED... GT",
            help="Folders of mattes or cutouts and of true mattes, matched by relative path "
            "without suffix (dog_7 falls back on the truth of dog). Several PRED need --gt GT; "
            "with --weights PRED holds photos.",
            show_default=False,
        ),
    ],
    gt: Annotated[
        Path | None,
        typer.Option(
            help="The true mattes; all other folders are methods to compare.",
            rich_help_panel=_SCORING,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Predict the mattes of the photos in PRED with these.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    trimap: Annotated[
        Path | None,
        typer.Option(
            help="Trimaps: score only their unknown pixels, 128 or label 1.",
            rich_help_panel=_SCORING,
        ),
    ] = None,
    region: Annotated[
        Region | None,
        typer.Option(
            help="Pixels that count: all, the trimap's unknown ones, or those near soft pixels "
            "and edges of the truth. By default unknown with --trimap, otherwise whole.",
            show_default=False,
            rich_help_panel=_SCORING,
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json", metavar="FILE", help="Write all figures as JSON.", rich_help_panel=_RESULTS
        ),
    ] = None,
    csv_file: Annotated[
        Path | None,
        typer.Option(
            "--csv", metavar="FILE", help="Write a line an image as CSV.", rich_help_panel=_RESULTS
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write index.html with distributions, a sortable table, worst and best images.",
            rich_help_panel=_RESULTS,
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="The photos, to be shown on the page.", rich_help_panel=_RESULTS),
    ] = None,
    examples: Annotated[
        int,
        typer.Option(
            min=0, help="Worst and best images on the page, each.", rich_help_panel=_RESULTS
        ),
    ] = 6,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes on this machine; by default one a core for many images.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Where the network runs, and on CUDA all errors but Conn: auto, cpu, cuda, "
            "cuda:N, mps. By default auto with --weights, otherwise cpu.",
            show_default=False,
            rich_help_panel=_RUN,
        ),
    ] = None,
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing",
            help="Exit with 0 although files are missing, unusable or extra.",
            rich_help_panel=_SCORING,
        ),
    ] = False,
    *,
    cluster: ClusterOptions,
) -> None:
    """Score mattes against the truth: SAD, MSE, MAD, Grad and Conn, with 95% intervals.

    Several prediction folders are compared image by image with the first of them.
    """
    truth, predictions, chosen = _meant(paths, gt, weights, trimap, region)
    check_cluster(cluster)
    truth, predictions = located(truth), list(map(located, predictions))
    trimap, images = trimap and located(trimap), images and located(images)

    from mattecli.core.metrics import evaluation, files, matching, page
    from mattecli.core.metrics.score_task import predict_alpha

    load = None
    if weights:
        from mattecli.core.inference.predictor import Predictor

        load = _Loading(partial(Predictor.load, weights, device or "auto"))
        images = images or predictions[0]
    # Workers of a cluster have predictors of their own, and score by their processors.
    predictor = load() if load and cluster.cluster is None else None
    scoring_device = None
    if cluster.cluster is None:
        scoring_device = _scoring_device(device, predictor)

    names = evaluation.method_names([weights] if weights else predictions)
    trimaps = trimap if chosen == "unknown" else None
    methods = {
        name: matching.match(folder, truth, trimaps, images)
        for name, folder in zip(names, predictions, strict=True)
    }
    page_file = html and html / page.PAGE
    check_side_files(
        {"--json": json_file, "--csv": csv_file, "--html": page_file},
        [weights, *(path for found in methods.values() for path in found.files())],
    )
    evaluations = evaluation.evaluate(
        methods,
        chosen,
        predictor=predictor,
        load=load,
        workers=workers,
        device=scoring_device,
        executor=chosen_executor(
            cluster, uses_gpu=load is not None and may_use_gpu(device or "auto")
        ),
    )

    _show(evaluations)
    if json_file:
        files.write_json(json_file, evaluations)
    if csv_file:
        files.write_csv(csv_file, evaluations)
    if html:
        predict: Any = load and (lambda entry: predict_alpha(load(), [entry.prediction])[0])
        say(f"page: {page.write_page(html, evaluations, examples, predict)}", err=False)
    for result in evaluations:
        _report(result)
    if any(result.problems for result in evaluations) and not allow_missing:
        raise typer.Exit(ExitStatus.FAILURE)


class _Loading:
    """Loads a predictor when it is first needed; travels to other processes without it."""

    def __init__(self, load: Callable[[], Predictor]) -> None:
        self._load = load
        self._loaded: Predictor | None = None

    def __call__(self) -> Predictor:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def __reduce__(self) -> tuple:
        return _Loading, (self._load,)


def _scoring_device(name: str | None, predictor: Predictor | None) -> torch.device | None:
    if predictor is not None:
        # Others are no gain for scores, and need no PyTorch.
        return predictor.device if predictor.device_type == "cuda" else None
    if name is None:
        return None
    from mattecli.core.device import choose_device

    return choose_device(name)


def _show(evaluations: list[Evaluation]) -> None:
    """Print a row for each image, or of several methods their means and what differs."""
    from rich.console import Console

    from mattecli.core.metrics import tables

    console = Console()
    if len(evaluations) == 1:
        console.print(tables.image_table(evaluations[0]))
    else:
        console.print(tables.method_table(evaluations))
        console.print(tables.comparison_table(evaluations))


def _report(result: Evaluation) -> None:
    """List on standard error what could not be scored, and what was read as a mask."""
    from mattecli.core.imaging.mask_notes import gathered

    for line in gathered(result.notes):
        say(f"{result.method}: note: {line}", color="yellow")
    for line in result.problems[:LONGEST_REPORT]:
        say(f"{result.method}: {line}", color="yellow")
    if len(result.problems) > LONGEST_REPORT:
        more = len(result.problems) - LONGEST_REPORT
        say(f"{result.method}: and {more} more of the kind", color="yellow")
