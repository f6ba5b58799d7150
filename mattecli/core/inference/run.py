"""One run of ``matte predict``: which files, what of each, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mattecli.core.device import usable_cores
from mattecli.core.errors import MatteError
from mattecli.core.imaging.clips import is_clip
from mattecli.core.imaging.colors import parse_color
from mattecli.core.imaging.naming import name_outputs
from mattecli.core.imaging.piping import read_standard_input
from mattecli.core.imaging.pixels import MAX_PIXELS, Picture
from mattecli.core.imaging.reading import read_picture, to_srgb
from mattecli.core.imaging.walking import check_apart, scan, without_results
from mattecli.core.imaging.writing import encode, write_result
from mattecli.core.inference.assessment import assess
from mattecli.core.inference.options import OutputOptions, PredictOptions, RunOptions
from mattecli.core.inference.photo_hints import RunHints
from mattecli.core.inference.pipeline import Item, Job, Outcome, Steps, run_pipeline
from mattecli.core.inference.predictor import Predictor
from mattecli.core.inference.preview import preview_row
from mattecli.core.matting.full_size import full_size_alpha
from mattecli.core.matting.hints import Hints
from mattecli.core.matting.outputs import OutputSpec, flatten, render_outputs
from mattecli.core.ranks import rank_and_world

PIPE = Path("-")


@dataclass(frozen=True)
class Settings:
    """How photos are read, refined, cut and stored."""

    outputs: OutputSpec
    refine: str = "fast"
    suffix: str = ".png"
    compression: int = 3
    quality: int | None = None
    keep_metadata: bool = False
    matte_color: np.ndarray = field(default_factory=lambda: np.ones(3, np.float32))
    max_pixels: int = MAX_PIXELS
    preview: bool = False
    hints: RunHints = field(default_factory=RunHints)


def settings_of(
    output: OutputOptions,
    refine: str,
    suffix: str,
    background: np.ndarray | None,
    max_pixels: int,
    *,
    preview: bool = False,
    hints: RunHints | None = None,
) -> Settings:
    """Put options together.

    Parameters
    ----------
    suffix : str
        Format of the results, with its dot.
    background : ndarray, optional
        What `output` names, see `OutputSpec`.

    Raises
    ------
    MatteError
        If a color is none.
    """
    crop = output.margin if output.crop else None
    return Settings(
        outputs=OutputSpec(output.kinds, output.bits, background, crop),
        refine=refine,
        suffix=suffix,
        compression=output.compression,
        quality=output.quality,
        keep_metadata=output.keep_metadata,
        matte_color=parse_color(output.matte_color),
        max_pixels=max_pixels,
        preview=preview,
        hints=hints or RunHints(),
    )


def plan_jobs(
    source: Path,
    out: Path,
    kinds: tuple[str, ...],
    suffix: str,
    *,
    into_folder: bool,
    may_be_empty: bool = False,
) -> tuple[list[Job], int]:
    """Find the photos and name their outputs.

    Parameters
    ----------
    source, out : Path
        A file, a folder, or ``-`` for standard input and output.
    into_folder : bool
        Whether `out` is a folder for results or the one result itself.
    may_be_empty : bool
        Whether it is no mistake that there are no photos.

    Returns
    -------
    jobs : list of Job
    ignored : int
        Files in the tree that are no pictures.

    Raises
    ------
    MatteError
        If there are no photos, a photo would be overwritten by its own result, or results would
        lie among the photos.
    """
    if source == PIPE:
        return [Job(read_standard_input(), {kinds[0]: out})], 0
    images, ignored = scan(source)
    # Results of an earlier run that lie inside the tree are no photos to cut.
    if into_folder:
        images = without_results(images, source, out)
    if not images and not may_be_empty:
        hint = "; clips are cut one at a time" if any(map(is_clip, source.glob("*"))) else ""
        raise MatteError(f"{source} holds no pictures{hint}")
    if not into_folder:
        outputs = [{kinds[0]: out}]
    else:
        outputs = name_outputs(images, source, out, list(kinds), suffix)
    originals = {image.resolve(): image for image in images}
    for paths in outputs:
        for path in paths.values():
            if path.resolve() in originals:
                raise MatteError(f"{path} would overwrite a photo: choose another place for output")
    if into_folder:
        check_apart((path for paths in outputs for path in paths.values()), source, out)
    jobs = [Job(image, paths) for image, paths in zip(images, outputs, strict=True)]
    return jobs, ignored


def shard_jobs(jobs: list[Job]) -> list[Job]:
    """Give this process its share, where a launcher such as torchrun started several."""
    rank, world = rank_and_world()
    return jobs[rank::world]


def skip_finished(jobs: list[Job]) -> tuple[list[Job], list[Outcome]]:
    """Set aside the photos all of whose results are there; results are whole, being renamed."""
    open_jobs, skipped = [], []
    for job in jobs:
        if all(path != PIPE and path.exists() for path in job.outputs.values()):
            skipped.append(Outcome(job, "skipped", "already there"))
        else:
            open_jobs.append(job)
    return open_jobs, skipped


def predict_all(
    rounds: Iterable[list[Job]],
    settings: Settings,
    options: PredictOptions,
    run: RunOptions,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Cut photos, round by round; the model is loaded before the first photo.

    Raises
    ------
    MatteError
        See `load_model`.
    OutputUnusable
        As soon as nothing more can be written.
    """
    workers = run.workers or min(usable_cores(), 8)
    predictor = None
    for jobs in rounds:
        if not jobs:
            continue
        if predictor is None:
            # A core for each photo is faster than all cores for one photo after the other.
            predictor = load_predictor(options, max_concurrency=min(workers, len(jobs)))
        yield from run_pipeline(
            jobs,
            predictor,
            Steps(
                lambda job: decode(job, settings),
                lambda item: finish(item, settings),
                lambda job, picture: hints_for(job, picture, settings),
            ),
            batch_size=run.batch_size_on(predictor.device_type),
            workers=workers,
            stopped=stopped,
        )


def load_predictor(options: PredictOptions, max_concurrency: int = 1) -> Predictor:
    """Load the model that the options ask for."""
    return Predictor.load(
        options.weights,
        options.device,
        options.precision,
        options.size,
        two_pass=options.two_pass,
        max_concurrency=max_concurrency,
    )


def decode(job: Job, settings: Settings) -> Picture:
    """Read a photo as the rest wants it: no transparency in its colours, and sRGB unless kept."""
    picture = read_picture(job.source, settings.max_pixels)
    # Colours meet those of a background in sRGB only.
    if not settings.keep_metadata or settings.outputs.background is not None:
        picture = to_srgb(picture)
    if picture.alpha is not None:
        picture.color = flatten(picture, settings.matte_color)
    return picture


def hints_for(job: Job, picture: Picture, settings: Settings) -> Hints | None:
    """Read what is said of a photo, if anything is."""
    said = settings.hints.of(job.source)
    return None if said.is_empty else said.read(picture.color.shape[:2], settings.max_pixels)


def finish(
    item: Item, settings: Settings, write: Callable[[Path, bytes], None] | None = None
) -> Outcome:
    """Bring the matte to full size, make what is wanted, and write it.

    Parameters
    ----------
    write : callable, optional
        Takes the path and the content of each file; `write_result` by default.
    """
    picture = item.picture
    alpha = full_size_alpha(picture, item.found, settings.refine, item.hints)
    results = render_outputs(picture.color, alpha, settings.outputs)
    kept = (picture.icc, picture.exif) if settings.keep_metadata else (None, None)
    for kind, path in item.job.outputs.items():
        data = encode(
            results[kind],
            settings.suffix,
            compression=settings.compression,
            quality=settings.quality,
            icc=kept[0],
            exif=kept[1],
            dpi=picture.dpi,
        )
        (write or write_result)(path, data)
    preview = preview_row(picture.color, alpha) if settings.preview else None
    assessment = assess(alpha, item.found.matte.shape)
    status, reason = ("empty", "nothing found") if assessment.is_empty else ("ok", "")
    return Outcome(item.job, status, reason, assessment=assessment, preview=preview)
