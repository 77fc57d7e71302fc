"""The contract of all engines."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Protocol

from bequeath.errors import BequeathError
from bequeath.study.engines.tasks import Task
from bequeath.study.engines.worker import Spec


class StartError(BequeathError):
    """A worker cannot start, so no task can be done."""


class Slot(Protocol):
    """A place for one worker, which can die and be replaced."""

    def start(self) -> Future[Any]:
        """Start a new worker, also after one died. The future is done once the worker accepts tasks."""
        ...

    def submit(self, task: Task) -> Future[Any]:
        """Let the worker do a task."""
        ...

    def died(self, error: BaseException) -> bool:
        """Whether an error means that the worker died."""
        ...


class Engine(Protocol):
    """Opens and closes slots: `with engine(spec) as slots`. `threads` is the number of threads of each worker."""

    workers: int
    threads: int

    def __call__(self, spec: Spec) -> AbstractContextManager[list[Slot]]: ...
