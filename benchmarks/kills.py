"""Kills `bequeath run` and `bequeath train` at random moments (kill -9), and checks that results do not change at all.

    python benchmarks/kills.py                  # 30 of each
    python benchmarks/kills.py --kills 5 --seed 3

A tiny study of coloured pictures is trained and run without interruption. Then it is repeated: each start is killed at
a random moment within the time of an uninterrupted start, until all kills are used up, and the last start finishes.
The weights of all checkpoints, all arrays, and the findings without times are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
import zarr
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from study_runs import SLOW, findings_of
from tiny_study import write_study

_STEPS, _SLOWER = 400, 0.05


def main() -> None:
    """Kill, compare, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_study(folder)
        study = yaml.safe_load((folder / "study.yaml").read_text())
        for name in ("finetuned", "scratch"):
            del study["models"][name]
        rate = {"learning_rate": 0.01}
        study["training"] = {
            "steps": _STEPS,
            "batch_size": 8,
            "checkpoints": 6,
            "finetuned": rate,
            "scratch": rate,
        }
        (folder / "study.yaml").write_text(yaml.safe_dump(study))
        for command, compare in (("train", _weights), ("run", _run)):
            file = "study.yaml" if command == "train" else "train-calm/seed-0/study.yaml"
            took = _undisturbed(folder, command, file)
            told = _killed(folder, command, file, took, given.kills, rng)
            equal = compare(folder / f"{command}-calm", folder / f"{command}-killed")
            print(
                f"{command}: {told}; the end is {'equal bit for bit' if equal else 'DIFFERENT'}", flush=True
            )
            if not equal:
                sys.exit(1)


def _start(folder: Path, command: str, file: str, out: str) -> subprocess.Popen[bytes]:
    before = SLOW.format(seconds=_SLOWER) if command == "run" else "import sys, bequeath.cli as c\n"
    code = f"{before}sys.argv = ['bequeath', '{command}', '{file}', '--out', '{out}']; c.main()"
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def _undisturbed(folder: Path, command: str, file: str) -> float:
    begun = time.monotonic()
    process = _start(folder, command, file, f"{command}-calm")
    _, error = process.communicate()
    if process.returncode:
        sys.exit(f"{command}: {error.decode()}")
    return time.monotonic() - begun


def _killed(folder: Path, command: str, file: str, took: float, kills: int, rng: random.Random) -> str:
    """Kill starts at random moments; a start that finishes before its kill is not counted."""
    out, moments, ended = folder / f"{command}-killed", [], 0
    while len(moments) < kills:
        process = _start(folder, command, file, out.name)
        moment = rng.uniform(0, took)
        try:
            _, error = process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            moments.append(moment)
            continue
        if process.returncode:
            sys.exit(f"{command}, after {len(moments)} kills: {error.decode()}")
        # It is finished, so a further start would do nothing. Begin again from nothing, in another folder.
        ended += 1
        _check_same(command, folder)
        out.rename(folder / f"{command}-ended-{ended}")
    process = _start(folder, command, file, out.name)
    _, error = process.communicate()
    if process.returncode:
        sys.exit(f"{command}, after {kills} kills: {error.decode()}")
    return (
        f"{kills} kills, {min(moments):.1f} to {max(moments):.1f} s after a start ({took:.1f} s undisturbed), over "
        f"{ended + 1} runs that came to their end"
    )


def _check_same(command: str, folder: Path) -> None:
    compare = _weights if command == "train" else _run
    if not compare(folder / f"{command}-calm", folder / f"{command}-killed"):
        sys.exit(f"{command}: DIFFERENT")


def _weights(calm: Path, killed: Path) -> bool:
    files = sorted(path.relative_to(calm) for path in calm.rglob("*.safetensors"))
    if files != sorted(path.relative_to(killed) for path in killed.rglob("*.safetensors")) or not files:
        return False
    return all(_same(load_file(calm / file), load_file(killed / file)) for file in files)


def _run(calm: Path, killed: Path) -> bool:
    groups = [zarr.open_group(folder / "tables.zarr", mode="r") for folder in (calm, killed)]
    arrays = [{name: group[name][...] for name in sorted(group.array_keys())} for group in groups]
    found = [json.dumps(findings_of(folder), sort_keys=True) for folder in (calm, killed)]
    return _same(*arrays) and found[0] == found[1]


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    def equal(a: Any, b: Any) -> bool:
        return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))

    return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)


if __name__ == "__main__":
    main()
