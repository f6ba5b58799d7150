"""Photos of an object store, cut while they are still being listed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator

from mattecli.core.errors import MatteError
from mattecli.core.imaging.object_walking import stream_pictures
from mattecli.core.inference.inputs import Inputs
from mattecli.core.inference.jobs import Job
from mattecli.core.objects.paths import ObjectPath


class PhotoStream:
    """The jobs of all photos below a place in a store, of which few are in memory at a time.

    Names of results are those that the same files would get in a folder, but that names which
    differ by case only are different names.

    Parameters
    ----------
    root : ObjectPath
    results : ObjectPath, optional
        A place inside `root` that gets the results, and is left out.
    plan : callable
        Gives the jobs of photos whose results could share a name.

    Attributes
    ----------
    passed_over : Counter of str
        What was no picture until now, by suffix.
    """

    def __init__(
        self,
        root: ObjectPath,
        results: ObjectPath | None,
        plan: Callable[[Inputs], list[Job]],
    ) -> None:
        self.passed_over: Counter[str] = Counter()
        self._root = root
        self._results = results
        self._plan = plan

    def __iter__(self) -> Iterator[Job]:
        """List the photos.

        Raises
        ------
        MatteError
            If there are none, or the store cannot be asked.
        """
        self.passed_over.clear()
        is_empty = True
        for group in stream_pictures(self._root, self.passed_over, self._results):
            places = [path.relative_to(self._root).as_posix() for path in group]
            yield from self._plan(Inputs(list(group), places))
            is_empty = False
        if is_empty:
            raise MatteError(f"{self._root} holds no pictures")

    def count_aside(self, tell: Callable[[int], None]) -> None:
        """Count the photos in another thread, and `tell` how many there are once that is known."""

        def count() -> None:
            try:
                groups = stream_pictures(self._root, Counter(), self._results)
                tell(sum(map(len, groups)))
            except MatteError:
                pass  # who reads the photos meets it too, and says so

        threading.Thread(target=count, name="count", daemon=True).start()
