"""Mining foregrounds: the predictor's surest cutouts from a folder of photos, as RGBA files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from mattecli.core.dataset.manifest import Notes, read_notes
from mattecli.core.errors import MatteError, OutputUnusable
from mattecli.core.imaging.reading import read_color
from mattecli.core.imaging.walking import by_stem
from mattecli.core.imaging.writing import encode
from mattecli.core.inference.predictor import Predictor
from mattecli.core.matting.outputs import OutputSpec, render_outputs
from mattecli.core.progress import progress
from mattecli.core.storage import write_whole

NAME = "mined.jsonl"

# A way to look at a photo: uint8 H×W×3 in, float32 H×W alpha of the same frame out.
View = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Confidence:
    """How far a matte can be trusted without anybody having drawn it.

    Attributes
    ----------
    area : float
        Mean alpha: the share of the photo that the subject takes.
    certainty : float
        1 less the uncertainty 4α(1−α) summed over the photo, relative to the subject's area.
    agreement : float
        Intersection over union of the mattes of all views, with soft counts.
    """

    area: float
    certainty: float
    agreement: float


@dataclass
class Mined:
    """How a run ended: counts, and a line for each photo that could not be judged."""

    kept: int = 0
    rejected: int = 0
    seen_before: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Limits:
    """What a cutout has to reach to be kept."""

    min_area: float = 0.02
    max_area: float = 0.8
    min_certainty: float = 0.6
    min_agreement: float = 0.9

    def rejection_reason(self, found: Confidence) -> str | None:
        """Say why a matte is not kept, or nothing."""
        if not self.min_area <= found.area <= self.max_area:
            return "area"
        if found.certainty < self.min_certainty:
            return "certainty"
        return "agreement" if found.agreement < self.min_agreement else None


def views(predictor: Predictor) -> list[View]:
    """Look at a photo as it is, in the mirror, and at three quarters of the size."""
    smaller = predictor.at_scale(0.75)
    return [
        lambda photo: predictor.predict([photo])[0],
        lambda photo: predictor.predict([np.ascontiguousarray(photo[:, ::-1])])[0][:, ::-1],
        lambda photo: smaller.predict([photo])[0],
    ]


def measure(mattes: Sequence[np.ndarray]) -> Confidence:
    """Judge the first of several mattes of one photo."""
    alpha = mattes[0].astype(np.float64)
    mass = alpha.sum()
    if mass == 0:
        return Confidence(0.0, 0.0, 0.0)
    agreement = np.min(mattes, axis=0).sum() / np.max(mattes, axis=0).sum()
    uncertainty = (4 * alpha * (1 - alpha)).sum() / mass
    return Confidence(*(round(float(x), 4) for x in (alpha.mean(), 1 - uncertainty, agreement)))


def mine_foregrounds(
    photos: Path, out: Path, looks: Sequence[View], limits: Limits, quiet: bool = False
) -> Mined:
    """Write the cutouts that are sure enough to ``OUT/<name>.png``, cropped to their subject.

    Their colors are estimated, so that nothing of the old background is left in them.
    ``OUT/mined.jsonl`` gets a line for every photo that was judged; the next run skips these.

    Raises
    ------
    MatteError
        If there are no photos.
    OutputUnusable
        If the disk is full or `out` cannot be written to.
    """
    found = by_stem(photos)
    if not found:
        raise MatteError(f"found no pictures in {photos}")
    seen = {line["photo"] for line in read_notes(out / NAME, {"photo": str})}
    waiting = {name: path for name, path in found.items() if name not in seen}
    mined = Mined(seen_before=len(found) - len(waiting))
    with Notes(out / NAME) as notes:
        for name, path in progress(waiting.items(), label="mining", quiet=quiet):
            try:
                photo = read_color(path)
                mattes = [look(photo) for look in looks]
                confidence = measure(mattes)
                rejection_reason = limits.rejection_reason(confidence)
                if rejection_reason is None:
                    cutout = render_outputs(photo, mattes[0], OutputSpec(crop=0.02))["cutout"]
                    write_whole(out / f"{name}.png", encode(cutout, ".png"))
            except OutputUnusable:
                raise
            except MatteError as error:
                mined.failures.append(f"{name}: {error}")
                continue
            mined.kept += rejection_reason is None
            mined.rejected += rejection_reason is not None
            notes.add({"photo": name, **asdict(confidence), "rejected for": rejection_reason})
    return mined
