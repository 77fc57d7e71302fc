"""Python threads for compiled work, which releases the interpreter's lock: as many as torch is set to use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")

# Below this many entries a second thread costs more than it saves.
_SERIAL_ENTRIES = 2**17


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="bequeath")


# A forked process inherits the pool but none of its threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def in_threads(work: Callable[[int, int], None], count: int, *, entries: int) -> None:
    """`work(first, last)` over 0 .. count - 1, each of so many entries, in equal parts.

    `work` must release the interpreter's lock, and must not call this function.
    """
    threads = min(torch.get_num_threads(), count) if count * entries > _SERIAL_ENTRIES else 1
    edges = [count * i // threads for i in range(threads + 1)] if threads else [0, 0]
    others = [_pool(torch.get_num_threads()).submit(work, *edges[i : i + 2]) for i in range(1, threads)]
    work(edges[0], edges[1])
    for other in others:
        other.result()


def in_parts(work: Callable[[Part], Result], parts: Sequence[Part]) -> Iterator[Result]:
    """`work` of each part, in their order, several at once; torch itself has one thread for each meanwhile.

    torch's own threads spin for a while after every operation, and would starve the compiled work beside them.
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
