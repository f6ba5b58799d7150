"""What a run would make of a clip, from its header and first frame."""

from __future__ import annotations

from pathlib import Path

from mattecli.core.clips.task import ClipTask
from mattecli.core.imaging.moving import open_frames
from mattecli.core.inference.foresight import Foresight, replaced_by
from mattecli.core.inference.jobs import Job


def foresee_clip(job: Job, task: ClipTask) -> Foresight:
    """Look at the header and the first frame of a clip; how large its result is nobody knows.

    Raises
    ------
    MatteError
        If it cannot be read, or is too large.
    """
    source = Path(str(job.source))
    with open_frames(source, task.settings.max_pixels, task.part, task.rate) as clip:
        count = "frames not counted" if clip.frame_count is None else f"{clip.frame_count} frames"
        return Foresight(f"{clip.width}x{clip.height}, {count}", 0, 0, replaced_by(job))
