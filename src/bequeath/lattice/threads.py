"""Python threads for compiled work that releases the interpreter's lock; as many as torch is set to use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")

# For fewer entries, a second thread costs more time than it saves.
_SERIAL_ENTRIES = 2**17


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="bequeath")


# A forked process inherits the pool without its threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def in_threads(work: Callable[[int, int], None], count: int, *, entries: int) -> None:
    """Call `work(first, last)` on equal parts of 0 .. count - 1, one for each thread.

    Parameters
    ----------
    work : callable
        It must release the interpreter's lock, and must not call this function.
    count : int
        Number of items.
    entries : int
        Number of array entries in each item; small work uses one thread.
    """
    threads = min(torch.get_num_threads(), count) if count * entries > _SERIAL_ENTRIES else 1
    edges = [count * i // threads for i in range(threads + 1)] if threads else [0, 0]
    others = [_pool(torch.get_num_threads()).submit(work, *edges[i : i + 2]) for i in range(1, threads)]
    work(edges[0], edges[1])
    for other in others:
        other.result()


def in_parts(work: Callable[[Part], Result], parts: Sequence[Part]) -> Iterator[Result]:
    """Results of `work` for each part, in their order; several parts run at the same time.

    Meanwhile torch uses one thread in each. Its own threads would spin after every operation and slow down the compiled
    work.
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(parts) < 2:
        yield from map(work, parts)
        return
    torch.set_num_threads(1)
    try:
        yield from _pool(threads).map(work, parts)
    finally:
        torch.set_num_threads(threads)
