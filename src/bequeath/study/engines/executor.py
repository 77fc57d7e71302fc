"""Workers in executors of `concurrent.futures`: processes of this machine, of MPI, Dask or loky, or your own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any

from bequeath.study.engines.tasks import Task
from bequeath.study.engines.worker import Spec, Worker


class ExecutorSlot:
    """A slot whose worker runs in an executor.

    Parameters
    ----------
    spec : Spec
        Everything that the worker needs to start.
    make : callable
        Makes an executor with one worker in its own process. It is called for each start, also after the process died.
    """

    def __init__(self, spec: Spec, make: Callable[[], Executor]) -> None:
        self._spec, self._make = spec, make
        self._executor: Executor | None = None

    def start(self) -> Future[Any]:
        """Make an executor and a worker in it. The future is done once the worker accepts tasks."""
        self.stop()
        self._executor = self._make()
        return self._executor.submit(_begin, self._spec)

    def submit(self, task: Task) -> Future[Any]:
        """Let the worker do a task."""
        assert self._executor is not None
        try:
            return self._executor.submit(_do, task)
        except BrokenExecutor as error:  # the process died between two tasks
            future: Future[Any] = Future()
            future.set_exception(error)
            return future

    def died(self, error: BaseException) -> bool:
        """Whether an error means that the process died."""
        return isinstance(error, BrokenExecutor)

    def stop(self) -> None:
        """Shut the executor down without waiting for its tasks."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)


_worker: Worker | None = None


def _begin(spec: Spec) -> None:
    global _worker
    _worker = Worker(spec)


def _do(task: Task) -> Any:
    assert _worker is not None
    return _worker.do(task)
