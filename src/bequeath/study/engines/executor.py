"""Workers in executors of `concurrent.futures`: processes of this machine, of MPI, Dask or loky, or of your own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any

from bequeath.study.engines.tasks import Task
from bequeath.study.engines.worker import Spec, Worker


class ExecutorSlot:
    """A slot whose worker lives in an executor.

    Parameters
    ----------
    spec : Spec
        What the worker needs to begin.
    make : callable
        Makes an executor with one worker in a process of its own. It is called for each start, also after the process
        has died.
    """

    def __init__(self, spec: Spec, make: Callable[[], Executor]) -> None:
        self._spec, self._make = spec, make
        self._executor: Executor | None = None

    def start(self) -> Future[Any]:
        """Make an executor, and a worker in it; done once it can take tasks."""
        self.stop()
        self._executor = self._make()
        return self._executor.submit(_begin, self._spec)

    def submit(self, task: Task) -> Future[Any]:
        """Have a task done."""
        assert self._executor is not None
        try:
            return self._executor.submit(_do, task)
        except BrokenExecutor as error:  # it died between two tasks
            future: Future[Any] = Future()
            future.set_exception(error)
            return future

    def died(self, error: BaseException) -> bool:
        """Whether an error says that the process is gone."""
        return isinstance(error, BrokenExecutor)

    def stop(self) -> None:
        """Give the executor up, with what it has begun."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)


_worker: Worker | None = None


def _begin(spec: Spec) -> None:
    global _worker
    _worker = Worker(spec)


def _do(task: Task) -> Any:
    assert _worker is not None
    return _worker.do(task)
