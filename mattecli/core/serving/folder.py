"""A folder of photos and its results: which ones are worth a look, and putting them right."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import cv2

from mattecli.core.errors import MatteError
from mattecli.core.imaging.pixels import to_8_bit, to_unit
from mattecli.core.imaging.reading import read_alpha, read_color, read_picture
from mattecli.core.imaging.writing import encode
from mattecli.core.inference.assessment import Assessment, assess
from mattecli.core.inference.confidence import DOUBTFUL
from mattecli.core.inference.hint_values import HintKeywords
from mattecli.core.inference.jobs import Job
from mattecli.core.inference.options import Refine
from mattecli.core.inference.run import Settings
from mattecli.core.inference.steps import Outcome
from mattecli.core.plain_text import printable
from mattecli.core.serving.cutter import Cutter, Cutting
from mattecli.core.serving.refusals import Refusal

_THUMBNAIL_SIDE = 160
# Results that show how sure a matte is, the best one first.
_WITH_MATTE = ("alpha", "cutout")


@dataclass(eq=False)
class Entry:
    """A photo of the folder.

    Attributes
    ----------
    status : str
        waiting, ok, empty or failed.
    confidence : float or None
        See `Assessment`; None where it is not known.
    is_corrected, is_accepted : bool
        Whether it was cut again under hints, and found well, since the server has started.
    cutting : Cutting or None
        The latest one into the files of its results, whose end counts.
    writing : Lock
        See `Cutting`.
    """

    job: Job
    name: str
    status: str = "waiting"
    reason: str = ""
    confidence: float | None = None
    is_corrected: bool = False
    is_accepted: bool = False
    changes: int = 0
    cutting: Cutting | None = None
    writing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def photo(self) -> Path:
        """Where it is."""
        assert isinstance(self.job.source, Path)
        return self.job.source

    @property
    def is_doubtful(self) -> bool:
        """Whether it is worth a look."""
        if self.is_accepted or self.status == "waiting":
            return False
        sure = self.confidence is not None and self.confidence >= DOUBTFUL
        return self.status != "ok" or not (sure or self.confidence is None)


@dataclass(frozen=True)
class FolderPlan:
    """What of a folder is served.

    Attributes
    ----------
    root : Path
        The folder, or a single photo.
    jobs : list of Job
        Its photos and the files of their results, as `plan_jobs` gives them.
    settings : Settings
        How results are made.
    """

    root: Path
    jobs: list[Job]
    settings: Settings


class Folder:
    """Photos with the files of their results; photos themselves are never written to.

    They are asked for by number, so that no request names a path.

    Parameters
    ----------
    plan : FolderPlan
    cutter : Cutter
        Cuts the photos that have no results, after what is more urgent, and corrects others.
    """

    def __init__(self, plan: FolderPlan, cutter: Cutter) -> None:
        self.name = printable(plan.root.resolve().name)
        self.settings, self.cutter = plan.settings, cutter
        self.entries = [Entry(job, printable(job.place)) for job in plan.jobs]
        self.version = 0
        # Told of ends by the thread that brings them about, which may hold it already.
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._looking = threading.Thread(target=self._look, name="folder", daemon=True)
        self.thumbnail = lru_cache(maxsize=512)(self._thumbnail)

    def start(self) -> None:
        """Look at the results that are there, and cut the photos that have none."""
        self._looking.start()

    def stop(self) -> None:
        """Look no further."""
        self._stopping.set()
        self._looking.join()

    def entry(self, number: int) -> Entry:
        """Give a photo by its number.

        Raises
        ------
        Refusal
            If there is none.
        """
        if not 0 <= number < len(self.entries):
            raise Refusal(404, f"the folder has no photo {number}")
        return self.entries[number]

    def listing(self) -> dict[str, Any]:
        """Give what the page shows of the folder."""
        photos = [
            {
                "number": number,
                "name": entry.name,
                "status": entry.status,
                "reason": entry.reason,
                "confidence": entry.confidence,
                "doubtful": entry.is_doubtful,
                "corrected": entry.is_corrected,
                "accepted": entry.is_accepted,
                "changes": entry.changes,
            }
            for number, entry in enumerate(self.entries)
        ]
        return {
            "name": self.name,
            "refine": self.settings.refine,
            "version": self.version,
            "photos": photos,
        }

    def accept(self, number: int, accepted: bool) -> None:
        """Note that a result is found well, or not after all.

        Raises
        ------
        Refusal
            If there is no such photo, or no result.
        """
        entry = self.entry(number)
        if accepted and entry.status not in ("ok", "empty"):
            raise Refusal(409, f"{entry.name} has no result: {entry.reason or 'still to do'}")
        with self._lock:
            entry.is_accepted = accepted
            self.version += 1

    def correct(self, number: int, refine: Refine, hints: HintKeywords) -> Cutting:
        """Cut a photo again under hints, into the files of its results.

        What else is still to write those files is given up: it would take the correction's place.
        """
        entry = self.entry(number)
        settings = replace(self.settings, refine=refine)
        with self._lock:
            earlier, entry.cutting = entry.cutting, None
            if earlier is not None:
                self.cutter.abandon(earlier)
            return self._cut(entry, settings, hints)

    def _cut(self, entry: Entry, settings: Settings, hints: HintKeywords | None = None) -> Cutting:
        """Cut a photo: at once under hints, else when nothing is asked for."""
        is_correction = hints is not None
        cutting = self.cutter.submit(
            entry.photo,
            settings,
            entry.job.outputs,
            hints=hints,
            urgent=is_correction,
            writing=entry.writing,
        )
        entry.cutting = cutting
        take = partial(self._take, entry, cutting, is_correction)
        cutting.outcome.add_done_callback(take)
        return cutting

    def _thumbnail(self, number: int, changes: int) -> bytes:
        """Give a small picture of a result as WebP; `changes` tells earlier ones apart."""
        entry = self.entry(number)
        path = next((p for p in entry.job.outputs.values() if p.exists()), entry.photo)
        try:
            picture = read_picture(path, self.settings.max_pixels)
        except MatteError as error:
            raise Refusal(404, str(error)) from None
        color = to_8_bit(picture.color)
        if picture.alpha is not None:
            color = cv2.merge([*cv2.split(color), to_8_bit(picture.alpha)])
        scale = _THUMBNAIL_SIDE / max(color.shape[:2])
        size = [max(1, round(side * min(1, scale))) for side in color.shape[1::-1]]
        return encode(cv2.resize(color, size, interpolation=cv2.INTER_AREA), ".webp", quality=75)

    def _look(self) -> None:
        done = [all(path.exists() for path in entry.job.outputs.values()) for entry in self.entries]
        for entry, is_done in zip(self.entries, done, strict=True):
            if is_done or self._stopping.is_set():
                continue
            try:
                with self._lock:
                    # Somebody may have corrected it before.
                    if entry.cutting is None:
                        self._cut(entry, self.settings)
            except MatteError:
                return
        for entry, is_done in zip(self.entries, done, strict=True):
            if self._stopping.is_set():
                return
            if is_done and entry.cutting is None:
                self._judge(entry)

    def _judge(self, entry: Entry) -> None:
        """Judge a result by its file."""
        path = next((entry.job.outputs[k] for k in _WITH_MATTE if k in entry.job.outputs), None)
        try:
            found = None
            if path is not None:
                alpha = to_unit(read_alpha(path))
                color = read_color(entry.photo)
                size = self.cutter.predictor.planner.sizes(*color.shape[:2]).last
                found = assess(alpha, color, size)
        except MatteError as error:
            self._note(entry, "failed", str(error), None)
            return
        self._note(entry, "empty" if found and found.is_empty else "ok", "", found)

    def _take(
        self, entry: Entry, cutting: Cutting, is_correction: bool, future: Future[Outcome]
    ) -> None:
        outcome = future.result()
        with self._lock:
            if entry.cutting is not cutting:
                return
            if is_correction and outcome.status == "failed":
                if entry.status == "waiting":
                    self._go_back_to(entry)
                return
            self._note(entry, outcome.status, outcome.reason, outcome.assessment)
            entry.is_corrected |= is_correction

    def _go_back_to(self, entry: Entry) -> None:
        """Do what was still to do with a photo before a correction that failed."""
        if all(path.exists() for path in entry.job.outputs.values()):
            threading.Thread(target=self._judge, args=(entry,), daemon=True).start()
            return
        with suppress(MatteError):
            self._cut(entry, self.settings)

    def _note(self, entry: Entry, status: str, reason: str, found: Assessment | None) -> None:
        with self._lock:
            entry.status, entry.reason = status, reason
            entry.confidence = None if found is None else round(found.confidence, 3)
            entry.changes += 1
            self.version += 1
