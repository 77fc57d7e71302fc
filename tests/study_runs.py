"""What tests of whole runs share: the command line in a process of its own, and findings without the clock."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

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


def bequeath(cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """`bequeath ARGS`, to its end."""
    process = start(cwd, *args)
    out, err = process.communicate(timeout=600)
    return subprocess.CompletedProcess(args, process.returncode, out, err)


def wait_until(condition: Any, seconds: float = 60) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.02)
