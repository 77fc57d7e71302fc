"""What every engine offers."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Protocol

from bequeath.errors import BequeathError
from bequeath.study.engines.tasks import Task
from bequeath.study.engines.worker import Spec


class StartError(BequeathError):
    """A worker cannot begin at all: no task would fare better."""


class Slot(Protocol):
    """One worker's place: what is in it can die and be replaced."""

    def start(self) -> Future[Any]:
        """Put a new worker there, in the place of one that died too; done once it can take tasks."""
        ...

    def submit(self, task: Task) -> Future[Any]:
        """Have a task done."""
        ...

    def died(self, error: BaseException) -> bool:
        """Whether an error says that the worker is gone."""
        ...


class Engine(Protocol):
    """Opens slots and closes them: `with engine(spec) as slots`. `threads` are those of each worker."""

    workers: int
    threads: int

    def __call__(self, spec: Spec) -> AbstractContextManager[list[Slot]]: ...
