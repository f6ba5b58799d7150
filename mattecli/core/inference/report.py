"""What became of every photo, as lines of JSON and as one line to read."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TextIO

from mattecli.core.errors import MatteError
from mattecli.core.inference.pipeline import Outcome


class Report:
    """Counts outcomes and appends each to a file as one line of JSON.

    Lines are appended whole, so several processes can share one file. Keys are ``input``,
    ``status`` (ok, empty, skipped or failed), ``reason``, ``outputs`` (path by kind), ``seconds``
    spent on this photo, its ``width`` and ``height``, and of its matte, where one was made, the
    ``subject`` (its share of the area) and the ``confidence``; see `Assessment`.

    Parameters
    ----------
    path : Path, optional
        File to append to.
    stream : TextIO, optional
        Stream that gets the same lines.
    """

    def __init__(self, path: Path | None = None, stream: TextIO | None = None) -> None:
        self.count: Counter[str] = Counter()
        self._stream = stream
        self._file = None
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                # Bytes of a name that are no UTF-8 become escapes, which JSON knows too.
                self._file = path.open(
                    "a", encoding="utf-8", errors="backslashreplace", buffering=1
                )
            except OSError as error:
                raise MatteError(f"cannot write {path}: {error.strerror or error}") from None

    def add(self, outcome: Outcome) -> None:
        """Take note of how a photo ended."""
        self.count[outcome.status] += 1
        if self._file is None and self._stream is None:
            return
        assessment = outcome.assessment
        line = {
            "input": outcome.job.name,
            "status": outcome.status,
            "reason": outcome.reason,
            "outputs": {kind: str(path) for kind, path in outcome.job.outputs.items()}
            if outcome.status != "failed"
            else {},
            "seconds": round(outcome.seconds, 3),
            "width": outcome.size[0] if outcome.size else None,
            "height": outcome.size[1] if outcome.size else None,
            "subject": round(assessment.subject, 6) if assessment else None,
            "confidence": round(assessment.confidence, 3) if assessment else None,
        }
        text = json.dumps(line, ensure_ascii=False)
        if self._stream:
            print(text, file=self._stream, flush=True)
        if self._file is None:
            return
        try:
            self._file.write(text + "\n")
        except OSError as error:
            raise MatteError(f"cannot write {self._file.name}: {error.strerror}") from None

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def summary(count: Counter[str], seconds: float, ignored: int) -> str:
    """Sum a run up in one line, from the number of photos of each status."""
    parts = [f"{count['ok']} done"]
    parts += [
        f"{count[status]} {status}" for status in ("empty", "skipped", "failed") if count[status]
    ]
    text = f"{', '.join(parts)} in {seconds:.1f} s"
    cut = count["ok"] + count["empty"]
    if cut > 1:
        text += f", {cut / seconds:.1f} images/s"
    return text + (f"; {ignored} other files ignored" if ignored else "")
