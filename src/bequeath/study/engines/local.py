"""Workers on this machine: this process, or several processes, by default one per GPU."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from bequeath.study.config.engine import LocalConfig
from bequeath.study.engines.contract import Slot
from bequeath.study.engines.executor import ExecutorSlot
from bequeath.study.engines.tasks import Task
from bequeath.study.engines.worker import Spec, Worker
from bequeath.study.loading.parts import StudyParts

# From Linux's <sys/prctl.h>.
_PR_SET_PDEATHSIG = 1


class _Here:
    """A worker in this process, which does each task at once."""

    def __init__(self, spec: Spec, parts: StudyParts) -> None:
        self._worker = Worker(spec, parts)

    def start(self) -> Future[Any]:
        return _done(lambda: None)

    def submit(self, task: Task) -> Future[Any]:
        return _done(lambda: self._worker.do(task))

    def died(self, error: BaseException) -> bool:
        return False


def _done(work: Callable[[], Any]) -> Future[Any]:
    future: Future[Any] = Future()
    try:
        future.set_result(work())
    except Exception as error:
        future.set_exception(error)
    return future


class _Process(ExecutorSlot):
    """A worker in its own process, with its own GPU if there are any."""

    def __init__(self, spec: Spec, gpu: str | None) -> None:
        # Spawned, because forked processes would inherit the locks of torch's threads, but not the threads.
        context = multiprocessing.get_context("spawn")
        super().__init__(spec, partial(ProcessPoolExecutor, 1, context, _prepare, (gpu,)))

    def stop(self) -> None:
        pool = self._executor
        if not isinstance(pool, ProcessPoolExecutor):
            return
        processes = list((pool._processes or {}).values())
        super().stop()
        for process in processes:
            process.kill()  # safe, because every chunk is written completely or not at all
        for process in processes:
            process.join()


def _prepare(gpu: str | None) -> None:
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    # A terminal interrupts all its processes. Workers ignore this, because the leading process stops them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """Let Linux kill this process when its parent dies, even in computations that no thread can interrupt."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_with_parent() -> None:
    """End this process when the leading process is gone, since nobody would use its results."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]
    return names[: torch.cuda.device_count()]


class LocalEngine:
    """Workers on this machine."""

    def __init__(self, config: LocalConfig, parts: StudyParts) -> None:
        config.check_machine()
        self._config, self._parts = config, parts
        device = parts.inputs.how.device or "cpu"
        # A device with a number, such as cuda:1, is used by one worker only.
        self._gpus = gpus() if device == "cuda" else []
        self.workers = config.workers or max(1, len(self._gpus))
        self.threads = config.threads or max(1, torch.get_num_threads() // self.workers)

    @contextmanager
    def __call__(self, spec: Spec) -> Iterator[list[Slot]]:
        """Start the workers, and stop them at the end, also after an error."""
        spec = replace(spec, threads=self.threads)
        if self.workers == 1:
            before = torch.get_num_threads()
            try:
                yield [_Here(spec, self._parts)]
            finally:
                torch.set_num_threads(before)
            return
        slots = [
            _Process(spec, self._gpus[i % len(self._gpus)] if self._gpus else None)
            # Never more workers than tables.
            for i in range(min(self.workers, len(spec.plan.checkpoints) * len(spec.plan.samples)))
        ]
        try:
            yield list(slots)
        finally:
            for slot in slots:
                slot.stop()
