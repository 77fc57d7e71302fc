"""Progress bars of a run, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Tick = Callable[[int], None]


class Bars:
    """Named bars; silent when not shown."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress

    def bar(self, name: str, total: int) -> Tick:
        """A new bar; call the result with the number of units just done."""
        if self._progress is None:
            return lambda done: None
        progress = self._progress
        task = progress.add_task(name, total=total)
        return lambda done: progress.advance(task, done)


@contextmanager
def bars(show: bool) -> Iterator[Bars]:
    """Bars on the terminal for the time of the block."""
    if not show:
        yield Bars(None)
        return
    columns = (
        TextColumn("{task.description:<32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        yield Bars(progress)
