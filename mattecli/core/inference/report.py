"""What became of every photo, as lines of JSON and as one line to read."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any, TextIO

from mattecli.core.inference.report_lines import EarlierLines
from mattecli.core.inference.steps import Outcome
from mattecli.core.plain_text import to_json_line
from mattecli.core.ranks import rank_and_world
from mattecli.core.storage import clear_errors

#: Key of `Report.count` for photos of a low confidence, whatever their status.
DOUBTFUL_COUNT = "doubtful"
# Suffixes of files passed over that are named one by one.
_MOST_SUFFIXES = 8


class Report:
    """Counts outcomes and appends each to a file as one line of JSON.

    Lines are appended whole, so several processes can share one file. Keys are ``input``,
    ``status`` (ok, empty, skipped or failed), ``reason``, ``warnings`` (what to know of one that
    was cut), ``outputs`` (path by kind), ``seconds`` spent on this photo, its ``width`` and
    ``height``, and of its matte, where one was made, the ``subject`` (its share of the area) and
    the ``confidence``; see `Assessment`.

    Parameters
    ----------
    path : Path, optional
        File to append to.
    stream : TextIO, optional
        Stream that gets the same lines.
    resumes : bool
        Whether the file goes on with the lines of earlier runs: what is skipped gets a line only
        where there is none, and others replace the line that there was; see `EarlierLines`.
    """

    def __init__(
        self, path: Path | None = None, stream: TextIO | None = None, *, resumes: bool = False
    ) -> None:
        self.count: Counter[str] = Counter()
        self._stream = stream
        self._file = None
        self._earlier: EarlierLines | None = None
        if path is not None:
            with clear_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                if resumes and path.is_file():
                    # A file that several processes append to must not be put in another's place.
                    self._earlier = EarlierLines(path, tidies=rank_and_world()[1] == 1)
                is_mid_line = _ends_mid_line(path)
                # Bytes of a name that are no UTF-8 become escapes, which JSON knows too.
                self._file = path.open(
                    "a", encoding="utf-8", errors="backslashreplace", buffering=1
                )
                if is_mid_line:  # a process was killed, or the disk was full
                    self._file.write("\n")

    def add(self, outcome: Outcome) -> None:
        """Take note of how a photo ended."""
        self.count[outcome.status] += 1
        if outcome.assessment is not None and outcome.assessment.is_doubtful:
            self.count[DOUBTFUL_COUNT] += 1
        if self._file is None and self._stream is None:
            return
        line = _line_of(outcome)
        if self._stream:
            plain = "utf" not in (getattr(self._stream, "encoding", None) or "ascii").lower()
            print(to_json_line(line, ascii_only=plain), file=self._stream, flush=True)
        if self._file is None:
            return
        if self._earlier is not None:
            if outcome.status == "skipped" and self._earlier.tell_of(line):
                return
            self._earlier.add(line, _outputs_of(outcome))
        with clear_errors(self._file.name):
            self._file.write(to_json_line(line) + "\n")

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with clear_errors(self._file.name):
                self._file.close()
                if self._earlier is not None:
                    self._earlier.close()


def _ends_mid_line(path: Path) -> bool:
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _outputs_of(outcome: Outcome) -> dict[str, str]:
    return {kind: str(path) for kind, path in outcome.job.outputs.items()}


def _line_of(outcome: Outcome) -> dict[str, Any]:
    assessment = outcome.assessment
    return {
        "input": outcome.job.name,
        "status": outcome.status,
        "reason": outcome.reason,
        "warnings": list(outcome.warnings),
        "outputs": _outputs_of(outcome) if outcome.status != "failed" else {},
        "seconds": round(outcome.seconds, 3),
        "width": outcome.size[0] if outcome.size else None,
        "height": outcome.size[1] if outcome.size else None,
        "subject": round(assessment.subject, 6) if assessment else None,
        "confidence": round(assessment.confidence, 3) if assessment else None,
    }


def summary(
    count: Counter[str], seconds: float, passed_over: Counter[str], *, frames: int = 0
) -> str:
    """Sum a run up in one line.

    Parameters
    ----------
    count : Counter of str
        Photos and clips by status.
    passed_over : Counter of str
        Files that are neither, by suffix.
    frames : int
        Of clips.
    """
    parts = [f"{count['ok']} done"]
    parts += [
        f"{count[status]} {status}" for status in ("empty", "skipped", "failed") if count[status]
    ]
    text = f"{', '.join(parts)} in {seconds:.1f} s"
    cut = count["ok"] + count["empty"]
    if frames:
        text += f", clips of {frames:,} frames among them"
    elif cut > 1:
        text += f", {cut / seconds:.1f} images/s"
    if cut > 1:
        text += f"; {count[DOUBTFUL_COUNT]:,} of {cut:,} worth a look"
    return text + (f"; {list_passed_over(passed_over)}" if passed_over else "")


def list_passed_over(passed_over: Counter[str]) -> str:
    """Say how many files were no pictures, and of what suffixes."""
    total = passed_over.total()
    kinds = [f"{count} {suffix}" for suffix, count in passed_over.most_common(_MOST_SUFFIXES)]
    rest = total - sum(count for _, count in passed_over.most_common(_MOST_SUFFIXES))
    if rest:
        kinds.append(f"{rest} of other kinds")
    return f"{total} other file{'s' * (total != 1)} ignored ({', '.join(kinds)})"
