"""The photos of a run that are worth a look, worst first: a page, and a list for hints."""

from __future__ import annotations

import hashlib
import html
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mattecli.core.errors import MatteError
from mattecli.core.imaging.walking import within
from mattecli.core.imaging.writing import encode
from mattecli.core.inference.hint_files import blank_list, read_hint_file
from mattecli.core.inference.steps import Outcome
from mattecli.core.plain_text import printable, to_json_line
from mattecli.core.storage import clear_errors, write_whole

_TEMPLATE = Path(__file__).with_name("review.html")
_JOURNAL, _LIST, _PAGE, _PICTURES = "review.jsonl", "hints.csv", "index.html", "pictures"
# What cannot be judged comes first.
_FAILED = -1.0


def files_of_review(folder: Path) -> list[Path]:
    """Give the files that a review of that folder writes, but pictures."""
    return [folder / name for name in (_JOURNAL, _LIST, _PAGE)]


class Review:
    """Takes the outcomes of a run and shows those that are worth a look.

    They go into a journal at once, so that an interrupted run that is resumed shows all of them,
    and nothing grows in memory with the folder.

    Parameters
    ----------
    folder : Path
        Receives ``index.html``, ``hints.csv``, ``review.jsonl`` and ``pictures/``.
    sources : list of Path
        Where photos are, and hints.
    resume : bool
        Whether what the journal holds of an earlier run still counts.

    Raises
    ------
    MatteError
        If `folder` lies in one of `sources`, has a list of hints that was filled in, or cannot be
        written.
    """

    def __init__(self, folder: Path, sources: list[Path], *, resume: bool = False) -> None:
        for source in sources:
            if source.is_dir() and within(folder, source):
                raise MatteError(
                    f"{folder} lies in {source}, which the run reads: choose another place for "
                    "the review"
                )
        if _holds_hints(folder / _LIST):
            raise MatteError(
                f"{folder / _LIST} holds hints, and a review would write over it: move it, or "
                "choose another folder"
            )
        self._folder = folder
        with clear_errors(folder):
            (folder / _PICTURES).mkdir(parents=True, exist_ok=True)
            self._journal = (folder / _JOURNAL).open("a" if resume else "w", encoding="utf-8")
            if self._journal.tell():
                # The last line was cut off if the earlier run was killed.
                self._journal.write("\n")

    def add(self, outcome: Outcome) -> None:
        """Take note of a photo, and keep its picture if it is worth a look."""
        if outcome.status == "skipped":
            return
        seen, name = outcome.assessment, outcome.job.name
        place = outcome.job.place or outcome.job.name
        line: dict[str, Any] = {"photo": name, "place": place, "status": outcome.status}
        line["doubtful"] = seen is None
        if seen is not None:
            line |= {"doubtful": seen.is_doubtful, "confidence": round(seen.confidence, 3)}
        if line["doubtful"]:
            line["reason"] = outcome.reason
            paths = outcome.job.outputs.items() if seen is not None else ()
            line["outputs"] = {kind: str(path) for kind, path in paths}
            if outcome.preview is not None:
                digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
                line["picture"] = f"{_PICTURES}/{digest}.jpg"
                write_whole(self._folder / line["picture"], encode(outcome.preview, ".jpg"))
        with clear_errors(self._journal.name):
            self._journal.write(to_json_line(line, ascii_only=True) + "\n")
            self._journal.flush()

    def close(self) -> Path:
        """Write the page and the list; give the page."""
        self._journal.close()
        lines = self._doubtful()
        photos = [
            (line["place"], str(line.get("confidence", "")), line["status"]) for line in lines
        ]
        listed = blank_list(photo for photo in photos if photo[2] != "failed")
        write_whole(self._folder / _LIST, listed.encode("utf-8", "surrogateescape"))
        page = self._folder / _PAGE
        count = f"{len(lines):,} {'photo' if len(lines) == 1 else 'photos'} worth a look"
        text = _TEMPLATE.read_text(encoding="utf-8")
        rows = "\n".join(map(self._row, lines))
        text = text.replace("{{count}}", count).replace("{{rows}}", rows)
        write_whole(page, text.encode("utf-8", "backslashreplace"))
        return page

    def _doubtful(self) -> list[dict[str, Any]]:
        """Read the journal: the last line of each photo, if it is worth a look, worst first."""
        last: dict[str, dict[str, Any]] = {}
        with (self._folder / _JOURNAL).open(encoding="utf-8") as file:
            for text in file:
                try:
                    line = json.loads(text)
                except ValueError:
                    continue
                last.pop(line["photo"], None)
                if line["doubtful"]:
                    last[line["photo"]] = line
        return sorted(last.values(), key=lambda line: line.get("confidence", _FAILED))

    def _row(self, line: dict[str, Any]) -> str:
        name = html.escape(printable(line["place"]))
        links = [("photo", line["photo"]), *line.get("outputs", {}).items()]
        linked = " ".join(
            f'<a href="{self._link(path)}">{html.escape(kind)}</a>'
            for kind, path in links
            if path != "-"
        )
        picture = ""
        if "picture" in line:
            source = html.escape(line["picture"])
            picture = f'<img src="{source}" alt="{name}: photo, matte, cutout" loading="lazy">'
        seen = line.get("confidence")
        chance = "" if seen is None else f"<b>{100 * seen:.0f} %</b>"
        reason = html.escape(printable(line.get("reason", "")))
        return (
            f'<article class="{line["status"]}"><h2>{name} {chance}</h2>'
            f"<p>{reason} {linked}</p>{picture}</article>"
        )

    def _link(self, path: str) -> str:
        try:
            relative = os.path.relpath(path, self._folder)
        except ValueError:  # another drive of Windows
            return html.escape(Path(path).absolute().as_uri())
        return html.escape(quote(os.fsencode(relative.replace(os.sep, "/"))))


def _holds_hints(path: Path) -> bool:
    """Tell whether somebody has filled in a list; what cannot be read is somebody's, too."""
    if not path.exists():
        return False
    try:
        return any(not line.hints.is_empty for line in read_hint_file(path, may_be_empty=True))
    except MatteError:
        return True
