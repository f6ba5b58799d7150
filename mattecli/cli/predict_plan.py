"""What ``matte predict`` makes of which photos, and where it goes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mattecli.cli.commands import named_output
from mattecli.cli.predict_usage import Usage
from mattecli.core.clips.options import ClipContainer
from mattecli.core.inference.options import EdgeOptions, FrameOptions, Kind, OutputOptions
from mattecli.core.inference.source_options import SourceOptions
from mattecli.core.objects.paths import located, located_results

if TYPE_CHECKING:
    from mattecli.core.inference.inputs import Inputs
    from mattecli.core.inference.jobs import Job, Source
    from mattecli.core.inference.streaming import PhotoStream

Options = TypeVar("Options", OutputOptions, FrameOptions, EdgeOptions)


class Made(NamedTuple):
    """The options of what is made of each photo, and its name, empty if it has none."""

    name: str
    output: OutputOptions
    frame: FrameOptions
    edges: EdgeOptions


class Planned(NamedTuple):
    """The photos and clips of a run, and what of folders is neither, by suffix."""

    photos: list[Job]
    clips: list[Job]
    passed_over: Counter[str]

    def only(self, chosen: Callable[[Source], bool]) -> Planned:
        """Leave out what is not chosen."""
        photos, clips = (
            [job for job in jobs if chosen(job.source)] for jobs in (self.photos, self.clips)
        )
        return self._replace(photos=photos, clips=clips)


def _named(name: str, base: Made) -> Made:
    """Put what the table ``outputs.NAME`` says over what holds for all."""
    values = dict(named_output(name))
    values["save"] = [Kind(kind) for kind in values.get("save") or base.output.save]
    return Made(
        name,
        _with_values(base.output, values),
        _with_values(base.frame, values),
        _with_values(base.edges, values),
    )


def _with_values(group: Options, values: dict[str, Any]) -> Options:
    own = {field.name for field in dataclasses.fields(group)}
    return dataclasses.replace(group, **{key: values[key] for key in values if key in own})


def made_of(output: OutputOptions, frame: FrameOptions, edges: EdgeOptions) -> list[Made]:
    """Give what is made of each photo: what the options say, or the outputs that they name.

    Raises
    ------
    typer.BadParameter
        If there is no output of such a name.
    """
    base = Made("", output, frame, edges)
    return [_named(name, base) for name in dict.fromkeys(output.named)] or [base]


def takes_clips(made: list[Made], inputs: SourceOptions) -> bool:
    """Tell whether clips among the inputs are cut: not with options that only photos have."""
    of_photos = made[0].name or made[0].output.crop or made[0].frame.places
    return not (of_photos or inputs.watch or inputs.trimap is not None)


def plan_clip(
    source: str, out: str, output: OutputOptions, suffix: str, *, overwrite: bool
) -> Planned:
    """Name what becomes of a single clip.

    Raises
    ------
    MatteError
        If it would replace a file that is no result.
    """
    from mattecli.core.clips.cutting import clip_job
    from mattecli.core.imaging.animations import FORMATS
    from mattecli.core.imaging.clips.codecs import CONTAINERS
    from mattecli.core.inference.inputs import check_is_no_original

    place = located_results(out)
    # What is there already is otherwise left as it is.
    if overwrite and suffix in (*CONTAINERS, *FORMATS):
        check_is_no_original(place)
    return Planned([], [clip_job(located(source), place, output.kinds, suffix)], Counter())


def plan_photos(
    sources: list[str],
    out: str,
    inputs: SourceOptions,
    made: list[Made],
    usages: list[Usage],
    container: ClipContainer | None = None,
    *,
    with_clips: bool = False,
) -> Planned:
    """Find the photos, and clips if they are wanted, and name their outputs.

    Parameters
    ----------
    container : str, optional
        What clips become.

    Raises
    ------
    MatteError
        If there is nothing to do, or results cannot go where they should.
    """
    from mattecli.core.inference.planning import piped_job
    from mattecli.core.objects.stores import check_writable

    place = located_results(out)
    check_writable(place)
    results = place if usages[0].into_folder else None
    found = _find(sources, results, inputs, with_clips=with_clips)
    if found is None:
        return Planned([piped_job(place, made[0].output.kinds[0])], [], Counter())
    jobs = _jobs_of(found, place, made, usages)
    clips = _clip_jobs(found, place, made[0].output, container) if found.clips else []
    return Planned(jobs, clips, found.passed_over)


def _clip_jobs(
    found: Inputs, out: Path, output: OutputOptions, container: ClipContainer | None
) -> list[Job]:
    """Name what clips become; their files never share a name with those of photos."""
    from mattecli.core.clips.specifying import clip_suffix_of
    from mattecli.core.inference.planning import merge_jobs, plan_jobs

    kinds = output.kinds
    apart = len(kinds) > 1 and "{kind}" not in (output.name or "")
    planned = [
        plan_jobs(
            found.of_clips(),
            out / kind if apart else out,
            (kind,),
            clip_suffix_of(kind, container),
            into_folder=True,
            name=output.name,
        )
        for kind in kinds
    ]
    return merge_jobs([""] * len(kinds), planned)


def stream_photos(
    sources: list[str], out: str, inputs: SourceOptions, made: list[Made], usages: list[Usage]
) -> PhotoStream | None:
    """Plan to cut photos while they are listed; None where all are to be known beforehand.

    That is so on this machine, and where several inputs or hints of photos are put together.

    Raises
    ------
    MatteError
        If there is nothing, or results cannot go where they should.
    """
    from mattecli.core.errors import MatteError, not_found
    from mattecli.core.imaging.walking import stands_for_folder
    from mattecli.core.inference.streaming import PhotoStream
    from mattecli.core.objects.paths import ObjectPath
    from mattecli.core.objects.stores import check_writable

    of_photos = (inputs.trimap, inputs.keep, inputs.drop, inputs.hints, inputs.guide)
    if len(sources) != 1 or inputs.from_list is not None or inputs.only_hinted or any(of_photos):
        return None
    if sources[0].lower().startswith("http"):
        return None
    root, place = located(sources[0]), located_results(out)
    if not (isinstance(root, ObjectPath) and stands_for_folder(sources[0])):
        return None
    check_writable(place)
    if not root.is_dir():
        raise not_found(root)
    results = place if isinstance(place, ObjectPath) and place.is_relative_to(root) else None
    if results == root:
        raise MatteError(
            f"results would lie among the pictures of {root}, and the next run would take them for "
            f"some of them: choose another folder, such as {root / 'results'}"
        )
    pattern = made[0].output.name
    if pattern is not None and "{stem}" not in pattern:
        raise MatteError(f"pattern '{pattern}' needs {{stem}} to name the results of {root} apart")
    return PhotoStream(root, results, lambda found: _jobs_of(found, place, made, usages))


def _jobs_of(found: Inputs, out: Path, made: list[Made], usages: list[Usage]) -> list[Job]:
    from mattecli.core.inference.planning import merge_jobs, plan_jobs

    planned = [
        plan_jobs(
            found,
            out / each.name,
            each.output.kinds,
            usage.suffix,
            into_folder=usage.into_folder,
            name=each.output.name,
        )
        for each, usage in zip(made, usages, strict=True)
    ]
    return merge_jobs([each.name for each in made], planned) if made[0].name else planned[0]


def _find(
    sources: list[str], results: Path | None, inputs: SourceOptions, *, with_clips: bool
) -> Inputs | None:
    """Find the photos; None stands for the one that comes through standard input."""
    from mattecli.core.errors import MatteError
    from mattecli.core.imaging.clips.reading import is_clip
    from mattecli.core.inference.inputs import gather, read_list

    if sources == ["-"]:
        return None
    if inputs.from_list is not None:
        sources = sources + read_list(inputs.from_list, null_separated=inputs.null)
    # Results of an earlier run that lie inside the tree are no photos to cut.
    found = gather(sources, results, allow_url=inputs.allow_url, with_clips=with_clips)
    if not (found.photos or found.clips or inputs.watch):
        clips = any(is_clip(f"x{suffix}") for suffix in found.passed_over)
        hint = "; its clips are cut without options that are for photos only" if clips else ""
        raise MatteError(f"{' and '.join(sources)} holds no pictures{hint}")
    return found
