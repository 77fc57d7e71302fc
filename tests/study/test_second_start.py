"""A second start redoes nothing: forward calls are counted by the model itself, in a file that survives any kill."""

from __future__ import annotations

import hashlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from study_runs import findings_of, start, wait_until

from bequeath.study.run import Study
from bequeath.study.status import read_status

COUNTING = """
from pathlib import Path
import torch
from tiny_net_for_study import build as plain

CALLS = Path(__file__).with_name("calls")


class Counting(torch.nn.Sequential):
    def forward(self, x):
        with CALLS.open("ab", buffering=0) as calls:
            calls.write(b"x")
        return super().forward(x)


def build(num_classes):
    return Counting(*plain(num_classes))
"""


@pytest.fixture
def counting(study_dir, edit) -> Iterator[Path]:
    """The study, of models that append a byte to the file "calls" for each forward call."""
    (study_dir / "counting_net_for_study.py").write_text(COUNTING)
    sys.modules.pop("counting_net_for_study", None)
    for name in ("pretrained", "finetuned", "scratch"):
        edit(f"models.{name}.architecture", "counting_net_for_study:build")
    # Else the batch size is searched for by the clock, and with it the number of calls would vary.
    edit("evaluation", {"batch_size": 16})
    yield study_dir
    sys.modules.pop("counting_net_for_study", None)


def calls(folder: Path) -> int:
    """Forward calls so far."""
    return (folder / "calls").stat().st_size


def files(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Path -> size, time of the last change, digest."""
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_size,
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


# These two say of each start that it took place, and that it ended.
OF_THE_START = {"run.log", "status.json"}
# One table is one call. The first table of a model that is loaded is three more, to find out what can be reused.
ONE_UNIT = 4


def test_a_finished_run_is_left_as_it_is(counting):
    study, out = Study.from_yaml(counting / "study.yaml"), counting / "out"
    findings = study.run(out).findings
    number, before = calls(counting), files(out)
    assert number > 42  # tables
    again = study.run(out).findings
    process = start(counting, "run", "study.yaml", "--out", "out")
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert calls(counting) == number
    after = files(out)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == OF_THE_START
    assert again == findings


def test_a_killed_run_evaluates_only_what_is_left(counting):
    study, out = Study.from_yaml(counting / "study.yaml"), counting / "killed"
    study.run(counting / "whole")
    whole = calls(counting)
    process = start(counting, "run", "study.yaml", "--out", "killed", seconds=0.1)
    wait_until(lambda: tables(out) >= 20)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert tables(out) < 42
    first = calls(counting) - whole
    study.run(out)
    second = calls(counting) - whole - first
    assert 0 < second < whole
    assert first + second <= whole + ONE_UNIT
    assert findings_of(out) == findings_of(counting / "whole")


def tables(folder: Path) -> int:
    """How many value tables the run says are done."""
    status = read_status(folder) if (folder / "status.json").exists() else None
    stages = status["stages"] if status else []
    return next((stage["done"] for stage in stages if stage["stage"] == "value tables"), 0)
