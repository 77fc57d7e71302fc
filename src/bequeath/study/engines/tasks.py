"""The remaining work of a run, in tasks of fixed samples, so that results do not depend on which worker does them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bequeath.study.store.store import DONE, Stage, Store

# Entries of all tables in one task of exact decomposition: a few seconds' work, which a killed run can lose.
_EXACT_ENTRIES = 2**17
# Samples in one task of bounds, and of sparse readings: some seconds' work.
_BOUNDS_SAMPLES, _SPARSE_SAMPLES = 4, 8


@dataclass(frozen=True)
class Task:
    """Some samples of one checkpoint in one stage. Accuracy tasks list no samples, since they use all of theirs."""

    stage: Stage
    checkpoint: int | None
    """None means all checkpoints together."""
    samples: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """A task that is done, or that failed for good."""

    task: Task
    result: Any = None
    error: str | None = None
    attempts: int = 1


def group_size(stage: Stage, entries: int, *, sparse: bool = False) -> int:
    """The number of samples in a task of a stage, for tables with `entries` entries."""
    exact = max(1, min(256, _EXACT_ENTRIES // entries))
    sizes = {"interactions": _SPARSE_SAMPLES if sparse else exact, "bounds": _BOUNDS_SAMPLES}
    return sizes.get(stage, 1)


class Agenda:
    """The tasks of some stages. They are made on demand, so memory holds those of a few checkpoints only.

    Parameters
    ----------
    store : Store
        Knows what is done.
    sizes : dict of str to int
        Samples in a task, by stage. Groups are counted from the first sample, and a group is always done as a whole.
    jointly : bool
        Whether a sample's checkpoints are decomposed together.
    """

    def __init__(self, store: Store, sizes: Mapping[Stage, int], *, jointly: bool = False) -> None:
        self._store, self._sizes = store, sizes
        # Stages whose tasks concern all checkpoints together.
        self._of_all = {"bounds", "interactions"} if jointly else {"bounds"}
        self._remaining = self._by_checkpoint()
        self._open: dict[int | None, deque[Task]] = {}
        self._repeated: deque[Task] = deque()

    def _by_checkpoint(self) -> Iterator[tuple[int | None, list[Task]]]:
        for checkpoint in (*range(self._store.shape[0]), None):
            # All stages of a checkpoint come together, so that its model is loaded once.
            stages = [stage for stage in self._sizes if (stage in self._of_all) == (checkpoint is None)]
            tasks = [task for stage in stages for task in self._tasks(stage, checkpoint)]
            if tasks:
                yield checkpoint, tasks

    def _tasks(self, stage: Stage, checkpoint: int | None) -> Iterator[Task]:
        samples = missing(self._store, stage, checkpoint)
        if stage == "accuracy":
            if samples:
                yield Task(stage, checkpoint, ())
            return
        size = self._sizes[stage]
        planned = self._store.asked(stage, checkpoint)
        for group in sorted({sample // size for sample in samples}):
            in_group = range(group * size, min((group + 1) * size, len(planned)))
            yield Task(stage, checkpoint, tuple(sample for sample in in_group if planned[sample]))

    def next(self, at: int | None = None) -> Task | None:
        """The next task for a worker with checkpoint `at` loaded: of that checkpoint, else of one that no worker has.

        None if there are no tasks left.
        """
        if self._repeated:
            return self._repeated.popleft()
        if at is not None and at in self._open:
            return self._take(at)
        for checkpoint, tasks in self._remaining:
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

    def repeat(self, task: Task) -> None:
        """Hand a task out once more."""
        self._repeated.append(task)


def missing(store: Store, stage: Stage, checkpoint: int | None) -> list[int]:
    """Samples of a stage that are planned, not done, and possible now.

    Interactions need the sample's table; bounds need the interactions of both models.
    """
    if checkpoint is None and stage == "interactions":
        return sorted({sample for c in range(store.shape[0]) for sample in missing(store, stage, c)})
    left = store.asked(stage, checkpoint) & (store.state(stage, checkpoint) != DONE)
    if stage == "interactions" and left.any():
        left &= store.state("table", checkpoint) == DONE
    if stage == "bounds" and left.any():
        for final in (store.bounds_settings() or {"checkpoints": ()})["checkpoints"]:
            left &= store.state("interactions", final) == DONE
    samples: list[int] = left.nonzero()[0].tolist()
    return samples


def is_whole(store: Store, bounds: bool) -> bool:
    """Whether everything is done and its data exist; `bounds` says whether bounds are included."""
    rows: list[tuple[Stage, int | None]] = [
        (stage, checkpoint)
        for checkpoint in range(store.shape[0])
        for stage in ("table", "accuracy", "interactions")
    ]
    rows += [("bounds", None)] if bounds else []
    return all(bool((store.state(*row) == DONE)[store.asked(*row)].all()) for row in rows)
