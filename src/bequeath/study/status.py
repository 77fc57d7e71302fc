"""How far a run is: told to the terminal, to machines as JSON lines, and to a file that other processes read."""

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
# Rates are of the last so many seconds.
_WINDOW = 60.0
_EVERY = 1.0


@dataclass
class StageStatus:
    """One stage of a run: how much of it is done."""

    name: str
    total: int
    done: int = 0
    failed: int = 0
    by_model: dict[str, list[int]] = field(default_factory=dict)
    """Done and total, where the stage goes by models."""
    seconds: float = 0.0
    _began: float = field(default_factory=time.monotonic, repr=False)
    _recent: deque[tuple[float, int]] = field(default_factory=deque, repr=False)
    _start: int = 0

    def __post_init__(self) -> None:
        self._start = self.done

    def advance(self, done: int, model: str | None = None, failed: int = 0) -> None:
        """Some units are done, or failed for good."""
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
        """Units a second of late; None before there were any."""
        if len(self._recent) < 2:
            made = self.done - self._start
            return made / self.seconds if made and self.seconds > 0 else None
        (first, before), (last, now) = self._recent[0], self._recent[-1]
        return (now - before) / (last - first) if last > first else None

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take at this rate."""
        rate = self.rate
        return None if not rate else (self.total - self.done - self.failed) / rate

    def to_dict(self) -> dict[str, Any]:
        """For JSON: units are tables, models or samples, times seconds."""
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
    """The stages of a run; every listener is told of each change, the file at most once a second."""

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
        """Begin a stage; `by_model` is what is done and what there is of each model."""
        parts = {model: list(counts) for model, counts in (by_model or {}).items()}
        stage = StageStatus(name, total, done, by_model=parts)
        self._stages.append(stage)
        self.changed(stage, now=True)
        return stage

    def advance(self, stage: StageStatus, done: int, model: str | None = None, failed: int = 0) -> None:
        """Some units of a stage are done."""
        stage.advance(done, model, failed)
        self.changed(stage)

    def changed(self, stage: StageStatus, now: bool = False) -> None:
        """Tell the listeners, and write the file if it is time."""
        for listener in self._listeners:
            listener(stage)
        if now or time.monotonic() - self._written >= _EVERY:
            self._write("running")

    def ended(self, state: State, error: str | None = None) -> None:
        """The last word."""
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
    """A run's status as it really is: a process that is gone is not running. None where no run has begun."""
    path = folder / STATUS
    if not path.exists():
        return None
    status = read_object(path)
    if status.get("schema") != SCHEMA or status.get("state") not in get_args(State):
        raise BequeathError(f"{path}: made by something else or another version; remove it and start again")
    if status["state"] == "running" and not in_use(folder):
        status["state"] = "interrupted"
    return status


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
