"""Looking at the files of a training set before anything is trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mattecli.core.dataset.sample_cache import SampleCache
from mattecli.core.dataset.sources import Source, header_trouble
from mattecli.core.device import usable_cores
from mattecli.core.errors import MatteError, reason_of
from mattecli.core.progress import progress

#: Files of a set that are decoded as a whole, spread evenly.
DECODED = 200
#: Share of a set's files that may be damaged; a single one always may.
MOST_DAMAGED = 0.01


@dataclass(frozen=True)
class _Look:
    """What to look at: a file and what belongs to it, and whether to decode it."""

    kind: str
    image: Path
    alpha: Path | None
    known: Path | None
    whole: bool


def probe(what: str, sources: Sequence[Source], *, quiet: bool = False) -> list[str]:
    """Read every header of a set, and some of its files as a whole, in parallel.

    Parameters
    ----------
    what : str
        What to call the files of the set.

    Returns
    -------
    list of str
        What is wrong with which file; few enough to be left out.

    Raises
    ------
    MatteError
        If more than `MOST_DAMAGED` of the files are damaged, and not only a single one of several.
    """
    files = [
        (source.kind, image, alpha, source.known.get(image))
        for source in sources
        for image, alpha in source.files
    ]
    every = max(1, -(-len(files) // DECODED))
    looks = [_Look(*file, whole=number % every == 0) for number, file in enumerate(files)]
    # Decoders let go of Python's lock.
    pool = ThreadPoolExecutor(min(16, usable_cores()))
    try:
        found = list(
            progress(
                pool.map(_trouble, looks),
                total=len(looks),
                label=f"checking {what}",
                unit="file",
                quiet=quiet,
            )
        )
    finally:
        pool.shutdown(cancel_futures=True)
    damaged = [reason for reason in found if reason]
    decoded = [reason for reason, look in zip(found, looks, strict=True) if look.whole]
    _refuse_many(what, damaged, len(looks))
    _refuse_many(what, [reason for reason in decoded if reason], len(decoded))
    return damaged


def _refuse_many(what: str, damaged: list[str], count: int) -> None:
    if len(damaged) <= max(1, MOST_DAMAGED * count) and (not damaged or len(damaged) < count):
        return
    if len(damaged) == 1:
        raise MatteError(damaged[0])
    raise MatteError(
        f"{len(damaged)} of {count} {what} cannot be used, which is more than "
        f"{MOST_DAMAGED:.0%}: {'; '.join(damaged[:3])}"
    )


def _trouble(look: _Look) -> str | None:
    cache = SampleCache(None, 64)
    try:
        if not look.whole:
            if look.kind == "backgrounds":
                return header_trouble(look.image)
            return header_trouble(look.image, look.alpha, cutout=look.kind == "cutouts")
        if look.kind in ("backgrounds", "photos"):
            cache.background(look.image)
        elif look.kind == "cutouts":
            cache.cutout(look.image, look.alpha)
        elif look.alpha is not None:
            cache.photo(look.image, look.alpha, look.known)
    # Whatever a decoder does to a damaged file, the set goes on without it.
    except Exception as error:
        return reason_of(error, look.image)
    return None
