"""Tasks that fail: tried again, and in the end one bad sample costs that sample alone."""

from collections import deque
from concurrent.futures import Future

from bequeath.errors import BequeathError
from bequeath.study.engines.dispatch import ATTEMPTS, dispatch
from bequeath.study.engines.tasks import Task


class Slot:
    """Works at once; samples in `bad` fail whatever they are done with."""

    def __init__(self, bad):
        self.bad, self.done = bad, []

    def start(self):
        return self._ended(None)

    def submit(self, task):
        self.done.append(task)
        bad = [sample for sample in task.samples if sample in self.bad]
        return self._ended(BequeathError(f"sample {bad[0]}") if bad else None)

    def died(self, error):
        return False

    def _ended(self, error):
        future = Future()
        if error is None:
            future.set_result("well")
        else:
            future.set_exception(error)
        return future


class Agenda:
    def __init__(self, tasks):
        self.tasks = deque(tasks)

    def next(self, at=None):
        return self.tasks.popleft() if self.tasks else None

    def repeat(self, task):
        self.tasks.append(task)


def test_one_bad_sample_costs_that_sample():
    slot = Slot(bad={2, 7})
    tasks = [Task("table", 0, (0, 1, 2, 3)), Task("table", 0, (4, 5)), Task("table", 1, (7,))]
    ended = [outcome for some in dispatch([slot], Agenda(tasks)) for outcome in some]
    failed = {(o.task.checkpoint, o.task.samples): o.error for o in ended if o.error}
    done = sorted((o.task.checkpoint, *o.task.samples) for o in ended if not o.error)
    assert failed == {(0, (2,)): "sample 2", (1, (7,)): "sample 7"}
    assert done == [(0, 0), (0, 1), (0, 3), (0, 4, 5)]
    assert slot.done.count(tasks[0]) == slot.done.count(tasks[2]) == ATTEMPTS
    assert slot.done.count(Task("table", 0, (2,))) == 1
