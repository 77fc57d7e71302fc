"""What is left to do, handed out in tasks of fixed make-up: whoever does them, and whenever, finds the same numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bequeath.study.store.store import DONE, Stage, Store

# Entries of all tables that are decomposed together: a few seconds' work, and what a killed run can lose of it.
_TOGETHER = 2**17
# Samples whose bounds are found together, and whose tables are read sparsely together: some seconds' work.
_BOUNDED, _SPARSE = 4, 8


@dataclass(frozen=True)
class Task:
    """Some samples of one checkpoint in one stage; none for accuracies, which have samples of their own."""

    stage: Stage
    checkpoint: int | None
    """None: of all checkpoints together."""
    samples: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """A task that is done, or that failed for good."""

    task: Task
    result: Any = None
    error: str | None = None
    attempts: int = 1


def group_size(stage: Stage, entries: int, *, sparse: bool = False) -> int:
    """How many samples make a task: one value table, or as many tables as are best worked on together."""
    exact = max(1, min(256, _TOGETHER // entries))
    together = {"interactions": _SPARSE if sparse else exact, "bounds": _BOUNDED}
    return together.get(stage, 1)


class Agenda:
    """The tasks of some stages, made as they are asked for: memory grows with one checkpoint's samples, not with all.

    Parameters
    ----------
    store : Store
        Tells what is done.
    sizes : dict
        Samples in a task by stage, always counted from the first one: a group is done whole or again.
    jointly : bool
        Whether a sample's checkpoints are decomposed together.
    """

    def __init__(self, store: Store, sizes: Mapping[Stage, int], *, jointly: bool = False) -> None:
        self._store, self._sizes = store, sizes
        self._whole = {"bounds", "interactions"} if jointly else {"bounds"}
        self._rows = self._left()
        self._open: dict[int | None, deque[Task]] = {}
        self._again: deque[Task] = deque()

    def _left(self) -> Iterator[tuple[int | None, list[Task]]]:
        for checkpoint in (*range(self._store.shape[0]), None):
            # All stages of a checkpoint together: its model is loaded once.
            stages = [stage for stage in self._sizes if (stage in self._whole) == (checkpoint is None)]
            tasks = [task for stage in stages for task in self._of(stage, checkpoint)]
            if tasks:
                yield checkpoint, tasks

    def _of(self, stage: Stage, checkpoint: int | None) -> Iterator[Task]:
        places = missing(self._store, stage, checkpoint)
        if stage == "accuracy":
            if places:
                yield Task(stage, checkpoint, ())
            return
        size = self._sizes[stage]
        asked = self._store.asked(stage, checkpoint)
        for group in sorted({place // size for place in places}):
            together = range(group * size, min((group + 1) * size, len(asked)))
            yield Task(stage, checkpoint, tuple(place for place in together if asked[place]))

    def next(self, at: int | None = None) -> Task | None:
        """The next task for a worker that has checkpoint `at` loaded: of the same one, else of one that nobody has."""
        if self._again:
            return self._again.popleft()
        if at is not None and at in self._open:
            return self._take(at)
        for checkpoint, tasks in self._rows:
            self._open[checkpoint] = deque(tasks)
            return self._take(checkpoint)
        if self._open:
            return self._take(max(self._open, key=lambda checkpoint: len(self._open[checkpoint])))
        return None

    def _take(self, checkpoint: int | None) -> Task:
        tasks = self._open[checkpoint]
        task = tasks.popleft()
        if not tasks:
            del self._open[checkpoint]
        return task

    def again(self, task: Task) -> None:
        """Hand a task out once more."""
        self._again.append(task)


def missing(store: Store, stage: Stage, checkpoint: int | None) -> list[int]:
    """Samples asked for that are not done and can be: interactions need a table, bounds both models' interactions."""
    if checkpoint is None and stage == "interactions":
        return sorted({place for each in range(store.shape[0]) for place in missing(store, stage, each)})
    left = store.asked(stage, checkpoint) & (store.state(stage, checkpoint) != DONE)
    if stage == "interactions" and left.any():
        left &= store.state("table", checkpoint) == DONE
    if stage == "bounds" and left.any():
        for each in (store.bounds_settings() or {"checkpoints": ()})["checkpoints"]:
            left &= store.state("interactions", each) == DONE
    found: list[int] = left.nonzero()[0].tolist()
    return found


def is_whole(store: Store, bounds: bool) -> bool:
    """Whether everything is done and there; `bounds`: those too."""
    rows: list[tuple[Stage, int | None]] = [
        (stage, checkpoint)
        for checkpoint in range(store.shape[0])
        for stage in ("table", "accuracy", "interactions")
    ]
    rows += [("bounds", None)] if bounds else []
    return all(bool((store.state(*row) == DONE)[store.asked(*row)].all()) for row in rows)
