"""Progress bars, in a terminal and in a notebook."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Tick = Callable[[int], None]
"""Called with the number of units of work just done."""

# Seconds between two drawings in a notebook: each is a message to the browser.
_NOTEBOOK_INTERVAL = 0.2


def in_notebook() -> bool:
    """Whether the code runs in a Jupyter kernel, which shows HTML and has no terminal."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and shell.has_trait("kernel")


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Bars for the time of the block: on stderr of a terminal (stdout is for results), or in the notebook's cell.

    Add tasks with the field ``rate``, a text.
    """
    columns = (
        TextColumn("{task.description:<32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with (
        _NotebookProgress(*columns)
        if in_notebook()
        else Progress(*columns, console=Console(stderr=True)) as progress
    ):
        yield progress


@contextmanager
def ticking(progress: bool | Tick, name: str, total: int | None) -> Iterator[Tick]:
    """What to call after each unit of work: a new bar (True), the caller's own function, or nothing.

    Parameters
    ----------
    progress
        As the public functions take it.
    name
        Shown beside the bar.
    total
        Units of work in all; None where that is not known.
    """
    if callable(progress):
        yield progress
    elif progress:
        with progress_bars() as bars:
            task = bars.add_task(name, total=total, rate="")
            yield lambda done: bars.advance(task, done)
    else:
        yield lambda done: None


class _NotebookProgress(Progress):
    """Rich's bars in the cell's output. Rich's own need ipywidgets, and leave nothing in a saved notebook."""

    def __init__(self, *columns: ProgressColumn) -> None:
        super().__init__(*columns, console=Console(force_jupyter=False), auto_refresh=False)
        self._handle: Any = None
        self._drawn = 0.0

    def start(self) -> None:
        from IPython.display import HTML, display

        self._handle = display(HTML(self._html()), display_id=True)

    def stop(self) -> None:
        self._draw()

    def add_task(self, *args: Any, **kwargs: Any) -> Any:
        task = super().add_task(*args, **kwargs)
        self._draw()
        return task

    def advance(self, *args: Any, **kwargs: Any) -> None:
        super().advance(*args, **kwargs)
        self._draw_now_and_then()

    def update(self, *args: Any, **kwargs: Any) -> None:
        super().update(*args, **kwargs)
        self._draw_now_and_then()

    def _draw_now_and_then(self) -> None:
        if time.monotonic() - self._drawn >= _NOTEBOOK_INTERVAL:
            self._draw()

    def _draw(self) -> None:
        from IPython.display import HTML

        if self._handle is not None:
            self._drawn = time.monotonic()
            self._handle.update(HTML(self._html()))

    def _html(self) -> str:
        rows = []
        for task in self.tasks:
            done = 100 if not task.total else min(100.0, 100 * task.completed / task.total)
            seconds = task.elapsed or 0.0
            left = "" if task.time_remaining is None else f", {task.time_remaining:.0f} s left"
            rate = f", {task.fields['rate']}" if task.fields.get("rate") else ""
            rows.append(
                f"<div style='display:flex;gap:.8em;align-items:center'><span style='min-width:16em'>"
                f"{escape(task.description)}</span><progress max='100' value='{done:.1f}'></progress>"
                f"<span>{task.completed:.0f}/{task.total or 0:.0f}{escape(rate)}, {seconds:.0f} s{left}</span></div>"
            )
        return "".join(rows)
