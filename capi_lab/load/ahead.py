"""Parts of files read by two threads, and handed on as if they were read one after the other."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeAlias, TypeVar

from capi_lab.load.files import Part

__all__ = ["WORKERS", "read_ahead"]

WORKERS = 2
"""Most of a part's time is spent in Arrow and numpy, which let another thread run, but not all of it."""
_WAITING = 1  # parts cut while others are read, so that no thread waits for the disk

Result = TypeVar("Result")
Outcome: TypeAlias = "tuple[Part, Callable[[], Result]]"


def read_ahead(parts: Iterator[Part], read: Callable[[Part], Result]) -> Generator[Outcome[Result]]:
    """Read parts while those before are worked on.

    Parameters
    ----------
    parts : iterator of Part
    read : callable
        Must keep nothing between parts that two threads could spoil. A part without data, a whole file, is read only
        when its result is asked for, since its size is not known.

    Yields
    ------
    part : Part
    outcome : callable
        Returns, or raises, what ``read`` does. In the order of the parts; an error of ``parts`` itself comes only after
        all the parts before it. At most three parts are held, one where there is a single processor.
    """
    workers = min(WORKERS, _processors())
    if workers == 1:
        yield from ((part, partial(read, part)) for part in parts)
        return
    import pandas  # noqa: F401 - rather here than in two threads at once

    waiting: deque[Outcome[Result]] = deque()
    failure: Exception | None = None
    open_ended = True
    with ThreadPoolExecutor(workers, "reader") as pool:
        try:
            while True:
                while open_ended and len(waiting) < workers + _WAITING:
                    try:
                        part = next(parts)
                    except StopIteration:
                        open_ended = False
                    except Exception as error:  # is raised when its turn comes
                        open_ended, failure = False, error
                    else:
                        waiting.append((part, pool.submit(read, part).result if part.data else partial(read, part)))
                if not waiting:
                    break
                yield waiting.popleft()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    if failure is not None:
        raise failure


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):  # what this process may use, not what the machine has
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
