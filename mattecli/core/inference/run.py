"""One run of ``matte predict``: which files, what of each, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from mattecli.core.device import usable_cores
from mattecli.core.errors import MatteError
from mattecli.core.imaging.clips.codecs import Encoding
from mattecli.core.imaging.clips.reading import is_clip
from mattecli.core.imaging.colors import parse_color
from mattecli.core.imaging.icc import is_of_grey
from mattecli.core.imaging.layered import encode_layers
from mattecli.core.imaging.opening import NamedBytes
from mattecli.core.imaging.pixels import MAX_PIXELS, Picture
from mattecli.core.imaging.reading import read_picture, to_srgb
from mattecli.core.imaging.writing import LAYERED, WITH_PROFILE, encode, write_result
from mattecli.core.inference.assessment import assess
from mattecli.core.inference.inputs import Address
from mattecli.core.inference.jobs import Job
from mattecli.core.inference.options import OutputOptions, PredictOptions
from mattecli.core.inference.photo_hints import RunHints
from mattecli.core.inference.pipeline import run_pipeline
from mattecli.core.inference.preloading import load_predictor
from mattecli.core.inference.preview import preview_row
from mattecli.core.inference.run_options import RunOptions
from mattecli.core.inference.steps import Item, Outcome, Steps
from mattecli.core.matting.edges import Edges
from mattecli.core.matting.flattening import flatten
from mattecli.core.matting.framing import PlacedSubject
from mattecli.core.matting.full_size import full_size_alpha, wants_detail
from mattecli.core.matting.hints import Hints
from mattecli.core.matting.outputs import OutputSpec, layers_of, render
from mattecli.core.matting.subject import Subject
from mattecli.core.objects.paths import ObjectPath


@dataclass(frozen=True)
class Settings:
    """How photos are read, refined, cut and stored.

    Attributes
    ----------
    named : dict of Settings
        Where several outputs have names, the settings of each, of which what is made and how it is
        stored counts.
    """

    outputs: OutputSpec
    refine: str = "fast"
    suffix: str = ".png"
    compression: int = 3
    quality: int | None = None
    encoding: Encoding = field(default_factory=Encoding)
    keep_metadata: bool = False
    matte_color: np.ndarray = field(default_factory=lambda: np.ones(3, np.float32))
    max_pixels: int = MAX_PIXELS
    preview: bool = False
    review: bool = False
    hints: RunHints = field(default_factory=RunHints)
    named: dict[str, Settings] = field(default_factory=dict)

    def parts(self) -> list[tuple[str, Settings]]:
        """Give what is made: settings, and what their kinds have in front in a job's outputs."""
        if not self.named:
            return [("", self)]
        return [(f"{name}/", settings) for name, settings in self.named.items()]


def settings_of(
    output: OutputOptions,
    refine: str,
    suffix: str,
    spec: OutputSpec,
    max_pixels: int,
    *,
    preview: bool = False,
    review: bool = False,
    hints: RunHints | None = None,
) -> Settings:
    """Put options together.

    Parameters
    ----------
    suffix : str
        Format of the results, with its dot.
    spec : OutputSpec
        What `output` and the rest name.

    Raises
    ------
    MatteError
        If a color is none.
    """
    return Settings(
        outputs=spec,
        refine=refine,
        suffix=suffix,
        compression=output.compression,
        quality=output.quality,
        keep_metadata=output.keep_metadata,
        matte_color=parse_color(output.matte_color),
        max_pixels=max_pixels,
        preview=preview,
        review=review,
        hints=hints or RunHints(),
    )


def predict_all(
    rounds: Iterable[Iterable[Job]],
    settings: Settings,
    options: PredictOptions,
    run: RunOptions,
    *,
    stopped: Callable[[], bool] = lambda: False,
    begins: Callable[[Job], None] = lambda job: None,
) -> Iterator[Outcome]:
    """Cut photos, round by round; the model is loaded before the first photo.

    Parameters
    ----------
    begins : callable
        Told of each photo before it is decoded, by the thread that does so.

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
        if isinstance(jobs, list) and not jobs:
            continue
        if predictor is None:
            # A core for each photo is faster than all cores for one photo after the other.
            most = min(workers, len(jobs)) if isinstance(jobs, list) else workers
            predictor = load_predictor(options, max_concurrency=most)
        yield from run_pipeline(
            jobs,
            predictor,
            steps_of(settings, begins),
            batch_size=run.batch_size_on(predictor.device_type),
            workers=workers,
            stopped=stopped,
        )


def steps_of(settings: Settings, begins: Callable[[Job], None] = lambda job: None) -> Steps:
    """Give what is done with a photo before and after the network; see `predict_all`."""

    def begin(job: Job) -> Picture:
        begins(job)
        return decode(job, settings)

    return Steps(
        begin,
        lambda item: finish(item, settings),
        lambda job, picture: hints_for(job, picture, settings),
        lambda job: wants_detail(settings.refine),
    )


def decode(job: Job, settings: Settings) -> Picture:
    """Read a photo as the rest wants it: no transparency in its colors, and sRGB unless kept."""
    picture = read_picture(_photo_of(job, settings.max_pixels), settings.max_pixels)
    # Colors meet those of a background in sRGB only, and some files cannot say what else they are.
    needs_srgb = any(
        part.outputs.background is not None or part.suffix not in WITH_PROFILE
        for _, part in settings.parts()
    )
    # Nor can a cutout, which has three channels, hold a profile of grey pictures.
    needs_srgb = needs_srgb or (picture.icc is not None and is_of_grey(picture.icc))
    if not settings.keep_metadata or needs_srgb:
        picture = to_srgb(picture)
    if picture.alpha is not None:
        picture.color = flatten(picture, settings.matte_color)
    return picture


def hints_for(job: Job, picture: Picture, settings: Settings) -> Hints | None:
    """Read what is said of a photo, if anything is."""
    said = settings.hints.of(job.source)
    return None if said.is_empty else said.read(picture.color.shape[:2], settings.max_pixels)


def _photo_of(job: Job, max_pixels: int) -> Path | bytes:
    """Give the file, or what is at the address."""
    if isinstance(job.source, Address):
        from mattecli.core.inference.fetching import fetch

        return NamedBytes(fetch(job.source, max_pixels), job.source)
    if isinstance(job.source, Path) and is_clip(job.source):
        if isinstance(job.source, ObjectPath):
            raise MatteError(f"{job.source} is a clip: download it first")
        raise MatteError(f"{job.source} is a clip: cut it without the options that photos have")
    return job.source


def finish(
    item: Item, settings: Settings, store: Callable[[Path, Callable[[], bytes]], None] | None = None
) -> Outcome:
    """Bring the matte to full size, make what is wanted, and write it.

    Parameters
    ----------
    store : callable, optional
        Takes the path of each file and what encodes it; `write_result` writes it by default.
    """
    picture = item.picture
    matte = full_size_alpha(picture, item.found, settings.refine, item.hints)
    # Outputs that differ in other things share the subject's colors.
    subjects: dict[tuple[int, Edges], Subject] = {}
    for prefix, part in settings.parts():
        spec = part.outputs
        key = (spec.bits, spec.edges)
        if key not in subjects:
            subjects[key] = Subject.of(picture.color, matte, *key)
        _write_results(item, subjects[key], part, prefix, store or _store)
    alpha = next(iter(subjects.values())).alpha
    size = item.found.before_detail or item.found.matte.shape
    assessment = assess(alpha, picture.color, size)
    shown = settings.preview or (settings.review and assessment.is_doubtful)
    preview = preview_row(picture.color, alpha) if shown else None
    status, reason = ("empty", "nothing found") if assessment.is_empty else ("ok", "")
    return Outcome(item.job, status, reason, assessment=assessment, preview=preview)


def _write_results(
    item: Item,
    subject: Subject,
    settings: Settings,
    prefix: str,
    store: Callable[[Path, Callable[[], bytes]], None],
) -> None:
    picture, spec = item.picture, settings.outputs
    if spec.framing is not None:
        subject = PlacedSubject(subject, spec.framing)
        if subject.is_enlarged:
            note = f"enlarged {subject.enlarged:.1f} times to fill {prefix or 'its '}canvas"
            picture.notes += (note.replace("/", "'s "),)
    results = render(subject, spec)
    if settings.suffix in LAYERED:
        for kind in spec.kinds:
            behind, colors, alpha, shadow = layers_of(subject, spec, kind)
            layers = (behind, colors, alpha, results[kind], shadow)
            store(item.job.outputs[prefix + kind], partial(encode_layers, settings.suffix, *layers))
        return
    kept = (picture.icc, picture.exif) if settings.keep_metadata else (None, None)
    for kind in spec.kinds:
        encoded = partial(
            encode,
            results[kind],
            settings.suffix,
            compression=settings.compression,
            quality=settings.quality,
            icc=kept[0],
            exif=kept[1],
            dpi=picture.dpi,
            is_result=True,
        )
        store(item.job.outputs[prefix + kind], encoded)


def _store(path: Path, encoded: Callable[[], bytes]) -> None:
    write_result(path, encoded())
