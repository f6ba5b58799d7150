"""One clip of a run, from its file to its outcome."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mattecli.core.clips.cutting import ClipWay, cut_clip, group_store
from mattecli.core.clips.sinks import pictures_in
from mattecli.core.errors import MatteError
from mattecli.core.imaging.animations import FORMATS
from mattecli.core.imaging.clips.codecs import CONTAINERS
from mattecli.core.imaging.clips.parts import Range
from mattecli.core.imaging.clips.pipe_writing import PIPES
from mattecli.core.imaging.clips.pipes import RawFrames
from mattecli.core.imaging.frame_folders import files_of, has_number, is_numbered
from mattecli.core.imaging.moving import open_frames
from mattecli.core.inference.assessment import ClipAssessment
from mattecli.core.inference.inputs import check_not_read
from mattecli.core.inference.jobs import Job
from mattecli.core.inference.photo_hints import PICTURES
from mattecli.core.inference.predictor import Predictor
from mattecli.core.inference.run import Settings
from mattecli.core.inference.run_options import RunOptions
from mattecli.core.inference.steps import Outcome
from mattecli.core.matting.backdrops import Backdrop
from mattecli.core.objects.paths import ObjectPath
from mattecli.version import __version__


class CutClip(NamedTuple):
    """How a clip ended, what of it was lost, and how many frames it has."""

    outcome: Outcome
    problems: list[str]
    frames: int


@dataclass(frozen=True)
class ClipTask:
    """What is done with each clip of a run.

    Attributes
    ----------
    settings : Settings
        Their `suffix` is what a clip becomes.
    run : RunOptions
    part : Range
        Which part of each is cut.
    rate : float, optional
        Frames a second of numbered pictures.
    raw : RawFrames, optional
        What frames on standard input are that have no header.
    smoothed, guided : bool
        See `ClipWay`.
    backdrop : Path, optional
        A background that moves.
    loops : bool
        Whether that begins anew at its end.
    options : str
        Everything that results depend on, in words, by which a later run tells whether it may go on
        with what this one left.
    """

    settings: Settings
    run: RunOptions
    part: Range = Range()  # noqa: RUF009
    rate: float | None = None
    raw: RawFrames | None = None
    smoothed: bool = True
    guided: bool = False
    backdrop: Path | None = None
    loops: bool = True
    options: str = ""

    def check_apart(self, job: Job) -> None:
        """Raise `MatteError` if a result would overwrite an input, or lie among its pictures."""
        hints = self.settings.hints.of(job.source)
        beside = [self.backdrop, *(getattr(hints, key) for key in PICTURES)]
        read = _real([Path(str(job.source)), *(path for path in beside if path is not None)])
        for out in job.outputs.values():
            if self._into_pictures:
                names = pictures_in(out, self.settings.suffix)
                names = names.parent.resolve() / names.name
                if any(has_number(names, path) for path in read):
                    raise MatteError(
                        f"results in {out} would overwrite pictures that are read, or lie among "
                        "them: choose another place for output"
                    )
            elif str(out) != "-":
                check_not_read([out], read)

    def cut(
        self,
        job: Job,
        load: Callable[[], Predictor],
        begin: Callable[[int | None], Callable[[], object]],
        stopped: Callable[[], bool],
    ) -> CutClip:
        """Cut a clip.

        Parameters
        ----------
        load : callable
            Loads the network, once the clip is open.
        begin : callable
            Told how many frames there are, as far as that is known; gives what is called for each
            that is done.
        stopped : callable
            Asked before each frame.

        Raises
        ------
        MatteError
            If the clip cannot be read to its end, or the result cannot be written.
        Stopped
            If it was asked to stop.
        """
        started = time.perf_counter()
        with (
            open_frames(
                Path(str(job.source)), self.settings.max_pixels, self.part, self.rate, self.raw
            ) as clip,
            self._behind() as backdrop,
            group_store(job, clip, self.settings, self.run, self._said(job)) as store,
        ):
            way = ClipWay(self.run, self.smoothed, self.guided, backdrop, stopped)
            seen = ClipAssessment(float(clip.rate))
            frame_done = begin(clip.frame_count)
            for assessment in cut_clip(job, clip, load(), self.settings, way, store):
                seen.add(assessment)
                frame_done()
            clip.notes.extend(self._left_over(job, seen.count))
            found = seen.result()
            nothing = ["nothing found"] if found.is_empty else []
            outcome = Outcome(
                job,
                "empty" if found.is_empty else "ok",
                "; ".join(nothing + clip.problems + clip.notes),
                time.perf_counter() - started,
                (clip.width, clip.height),
                found,
            )
        return CutClip(outcome, clip.problems, seen.count)

    @property
    def _into_pictures(self) -> bool:
        return self.settings.suffix not in (*CONTAINERS, *FORMATS, *PIPES)

    def _left_over(self, job: Job, frames: int) -> list[str]:
        """Say how many numbered pictures lie among the results that are none of this run."""
        if not self._into_pictures or not frames:
            return []
        places = [out for out in job.outputs.values() if not isinstance(out, ObjectPath)]
        names = [pictures_in(out, self.settings.suffix) for out in places]
        # Those of this run are all there, from 1 on.
        more = [(name.parent, len(files_of(name)) - frames) for name in names]
        return [f"pictures of another run that stay in {place}: {n}" for place, n in more if n]

    @contextmanager
    def _behind(self) -> Iterator[Backdrop | None]:
        if self.backdrop is None:
            yield None
            return
        backdrop = Backdrop(
            self.backdrop, loops=self.loops, rate=self.rate, max_pixels=self.settings.max_pixels
        )
        try:
            yield backdrop
        finally:
            backdrop.close()

    def _said(self, job: Job) -> str:
        """Put in a line what the result depends on."""
        places = [Path(str(job.source))] + ([self.backdrop] if self.backdrop else [])
        said = [__version__, self.options, *map(identity, places)]
        said += [f"{kind} {path}" for kind, path in job.outputs.items()]
        return hashlib.sha256("\n".join(said).encode("utf-8", "surrogateescape")).hexdigest()


def _real(places: list[Path]) -> set[Path]:
    """List files and numbered pictures: where they lie, and what links among them lead to."""
    found: set[Path] = set()
    for place in places:
        try:
            paths = files_of(place) if is_numbered(place) else [place]
        except MatteError:  # which it says when it is cut
            continue
        for path in paths:
            found |= {path.resolve(), path.parent.resolve() / path.name}
    return found


def identity(path: Path) -> str:
    """Say which file this is, or which numbered pictures: names, sizes and times."""
    paths = files_of(path) if is_numbered(path) else [path]
    said = []
    for one in paths:
        try:
            status = one.stat()
            said.append(f"{one} {status.st_size} {status.st_mtime_ns}")
        except OSError:
            said.append(f"{one} -")
    return " ".join(said)
