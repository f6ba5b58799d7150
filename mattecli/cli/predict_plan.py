"""What ``matte predict`` makes of which photos, and where it goes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mattecli.cli.commands import named_output
from mattecli.cli.predict_checks import Usage
from mattecli.core.inference.options import (
    EdgeOptions,
    FrameOptions,
    Kind,
    OutputOptions,
    SourceOptions,
)

if TYPE_CHECKING:
    from mattecli.core.inference.inputs import Inputs
    from mattecli.core.inference.pipeline import Job

Options = TypeVar("Options", OutputOptions, FrameOptions, EdgeOptions)


class Made(NamedTuple):
    """The options of what is made of each photo, and its name, empty if it has none."""

    name: str
    output: OutputOptions
    frame: FrameOptions
    edges: EdgeOptions


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


def plan_photos(
    sources: list[str],
    out: str,
    inputs: SourceOptions,
    made: list[Made],
    usages: list[Usage],
) -> tuple[list[Job], Counter[str]]:
    """Find the photos and name their outputs; also give what was passed over, by suffix.

    Raises
    ------
    MatteError
        If there are no photos, or results cannot go where they should.
    """
    from mattecli.core.inference.run import merge_jobs, piped_job, plan_jobs

    into_folder = usages[0].into_folder
    found = _find(sources, Path(out) if into_folder else None, inputs)
    if found is None:
        return [piped_job(Path(out), made[0].output.kinds[0])], Counter()
    planned = [
        plan_jobs(
            found,
            Path(out, each.name),
            each.output.kinds,
            usage.suffix,
            into_folder=into_folder,
            name=each.output.name,
        )
        for each, usage in zip(made, usages, strict=True)
    ]
    if not made[0].name:
        return planned[0], found.passed_over
    return merge_jobs([each.name for each in made], planned), found.passed_over


def _find(sources: list[str], results: Path | None, inputs: SourceOptions) -> Inputs | None:
    """Find the photos; None stands for the one that comes through standard input."""
    from mattecli.core.errors import MatteError
    from mattecli.core.imaging.clips import is_clip
    from mattecli.core.inference.inputs import gather, read_list

    if sources == ["-"]:
        return None
    if inputs.from_list is not None:
        sources = sources + read_list(inputs.from_list, null_separated=inputs.null)
    # Results of an earlier run that lie inside the tree are no photos to cut.
    found = gather(sources, results, allow_url=inputs.allow_url)
    if not found.photos and not inputs.watch:
        clips = any(is_clip(path) for source in sources for path in Path(source).glob("*"))
        hint = "; clips are cut one at a time" if clips else ""
        raise MatteError(f"{' and '.join(sources)} holds no pictures{hint}")
    return found
