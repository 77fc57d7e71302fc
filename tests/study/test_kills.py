"""Runs that are killed, stopped, or meet a full disk go on, to the same findings bit for bit."""

import json
import os
import random
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
import yaml
import zarr
from study_runs import bequeath, findings_of, start, wait_until

from bequeath.study.run import Study

pytestmark = pytest.mark.usefixtures("without_report")


def marks(folder):
    """How many tables are marked as done, or None where there is no store yet."""
    if not (folder / "tables.zarr").exists():
        return None
    try:
        return int((zarr.open_group(folder / "tables.zarr", mode="r")["table_done"][:] == 1).sum())
    except (FileNotFoundError, KeyError):
        return None


def undisturbed(study_dir):
    Study.from_yaml(study_dir / "study.yaml").run(study_dir / "calm")
    return findings_of(study_dir / "calm")


def test_a_run_killed_six_times_ends_with_the_same_findings_bit_for_bit(study_dir, edit):
    edit("samples", 18)  # 126 tables
    expected = undisturbed(study_dir)
    out = study_dir / "killed"
    rng = random.Random(0)
    before, kills, seen = 0, 0, []
    while kills < 6:  # thirty times: benchmarks/kills.py
        # Tables of 0.2 s: each start gets through a few of them. The last starts get through all, and are hit later.
        late = kills >= 4
        slow = None if late else 0.2
        process = start(study_dir, "run", "study.yaml", "--out", "killed", seconds=slow)
        if kills % 4 == 3:  # anywhere: while it starts, checks models, makes the store
            time.sleep(rng.uniform(0.5, 4.0))
        else:
            enough = 126 if late else before + 1
            wait_until(lambda n=enough: (marks(out) or 0) >= n)
            time.sleep(rng.uniform(0, 1.0 if late else 0.25))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it came to its end before it could be killed"
        kills += 1
        done = marks(out) or 0
        assert done >= before, "finished work was lost"
        before = done
        seen.append(done)
    assert len(set(seen)) > 2
    finished = bequeath(study_dir, "run", "study.yaml", "--out", "killed")
    assert finished.returncode == 0, finished.stderr
    assert findings_of(out) == expected
    for name in ("table", "interactions", "certificate", "correct"):
        arrays = [
            zarr.open_group(study_dir / f / "tables.zarr", mode="r")[name][:] for f in ("calm", "killed")
        ]
        assert np.array_equal(*arrays, equal_nan=True)
    assert not list(out.rglob("*.partial"))


def test_no_more_than_the_table_in_flight_is_done_again(study_dir):
    out = study_dir / "killed"
    process = start(study_dir, "run", "study.yaml", "--out", "killed", seconds=0.1)
    wait_until(lambda: (marks(out) or 0) >= 7)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    done = marks(out)
    files = {p: p.stat().st_mtime_ns for p in (out / "tables.zarr/table/c").rglob("*") if p.is_file()}
    assert done <= len([p for p in files if not p.name.endswith(".partial")]) <= done + 1
    assert bequeath(study_dir, "run", "study.yaml", "--out", "killed").returncode == 0
    again = [p for p, when in files.items() if not p.exists() or p.stat().st_mtime_ns != when]
    assert len(again) <= 1


def test_a_chunk_that_was_never_marked_is_made_again(study_dir):
    expected = undisturbed(study_dir)
    store = zarr.open_group(study_dir / "calm/tables.zarr")
    store["table_done"][3, 2] = 0
    store["interactions_done"][3, 2] = 0
    (study_dir / "calm/tables.zarr/table/c/3/2/0").write_bytes(b"half of i")
    Study.from_yaml(study_dir / "study.yaml").run(study_dir / "calm")
    assert findings_of(study_dir / "calm") == expected


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_so_and_goes_on(study_dir, sign):
    process = start(study_dir, "run", "study.yaml", "--out", "out", seconds=0.1)
    wait_until(lambda: (marks(study_dir / "out") or 0) >= 3)
    process.send_signal(sign)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.strip().splitlines()[-1] == "bequeath: stopped; start it again to continue"
    assert json.loads((study_dir / "out/status.json").read_text())["state"] == "stopped"
    assert bequeath(study_dir, "run", "study.yaml", "--out", "out").returncode == 0


def test_a_second_process_on_one_folder_leaves(study_dir):
    process = start(study_dir, "run", "study.yaml", "--out", "out", seconds=0.3)
    wait_until(lambda: (marks(study_dir / "out") or 0) >= 1)
    second = bequeath(study_dir, "run", "study.yaml", "--out", "out")
    assert second.returncode == 4
    assert "another process is at work in this folder" in second.stderr
    assert process.poll() is None
    process.kill()
    process.communicate()
    assert bequeath(study_dir, "run", "study.yaml", "--out", "out").returncode == 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_fills_up_stops_the_run_which_goes_on_when_there_is_room(study_dir, small_disk):
    expected = undisturbed(study_dir)
    out = small_disk / "run"
    process = start(study_dir, "run", "study.yaml", "--out", str(out), seconds=0.1)
    wait_until(lambda: (marks(out) or 0) >= 4)
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        for size in (2**16, 2**12, 2**9):
            try:
                while True:
                    stream.write(b"\0" * size)
            except OSError:
                pass
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    last = error.strip().splitlines()[-1]
    assert last.startswith("bequeath: the disk is full")
    assert "finished work is kept" in last
    done = marks(out)
    assert 4 <= done < 42
    refused = bequeath(study_dir, "run", "study.yaml", "--out", str(out))
    assert refused.returncode in (1, 2)
    assert "make room" in refused.stderr
    ballast.unlink()
    assert bequeath(study_dir, "run", "study.yaml", "--out", str(out)).returncode == 0
    assert findings_of(out) == expected


def test_too_small_a_disk_is_told_before_the_work(study_dir, small_disk, edit):
    study = yaml.safe_load((study_dir / "study.yaml").read_text())
    edit("players", {**study["players"], "rows": 4, "cols": 4})
    got = bequeath(study_dir, "run", "study.yaml", "--out", str(small_disk / "run"))
    assert got.returncode == 2
    assert "the arrays need up to" in got.stderr
