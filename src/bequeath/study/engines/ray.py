"""Workers on a Ray cluster: actors that each hold the data and one model."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import psutil
import torch

from bequeath.errors import BequeathError
from bequeath.study.config.engine import RayConfig
from bequeath.study.engines.contract import Slot
from bequeath.study.engines.tasks import Task
from bequeath.study.engines.worker import Spec, Worker

# Ray asks users whether it may report usage. A library must not answer for them, so reporting is off.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

try:
    import ray
    from ray.exceptions import RayActorError, RayTaskError
except ImportError:
    raise BequeathError('engine: ray is not installed: pip install "bequeath[ray]"') from None


# Seconds to wait for an answer of the cluster's head.
_TIMEOUT = 10.0


class _Actor:
    """The actor that runs on a node."""

    def begin(self, spec: Spec) -> None:
        try:
            self._worker = Worker(spec)
        except BequeathError as error:
            raise BequeathError(
                f"on {os.uname().nodename}: {error} (all nodes must see the same files: data, weights, run folder)"
            ) from None

    def do(self, task: Task) -> Any:
        return self._worker.do(task)


class _Slot:
    def __init__(self, spec: Any, cpus: float, gpus: float) -> None:
        self._make = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0)(_Actor)
        self._spec = spec
        self._actor: Any = None

    def start(self) -> Future[Any]:
        self._actor = self._make.remote()
        return _future(self._actor.begin.remote(self._spec))

    def submit(self, task: Task) -> Future[Any]:
        return _future(self._actor.do.remote(task))

    def died(self, error: BaseException) -> bool:
        return isinstance(error, RayActorError)

    def stop(self) -> None:
        if self._actor is not None:
            ray.kill(self._actor)


def _future(reference: Any) -> Future[Any]:
    """A future that fails with the task's own error, without Ray's wrapper around it."""
    plain: Future[Any] = Future()

    def hand_over(done: Future[Any]) -> None:
        error = done.exception()
        if error is None:
            plain.set_result(done.result())
        else:
            plain.set_exception(error.cause if isinstance(error, RayTaskError) else error)

    reference.future().add_done_callback(hand_over)
    return plain


def _check_answer(address: str | None) -> None:
    """Raise an error if nothing answers at an address; Ray itself would try for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_TIMEOUT).close()


@contextmanager
def _loopback() -> Iterator[None]:
    """Let a cluster that is started here listen to this machine only, since it runs any code that it is sent.

    Ray replaces a loopback address by the machine's own, unless it believes that clusters of several machines are
    impossible. Clearing ENABLE_RAY_CLUSTER makes it believe that.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


class RayEngine:
    """Workers on a Ray cluster: a running one, or one that is started here for this run."""

    def __init__(self, config: RayConfig) -> None:
        self._config = config
        self.threads = config.threads or max(1, int(config.cpus))
        cpus, gpus = self._resources()
        self._gpus = config.gpus if config.gpus is not None else float(gpus >= 1)
        room = int(min(cpus // config.cpus, gpus // self._gpus if self._gpus else cpus))
        self.workers = config.workers or room
        if not 1 <= self.workers <= room:
            raise BequeathError(
                f"engine.workers: {self.workers}; the cluster has room for {room} ({cpus:g} CPUs and {gpus:g} GPUs; a "
                f"worker needs {config.cpus:g} and {self._gpus:g}); give a number from 1 to {room}, or fewer cpus or "
                "gpus"
            )

    def _resources(self) -> tuple[float, float]:
        """CPUs and GPUs of the cluster; a cluster that is started here has this machine's."""
        if self._config.address is None and not ray.is_initialized():
            return psutil.cpu_count() or 1, torch.cuda.device_count()
        with self._connected():
            resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        return resources.get("CPU", 0), resources.get("GPU", 0)

    @contextmanager
    def __call__(self, spec: Spec) -> Iterator[list[Slot]]:
        """Start the actors, and stop them at the end, also after an error."""
        with self._connected():
            # Sent to the cluster once instead of with every actor.
            shared = ray.put(replace(spec, threads=self.threads))
            slots = [_Slot(shared, self._config.cpus, self._gpus) for _ in range(self.workers)]
            try:
                yield list(slots)
            finally:
                for slot in slots:
                    slot.stop()

    @contextmanager
    def _connected(self) -> Iterator[None]:
        if ray.is_initialized():  # by the caller, who also shuts it down
            yield
            return
        try:
            _check_answer(self._config.address)
            with nullcontext() if self._config.address else _loopback():
                ray.init(
                    address=self._config.address or "local",
                    include_dashboard=None if self._config.address else False,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                )
        except (OSError, ValueError, RuntimeError) as error:
            raise BequeathError(
                f"engine.address: {self._config.address}: no Ray cluster there ({error}); start it, or correct the "
                "address"
            ) from None
        try:
            yield
        finally:
            ray.shutdown()
