"""Shows a run's progress: bars on a terminal, or JSON lines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress, TaskID

from bequeath.bars import Tick, progress_bars
from bequeath.study.status import StageStatus

Listener = Callable[[StageStatus], None]
# Seconds between two JSON lines.
_EVERY = 1.0


class Bars:
    """Named progress bars, which may be invisible."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._tasks: dict[tuple[int, str], TaskID] = {}

    def bar(self, name: str, total: int) -> Tick:
        """Add a bar. Call the result with the number of units done since the last call."""
        if self._progress is None:
            return lambda done: None
        progress = self._progress
        task = progress.add_task(name, total=total, rate="")
        return lambda done: progress.advance(task, done)

    def listen(self, stage: StageStatus) -> None:
        """Show the current state of a stage, with a bar per model, or a single one."""
        if self._progress is None:
            return
        rate = "" if stage.rate is None else f"{stage.rate:.3g}/s"
        parts = stage.by_model or {"": [stage.done, stage.total]}
        for place, (model, (done, total)) in enumerate(parts.items()):
            name = f"{stage.name}, {model}" if model else stage.name
            if (id(stage), model) not in self._tasks:
                self._tasks[id(stage), model] = self._progress.add_task(
                    name, total=total, completed=done, rate=""
                )
            else:
                shown = rate if place == 0 else ""
                self._progress.update(self._tasks[id(stage), model], completed=done, rate=shown)


@contextmanager
def bars(show: bool) -> Iterator[Bars]:
    """Progress bars while the `with` statement lasts, on a terminal or in a notebook; invisible if `show` is false."""
    if not show:
        yield Bars(None)
        return
    with progress_bars() as progress:
        yield Bars(progress)


def json_lines(write: Callable[[str], None]) -> Listener:
    """A listener that writes the state of a stage as a JSON line: at its begin and end, and once a second between."""
    last: dict[str, float] = {}

    def listen(stage: StageStatus) -> None:
        now = time.monotonic()
        ended = stage.done + stage.failed >= stage.total
        if stage.name not in last or ended or now - last[stage.name] >= _EVERY:
            last[stage.name] = now
            write(json.dumps({"event": "progress", **stage.to_dict()}))

    return listen
