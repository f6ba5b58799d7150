"""One or several methods against the truth: scores, means, and what could not be scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mattecli.core.device import usable_cores
from mattecli.core.errors import MatteError
from mattecli.core.executing.executor import executor_for
from mattecli.core.executing.tasks import Executor
from mattecli.core.metrics.matching import Entry, Matching
from mattecli.core.metrics.score_task import Predictor, ScoreTask
from mattecli.core.metrics.scores import Scores
from mattecli.core.metrics.scoring import Job, Scored
from mattecli.core.metrics.statistics import Comparison, Estimate, bootstrap_mean, compare
from mattecli.core.progress import progress

if TYPE_CHECKING:
    import torch

# With fewer images, starting processes takes longer than scoring.
WORTH_WORKERS = 32


@dataclass
class Evaluation:
    """How one method did on one region.

    Attributes
    ----------
    method : str
    region : str
        ``whole``, ``unknown`` or ``detail``.
    scores : dict of str to Scores
        By image name, sorted.
    entries : dict of str to Entry
        The files behind the scores.
    missing : list of str
        Images that belong to the set and have no score: no prediction, or one that is unusable.
    problems : list of str
        Everything that does not fit together, a line each.
    empty : list of str
        Images without a pixel in the region: they have no score, and are among those missing.
    notes : list of str
        How masks were understood that are not simply alpha, a line each.
    """

    method: str
    region: str
    scores: dict[str, Scores] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, entry: Entry, result: Scored | MatteError) -> None:
        """Take note of how the scoring of an image ended."""
        name = entry.name
        if isinstance(result, MatteError):
            self.problems.append(str(result))
            self.missing.append(name)
            return
        if result.pixels == 0:
            # An error of 0 over nothing would make the mean better.
            self.problems.append(f"{name}: no pixel in the region '{self.region}', left out")
            self.missing.append(name)
            self.empty.append(name)
            return
        self.scores[name] = result.scores
        self.notes += [note for note in result.notes if note not in self.notes]
        self.entries[name] = entry

    def table(self, names: Iterable[str] | None = None) -> np.ndarray:
        """Give the scores as an array of shape (images, 5), of all images or of those named."""
        return np.array([self.scores[name] for name in (self.scores if names is None else names)])

    def estimate(self) -> Estimate:
        """Means with their 95% intervals."""
        return bootstrap_mean(self.table())


def evaluate(
    matchings: dict[str, Matching],
    region: str,
    *,
    predictor: Predictor | None = None,
    load: Callable[[], Predictor] | None = None,
    workers: int | None = None,
    device: torch.device | None = None,
    executor: Executor | None = None,
) -> list[Evaluation]:
    """Score every method on every image it has; the figures do not depend on who does it.

    Parameters
    ----------
    matchings : dict of str to Matching
        By name of the method.
    region : str
        ``whole``, ``unknown`` (every entry has a trimap) or ``detail``.
    predictor : Predictor, optional
        Predicts each entry's matte from its ``prediction`` file, which then is a photo.
    load : callable, optional
        Gives the predictor to each worker of a cluster.
    workers : int, optional
        Processes on this machine; by default one a core where there are enough images to be worth
        it.
    device : torch.device, optional
        Where SAD, MSE, MAD and Grad are computed if it is a CUDA device. Others are no gain: MPS
        has no double precision, and the CPU does all of it in the workers.

    Raises
    ------
    MatteError
        If not a single image of some method can be scored.
    """
    evaluations = [Evaluation(name, region) for name in matchings]
    count = sum(len(matching.entries) for matching in matchings.values())
    for evaluation, matching in zip(evaluations, matchings.values(), strict=True):
        evaluation.missing += matching.missing + matching.without_trimap
        evaluation.problems += [f"{name}: no prediction" for name in matching.missing]
        evaluation.problems += [f"{path}: no ground truth of this name" for path in matching.extra]
        evaluation.problems += [f"{name}: no trimap" for name in matching.without_trimap]
    if workers is None:
        workers = usable_cores() if count >= WORTH_WORKERS else 1

    if device is not None and device.type != "cuda":
        device = None
    task = ScoreTask(workers, device, predictor, load)
    results = (executor or executor_for(None)).run(task, _jobs(matchings, region))
    found: list[dict[str, Scored | MatteError]] = [{} for _ in evaluations]
    for job, result in progress(results, total=count, label="evaluate"):
        found[job.method][job.entry.name] = result
    for evaluation, matching, by_name in zip(evaluations, matchings.values(), found, strict=True):
        # Workers of a cluster are done in any order.
        for entry in matching.entries:
            evaluation.add(entry, by_name[entry.name])
        evaluation.missing.sort()
        if not evaluation.scores:
            first = f" ({evaluation.problems[0]})" if evaluation.problems else ""
            raise MatteError(f"{evaluation.method}: not one image could be scored{first}")
    return evaluations


def compare_to_first(evaluations: list[Evaluation]) -> dict[str, Comparison]:
    """Every further method against the first one, on the images that both have."""
    first, *others = evaluations
    comparisons = {}
    for other in others:
        common = [name for name in first.scores if name in other.scores]
        if common:
            comparisons[other.method] = compare(other.table(common), first.table(common))
    return comparisons


def method_names(folders: list[Path]) -> list[str]:
    """Name methods after their folders, by as many parts of the path as tell them apart."""
    folders = [folder.resolve() for folder in folders]
    longest = max(len(folder.parts) for folder in folders)
    for count in range(1, longest + 1):
        names = ["/".join(folder.parts[-count:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    raise MatteError("the same predictions are named twice")


def _jobs(matchings: dict[str, Matching], region: str) -> Iterator[Job]:
    for method, matching in enumerate(matchings.values()):
        yield from (Job(method, entry, region) for entry in matching.entries)
