"""Work by threads whose results come in order, a few at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

Result = TypeVar("Result")


def in_order(
    pool: Executor, work: Callable[..., Result], items: Iterable[tuple[Any, ...]], waiting: int
) -> Iterator[Result]:
    """Let threads do `work` for the arguments in each item; at most `waiting` results are ahead."""
    making: deque[Future[Result]] = deque()
    try:
        for item in items:
            making.append(pool.submit(work, *item))
            if len(making) > waiting:
                yield making.popleft().result()
        while making:
            yield making.popleft().result()
    finally:
        for future in making:
            future.cancel()
