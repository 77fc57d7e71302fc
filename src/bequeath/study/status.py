"""The progress of a run: for listeners in this process, and in a file for other processes."""

from __future__ import annotations

import json
import os
import platform
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from bequeath.errors import BequeathError
from bequeath.files import write_whole
from bequeath.study.store.folder import STATUS, in_use, read_object

SCHEMA = "bequeath.status/1"
State = Literal["running", "finished", "incomplete", "stopped", "failed"]
# Seconds over which rates are measured, and between two writes of the file.
_WINDOW = 60.0
_INTERVAL = 1.0


@dataclass
class StageStatus:
    """The progress of one stage of a run."""

    name: str
    total: int
    done: int = 0
    failed: int = 0
    by_model: dict[str, list[int]] = field(default_factory=dict)
    """Done and total for each model, if the stage is divided by models."""
    seconds: float = 0.0
    _began: float = field(default_factory=time.monotonic, repr=False)
    _recent: deque[tuple[float, int]] = field(default_factory=deque, repr=False)
    _start: int = 0

    def __post_init__(self) -> None:
        self._start = self.done

    def advance(self, done: int, model: str | None = None, failed: int = 0) -> None:
        """Count units that are done, or that failed for good."""
        now = time.monotonic()
        self.done += done
        self.failed += failed
        if model is not None:
            self.by_model[model][0] += done
        self.seconds = now - self._began
        self._recent.append((now, self.done))
        while self._recent[0][0] < now - _WINDOW:
            self._recent.popleft()

    @property
    def rate(self) -> float | None:
        """Units per second, recently; None before any unit was done."""
        if len(self._recent) < 2:
            new = self.done - self._start
            return new / self.seconds if new and self.seconds > 0 else None
        (first_time, first_done), (last_time, last_done) = self._recent[0], self._recent[-1]
        return (last_done - first_done) / (last_time - first_time) if last_time > first_time else None

    @property
    def left(self) -> float | None:
        """Seconds that the remaining units will take at this rate; None if there is no rate."""
        rate = self.rate
        return None if not rate else (self.total - self.done - self.failed) / rate

    def to_dict(self) -> dict[str, Any]:
        """The progress as a dict for JSON. Units are tables, models or samples; times are in seconds."""
        return {
            "stage": self.name,
            "done": self.done,
            "failed": self.failed,
            "total": self.total,
            "by_model": self.by_model,
            "seconds": round(self.seconds, 3),
            "rate": None if self.rate is None else round(self.rate, 4),
            "left": None if self.left is None else round(self.left, 1),
        }


class Status:
    """The stages of a run. Listeners are called at each change; the file is written at most once a second."""

    def __init__(self, folder: Path, listeners: list[Callable[[StageStatus], None]]) -> None:
        self._file = folder / STATUS
        self._listeners = listeners
        self._stages: list[StageStatus] = []
        self._started = _now()
        self._written = 0.0
        self._write("running")

    def stage(
        self, name: str, total: int, done: int = 0, by_model: Mapping[str, tuple[int, int]] | None = None
    ) -> StageStatus:
        """Begin a stage. `by_model` gives done and total for each model."""
        parts = {model: list(counts) for model, counts in (by_model or {}).items()}
        stage = StageStatus(name, total, done, by_model=parts)
        self._stages.append(stage)
        self.changed(stage, now=True)
        return stage

    def advance(self, stage: StageStatus, done: int, model: str | None = None, failed: int = 0) -> None:
        """Count units of a stage that are done or failed."""
        stage.advance(done, model, failed)
        self.changed(stage)

    def changed(self, stage: StageStatus, now: bool = False) -> None:
        """Call the listeners, and write the file if the last write was long enough ago, or if `now` is true."""
        for listener in self._listeners:
            listener(stage)
        if now or time.monotonic() - self._written >= _INTERVAL:
            self._write("running")

    def ended(self, state: State, error: str | None = None) -> None:
        """Write the final state."""
        self._write(state, error)

    def _write(self, state: State, error: str | None = None) -> None:
        self._written = time.monotonic()
        content = {
            "schema": SCHEMA,
            "state": state,
            "error": error,
            "pid": os.getpid(),
            "host": platform.node(),
            "started": self._started,
            "updated": _now(),
            "stages": [stage.to_dict() for stage in self._stages],
        }
        write_whole(self._file, json.dumps(content))


def read_status(folder: Path) -> dict[str, Any] | None:
    """A run's status, with the state "interrupted" if its process no longer exists; None if no run has begun."""
    path = folder / STATUS
    if not path.exists():
        return None
    status = read_object(path)
    if status.get("schema") != SCHEMA or status.get("state") not in get_args(State):
        raise BequeathError(f"{path}: not a status file of this version; remove it and start again")
    if status["state"] == "running" and not in_use(folder):
        status["state"] = "interrupted"
    return status


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
