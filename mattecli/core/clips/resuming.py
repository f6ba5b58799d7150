"""Going on with a clip that was broken off, behind its last whole group of frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from mattecli.core.clips.mattes import ClipMattes
from mattecli.core.clips.sinks import IntoClips, Sink
from mattecli.core.clips.smoothing import REACH, FrameMatte
from mattecli.core.imaging.clips.groups import GROUP, GroupStore
from mattecli.core.imaging.clips.reading import Frame
from mattecli.core.inference.assessment import Assessment


class Resuming:
    """What has to be kept of a clip while it is cut, and what is there of an earlier run.

    Kept with each group are its packets, and of the frames before its end what the next ones
    depend on: what the network saw and found. So a run that goes on gives the very frames that
    one without a break gives.

    Parameters
    ----------
    store : GroupStore or None
        None keeps nothing.
    sink : IntoClips or IntoPictures
    mattes : ClipMattes or None

    Attributes
    ----------
    done : int
        Frames of an earlier run.
    """

    def __init__(self, store: GroupStore | None, sink: Sink, mattes: ClipMattes | None) -> None:
        self._store, self._mattes = store, mattes
        self._clips = sink if isinstance(sink, IntoClips) and sink.has_groups else None
        self._recent: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=REACH)
        self._states: dict[int, dict[str, np.ndarray]] = {}
        self._assessments: list[Assessment] = []
        self.done = 0
        if store is None or self._clips is None:
            return
        self._clips.keep_in(store)
        self.done = store.count * GROUP
        if self.done:
            state = store.state(store.count - 1)
            self._recent.extend(zip(state["images"], state["mattes"], strict=True))
            if mattes is not None:
                mattes.go_on(*self._recent[-1], lost=bool(state["lost"]))

    def assessments(self) -> Iterator[Assessment]:
        """Give what the mattes of the frames that are done said of themselves."""
        for group in range(self.done // GROUP):
            assert self._store is not None
            for subject, confidence, is_empty in self._store.state(group)["assessments"]:
                yield Assessment(float(subject), float(confidence), bool(is_empty))

    def before(self) -> list[FrameMatte[Frame]]:
        """Give the last frames that are done, as far as those behind depend on them."""
        blank = Frame(np.zeros((1, 1, 3), np.uint8), 0, 0)
        return [FrameMatte(blank, image, matte) for image, matte in self._recent]

    def rest(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Leave out the frames that are done, and write their packets in their place."""
        for number, frame in enumerate(frames, 1):
            if number > self.done:
                yield frame
            elif number % GROUP == 0:
                assert self._store is not None and self._clips is not None
                self._clips.copy_group(self._store, number // GROUP - 1)

    def watched(self, found: Iterable[FrameMatte[Frame]]) -> Iterator[FrameMatte[Frame]]:
        """Take note of mattes as they are found."""
        for number, frame in enumerate(found, self.done + 1):
            if self._store is not None:
                self._recent.append((frame.image, frame.matte))
                if number % GROUP == 0:
                    self._states[number] = self._state()
            yield frame

    def took(self, number: int, assessment: Assessment) -> None:
        """Take note that a frame is written."""
        if self._clips is None:
            return
        if self._store is not None:
            self._assessments.append(assessment)
        if number % GROUP:
            return
        self._clips.end_group()
        if self._store is None:
            return
        rows = [(one.subject, one.confidence, one.is_empty) for one in self._assessments]
        self._assessments.clear()
        found = {"assessments": np.array(rows, np.float64)}
        self._store.commit(self._states.pop(number) | found)

    def _state(self) -> dict[str, np.ndarray]:
        return {
            "images": np.stack([image for image, _ in self._recent]),
            "mattes": np.stack([matte for _, matte in self._recent]),
            "lost": np.array(self._mattes is not None and self._mattes.lost),
        }
