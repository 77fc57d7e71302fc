"""What tests of whole runs share: the command line, here or in a process of its own, and findings without the clock."""

from __future__ import annotations

import io
import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from bequeath.cli import main
from bequeath.study.run import Study

# Everything slowed down a little, so that there is a middle to be killed in.
SLOW = (
    "import time, bequeath.games.game as g, sys, bequeath.cli as c\n"
    "start = g.Game.start\n"
    "g.Game.start = lambda self, *a: (time.sleep({seconds}), start(self, *a))[1]\n"
)
PLAIN = "import sys, bequeath.cli as c\n"
# Shells start what runs in the background with interrupts ignored, and its children inherit that.
INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


def findings_of(folder: Path) -> dict[str, Any]:
    """The findings without what tells of the clock."""
    findings: dict[str, Any] = json.loads((folder / "findings.json").read_text())
    findings["provenance"].pop("created")
    findings["provenance"].pop("seconds")
    findings["provenance"].pop("key")  # of settings that change no figure, too
    return findings


def run(study_dir: Path, out: str = "out", **how: Any) -> dict[str, Any]:
    """Run the folder's study in this process; gives its findings."""
    Study.from_yaml(study_dir / "study.yaml").run(study_dir / out, **how)
    return findings_of(study_dir / out)


def start(cwd: Path, *args: str, seconds: float | None = None) -> subprocess.Popen[str]:
    """`bequeath ARGS` in a process of its own; each table takes so many seconds more."""
    before = PLAIN if seconds is None else SLOW.format(seconds=seconds)
    code = f"{INTERRUPTIBLE}{before}sys.argv = ['bequeath', *{list(args)!r}]; c.main()"
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def bequeath(cwd: Path, *args: object) -> subprocess.CompletedProcess[str]:
    """`bequeath ARGS`, to its end, in this process: no signal is needed, and importing torch again takes seconds."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, _left_alone(), redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["bequeath", *map(str, args)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
    return subprocess.CompletedProcess([*map(str, args)], code, out.getvalue(), err.getvalue())


@contextmanager
def _left_alone() -> Iterator[None]:
    """Signal handlers and log handlers are afterwards what they were before."""
    signals = {sign: signal.getsignal(sign) for sign in (signal.SIGINT, signal.SIGTERM)}
    logger = logging.getLogger("bequeath")
    handlers, level = list(logger.handlers), logger.level
    try:
        yield
    finally:
        for sign, handler in signals.items():
            signal.signal(sign, handler)
        logger.handlers[:] = handlers
        logger.setLevel(level)


def wait_until(condition: Any, seconds: float = 60) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.02)
