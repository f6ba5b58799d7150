"""Which photos are read, and what is said of them; see `mattecli.core.inference.options`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from mattecli.core.inference.declaring import (
    HINTS_PANEL,
    INPUTS_PANEL,
    MATTE_PANEL,
    RUN_PANEL,
    option,
)

SubjectChoice = Literal["all", "largest", "center"]


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """Which photos are read, and what beside them."""

    from_list: Path | None = option(
        None,
        "Also cut the photos and folders that a file names, one a line; - is stdin.",
        panel=INPUTS_PANEL,
        metavar="FILE",
    )
    null: bool = option(
        False,
        "Entries of --from-list end in NUL, as those of find -print0.",
        panel=INPUTS_PANEL,
        flags=("--null", "-0"),
    )
    allow_url: bool = option(
        False,
        "Fetch inputs that are public http(s) addresses.",
        panel=INPUTS_PANEL,
        flags=("--allow-url",),
    )
    box: list[str] = option(
        [],
        "The subject lies in this box, in pixels or percent; outside of it is background. Repeat "
        "for several.",
        panel=HINTS_PANEL,
        metavar="X,Y,W,H",
    )
    point: list[str] = option(
        [], "This place is subject. Repeat for several.", panel=HINTS_PANEL, metavar="X,Y"
    )
    not_point: list[str] = option(
        [], "This place is background. Repeat for several.", panel=HINTS_PANEL, metavar="X,Y"
    )
    keep: Path | None = option(
        None,
        "Strokes or masks of what is subject, by the photos' names: any color on black or on a "
        "transparent layer.",
        panel=HINTS_PANEL,
        metavar="FILE|DIR",
    )
    drop: Path | None = option(
        None, "The same for what is background.", panel=HINTS_PANEL, metavar="FILE|DIR"
    )
    hints: Path | None = option(
        None,
        "A list of hints, a line or object for each photo: photo, box, points, not_points, keep, "
        "drop, trimap, guide, subject.",
        panel=HINTS_PANEL,
        metavar="FILE.csv|json",
    )
    trimap: Path | None = option(
        None,
        "Trimaps by the photos' names: what is black or white in one is taken as known, the rest "
        "is solved. Photos without one are done as usual.",
        panel=HINTS_PANEL,
        metavar="FILE|DIR",
    )
    guide: Path | None = option(
        None,
        "Rough mattes by the photos' names, as of another tool, to be sharpened.",
        panel=HINTS_PANEL,
        metavar="FILE|DIR",
    )
    subject: SubjectChoice = option(
        "all",
        "Which of several separate subjects is meant: the one with the largest area, or nearest to "
        "the middle of the photo.",
        panel=HINTS_PANEL,
    )
    only_hinted: bool = option(
        False,
        "Leave out photos for which there are no strokes, trimap, rough matte or line of a list.",
        panel=HINTS_PANEL,
        flags=("--only-hinted",),
    )
    smooth: bool = option(
        True,
        "Average the mattes of a clip's frames as far as they show the same.",
        panel=MATTE_PANEL,
    )
    max_megapixels: float = option(
        200, "Refuse larger photos to spare memory.", panel=RUN_PANEL, min=0
    )
    watch: bool = option(
        False,
        "Go on with photos as they appear in IN or change there, until Ctrl-C.",
        panel=RUN_PANEL,
        flags=("--watch",),
    )
