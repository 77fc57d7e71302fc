"""Hands tasks to free workers, replaces workers that die, and tries failed tasks again before it reports them."""

from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from typing import Any

from bequeath.errors import BequeathError
from bequeath.files import NO_ROOM
from bequeath.study.engines.contract import Slot, StartError
from bequeath.study.engines.tasks import Agenda, Outcome, Task

logger = logging.getLogger(__name__)

ATTEMPTS = 3
# Errors of the machine, not of a task: every further attempt would fail in the same way.
_NO_ROOM = {*NO_ROOM, errno.EROFS, errno.EACCES, errno.EPERM}


def dispatch(slots: Sequence[Slot], agenda: Agenda) -> Iterator[list[Outcome]]:
    """Do all tasks of an agenda.

    Workers that are slow to start, or find no room on a cluster, are not waited for while others work.

    Parameters
    ----------
    slots : sequence of Slot
    agenda : Agenda

    Yields
    ------
    list of Outcome
        Tasks that are done, or failed for good, since the last time, in any order.

    Raises
    ------
    StartError
        If a worker cannot start.
    OSError
        If the disk is full.
    """
    pool = _Pool(slots)
    failures: Counter[Task] = Counter()
    while True:
        pool.hand_out(agenda)
        if not pool.running and pool.idle:
            return
        ended = []
        for future, slot, task in pool.ended():
            error = future.exception()
            if error is None:
                ended.append(Outcome(task, future.result()))
                pool.free(slot, task)
                continue
            if _is_fatal(error):
                raise error
            failures[task] += 1
            reason = str(error) if isinstance(error, BequeathError) else f"{type(error).__name__}: {error}"
            logger.warning("%s failed, attempt %d of %d: %s", task, failures[task], ATTEMPTS, reason)
            if slot.died(error):
                reason = f"the worker died ({reason})"
                pool.start(slot)
            else:
                pool.free(slot, task)
            if failures[task] < ATTEMPTS:
                agenda.repeat(task)
            elif len(task.samples) > 1:
                # Try each sample alone, so that a bad sample does not cost the others of its group.
                for sample in task.samples:
                    alone = replace(task, samples=(sample,))
                    failures[alone] = ATTEMPTS - 1
                    agenda.repeat(alone)
            else:
                ended.append(Outcome(task, error=reason, attempts=ATTEMPTS))
        if ended:
            yield ended


class _Pool:
    """Tracks which workers are starting, idle or at work."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.idle: list[tuple[Slot, int | None]] = []
        self.running: dict[Future[Any], tuple[Slot, Task]] = {}
        self._starting: dict[Future[Any], Slot] = {}
        self._deaths: Counter[int] = Counter()
        for slot in slots:
            self.start(slot)

    def start(self, slot: Slot) -> None:
        self._starting[slot.start()] = slot

    def free(self, slot: Slot, task: Task) -> None:
        self.idle.append((slot, task.checkpoint))

    def hand_out(self, agenda: Agenda) -> None:
        while self.idle and (task := agenda.next(self.idle[-1][1])) is not None:
            slot, _ = self.idle.pop()
            self.running[slot.submit(task)] = slot, task

    def ended(self) -> list[tuple[Future[Any], Slot, Task]]:
        """Wait until a worker starts or a task ends, and return the tasks that ended, successfully or not."""
        done = wait([*self.running, *self._starting], return_when=FIRST_COMPLETED).done
        for future in done & self._starting.keys():
            slot = self._starting.pop(future)
            error = future.exception()
            if error is None:
                self._deaths[id(slot)] = 0
                self.idle.append((slot, None))
                continue
            self._deaths[id(slot)] += 1
            if not slot.died(error) or self._deaths[id(slot)] == ATTEMPTS:
                raise StartError(f"engine: a worker cannot start: {error}") from error
            self.start(slot)
        return [(future, *self.running.pop(future)) for future in done & self.running.keys()]


def _is_fatal(error: BaseException) -> bool:
    if isinstance(error, StartError) or not isinstance(error, Exception):
        return True
    return isinstance(error, OSError) and error.errno in _NO_ROOM
