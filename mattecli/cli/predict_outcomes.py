"""What ``matte predict`` says of each photo as it ends."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from mattecli.core.plain_text import in_one_line

if TYPE_CHECKING:
    import numpy as np

    from mattecli.core.inference.report import Report
    from mattecli.core.inference.review import Review
    from mattecli.core.inference.steps import Outcome


class OutcomeNotes:
    """Notes how every photo ended: in the report, on the progress bar, in a review, as lines.

    Parameters
    ----------
    silent : bool
        Whether to print nothing at all.
    quiet : bool
        Whether to print failures only.

    Attributes
    ----------
    rows : list of ndarray
        Rows of the preview.
    price_per_hour : float, optional
        What the machines cost, in dollars; shown with the progress.
    """

    def __init__(
        self, log: Report, bar: Any, review: Review | None, *, silent: bool, quiet: bool
    ) -> None:
        self.rows: list[np.ndarray] = []
        self.price_per_hour: float | None = None
        self._started = time.perf_counter()
        self._log = log
        self._bar = bar
        self._review = review
        self._silent = silent
        self._quiet = quiet

    @property
    def are_seen(self) -> bool:
        """Whether there is a progress bar."""
        return not self._bar.disable

    def add(self, outcome: Outcome) -> None:
        """Note how a photo ended."""
        from mattecli.core.inference.preview import MOST_ROWS

        self._log.add(outcome)
        self._bar.update()
        if self._review is not None:
            self._review.add(outcome)
        if outcome.status == "failed" and not self._silent:
            self._say(f"matte: {outcome.reason}")
        if outcome.status == "failed" or self.price_per_hour is not None:
            self._bar.set_postfix_str(self._beside(), refresh=outcome.status == "failed")
        is_talkative = not (self._silent or self._quiet)
        if outcome.status == "empty" and is_talkative:
            self._say(f"matte: {outcome.job.name}: {outcome.reason}")
        for warning in outcome.warnings if is_talkative else ():
            self._say(f"matte: warning: {outcome.job.name}: {warning}")
        if outcome.preview is not None and len(self.rows) < MOST_ROWS:
            self.rows.append(outcome.preview)

    def set_total(self, total: int) -> None:
        """Take note of how many photos there are."""
        self._bar.total = total
        if self.are_seen:
            self._bar.refresh()

    @property
    def cost(self) -> str:
        """What the run has cost until now, for the end of a line."""
        if self.price_per_hour is None:
            return ""
        return f", ${self.price_per_hour * (time.perf_counter() - self._started) / 3600:.2f}"

    def _beside(self) -> str:
        failed = self._log.count["failed"]
        return f"failed={failed}{self.cost}" if failed else self.cost.removeprefix(", ")

    def _say(self, text: str) -> None:
        self._bar.write(in_one_line(text), file=sys.stderr)
