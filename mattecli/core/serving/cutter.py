"""Photos of requests on their way through the one pipeline, which runs as long as the server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.imaging.pixels import Picture
from mattecli.core.imaging.writing import write_result
from mattecli.core.inference.hint_values import HintKeywords, hints_of
from mattecli.core.inference.jobs import Job, JobQueue
from mattecli.core.inference.pipeline import run_pipeline
from mattecli.core.inference.predictor import Predictor
from mattecli.core.inference.run import Settings, decode, finish
from mattecli.core.inference.steps import Item, Outcome, Steps
from mattecli.core.matting.full_size import wants_detail
from mattecli.core.matting.hints import Hints


@dataclass(eq=False)
class Cutting:
    """A photo that is being cut.

    Attributes
    ----------
    files : dict of bytes
        The results by kind, if they stay in memory.
    outcome : Future of Outcome
        How it ended, once it has.
    is_refused : bool
        Whether it failed because of what it is, and would do so again.
    writing : Lock
        Held while a file is written; shared by those that write to the same files.
    """

    job: Job
    settings: Settings
    in_memory: bool
    hints: HintKeywords
    files: dict[str, bytes] = field(default_factory=dict)
    outcome: Future[Outcome] = field(default_factory=Future)
    is_refused: bool = False
    is_abandoned: bool = False
    writing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ended(self) -> Outcome:
        """How it ended, where it has."""
        return self.outcome.result(timeout=0)

    @property
    def file(self) -> bytes:
        """The one result in memory."""
        (data,) = self.files.values()
        return data


class Cutter:
    """Cuts photos that come one by one; those that wait go through the network together.

    Parameters
    ----------
    predictor : Predictor
    batch_size, workers : int
        See `run_pipeline`.
    """

    def __init__(self, predictor: Predictor, *, batch_size: int, workers: int) -> None:
        self.predictor = predictor
        self._batch_size, self._workers = batch_size, workers
        self._queue = JobQueue()
        self._cuttings: dict[Job, Cutting] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="cutter", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether photos are taken."""
        return self._thread.is_alive() and not self._queue.is_closed

    def submit(
        self,
        source: Path | bytes,
        settings: Settings,
        outputs: dict[str, Path] | None = None,
        *,
        hints: HintKeywords | None = None,
        urgent: bool = True,
        writing: threading.Lock | None = None,
    ) -> Cutting:
        """Take a photo.

        Parameters
        ----------
        outputs : dict of Path, optional
            Files to write, by kind; without them results stay in memory.
        hints : dict, optional
            See `hints_of`.
        urgent : bool
            Whether somebody waits for it; others are done when nothing urgent waits.
        writing : Lock, optional
            See `Cutting`.

        Raises
        ------
        MatteError
            If the server is being stopped.
        """
        paths = outputs or {kind: Path(kind) for kind in settings.outputs.kinds}
        cutting = Cutting(Job(source, paths), settings, outputs is None, hints or {})
        cutting.writing = writing or cutting.writing
        with self._lock:
            self._cuttings[cutting.job] = cutting
        try:
            self._queue.put(cutting.job, urgent=urgent)
        except MatteError:
            del self._cuttings[cutting.job]
            raise
        return cutting

    def abandon(self, cutting: Cutting) -> None:
        """Spare what is left to do of a photo that nobody waits for any more.

        No file of it is written that was not begun before.
        """
        cutting.is_abandoned = True
        if self._queue.drop(cutting.job):
            self._end(Outcome(cutting.job, "failed", _ABANDONED))

    def close(self, *, at_once: bool = False) -> None:
        """Finish what somebody waits for, or give it up, and stop."""
        self._queue.close()
        with self._lock:
            given_up = list(self._cuttings.values()) if at_once else []
        for cutting in given_up:
            self.abandon(cutting)
        self._thread.join()

    def _run(self) -> None:
        steps = Steps(self._decode, self._finish, self._hints, self._detailed)
        try:
            for outcome in run_pipeline(
                self._queue,
                self.predictor,
                steps,
                batch_size=self._batch_size,
                workers=self._workers,
            ):
                self._end(outcome)
        finally:
            # Nobody shall wait for what will not come, also after an error in the pipeline itself.
            self._queue.close()
            for job in list(self._cuttings):
                self._end(Outcome(job, "failed", "the server is being stopped"))

    def _end(self, outcome: Outcome) -> None:
        with self._lock:
            cutting = self._cuttings.pop(outcome.job, None)
        if cutting is not None:
            cutting.outcome.set_result(outcome)

    def _decode(self, job: Job) -> Picture:
        cutting = self._cuttings[job]
        _check_wanted(cutting)
        try:
            return decode(job, cutting.settings)
        except MatteError:
            cutting.is_refused = True
            raise

    def _hints(self, job: Job, picture: Picture) -> Hints | None:
        cutting = self._cuttings[job]
        try:
            shape = picture.color.shape[0], picture.color.shape[1]
            return hints_of(shape, **cutting.hints) if cutting.hints else None
        except MatteError:
            cutting.is_refused = True
            raise

    def _detailed(self, job: Job) -> bool:
        return wants_detail(self._cuttings[job].settings.refine)

    def _finish(self, item: Item) -> Outcome:
        cutting = self._cuttings[item.job]
        _check_wanted(cutting)
        try:
            return finish(item, cutting.settings, partial(_store, cutting))
        except OutputUnusable as error:
            # A run ends where it cannot write; a server has other requests.
            raise MatteError(str(error)) from None
        except MatteError:
            # Such as a picture too large for its format.
            cutting.is_refused = cutting.in_memory and not cutting.is_abandoned
            raise


_ABANDONED = "nobody waits for it any more"


def _check_wanted(cutting: Cutting) -> None:
    if cutting.is_abandoned:
        raise MatteError(_ABANDONED)


def _store(cutting: Cutting, path: Path, encoded: Callable[[], bytes]) -> None:
    _check_wanted(cutting)
    data = encoded()
    if cutting.in_memory:
        cutting.files[str(path)] = data
        return
    with cutting.writing:
        _check_wanted(cutting)
        write_result(path, data)
