"""Tasks go to free workers, workers that die are replaced, tasks that fail are tried again, and in the end recorded."""

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
# Errors of the machine, not of a task: trying again, or going on, would fail the same way.
_NO_ROOM = {*NO_ROOM, errno.EROFS, errno.EACCES, errno.EPERM}


def dispatch(slots: Sequence[Slot], agenda: Agenda) -> Iterator[list[Outcome]]:
    """Have an agenda done; gives what has come to its end since the last time, in any order.

    Workers that are slow to start, or find no room on a cluster, are not waited for while others do the work.

    Raises
    ------
    StartError
        If a worker cannot start.
    OSError
        If the disk is full.
    """
    pool = _Pool(slots)
    failed: Counter[Task] = Counter()
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
            failed[task] += 1
            said = str(error) if isinstance(error, BequeathError) else f"{type(error).__name__}: {error}"
            logger.warning("%s failed, attempt %d of %d: %s", task, failed[task], ATTEMPTS, said)
            if slot.died(error):
                said = f"the worker died ({said})"
                pool.start(slot)
            else:
                pool.free(slot, task)
            if failed[task] < ATTEMPTS:
                agenda.again(task)
            elif len(task.samples) > 1:
                # One bad sample costs that sample, not those beside it.
                for sample in task.samples:
                    alone = replace(task, samples=(sample,))
                    failed[alone] = ATTEMPTS - 1
                    agenda.again(alone)
            else:
                ended.append(Outcome(task, error=said, attempts=ATTEMPTS))
        if ended:
            yield ended


class _Pool:
    """Which workers are starting, idle or at work."""

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
        """Wait until something happens; gives the tasks that came to an end, well or not."""
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
