"""How far a run is, told to other terminals and to machines; what it will take; whether it is whole."""

import json
import shutil
import time

import numpy as np
import pytest
import yaml
import zarr
from study_runs import bequeath, start, wait_until

import bequeath as bq
from bequeath.study.progress import json_lines
from bequeath.study.run import Study
from bequeath.study.status import StageStatus, Status, read_status
from bequeath.study.store.verify import verify

pytestmark = pytest.mark.usefixtures("without_report")


def shown(study_dir):
    got = bequeath(study_dir, "show", "out", "--json")
    assert got.returncode == 0, got.stderr
    return json.loads(got.stdout)


def test_show_reads_a_run_at_work_a_dead_one_and_a_finished_one(study_dir):
    out = study_dir / "out"
    process = start(study_dir, "run", "study.yaml", "--out", "out", seconds=0.3)
    wait_until(lambda: (out / "status.json").exists() and len(read_status(out)["stages"]) == 2)
    wait_until(lambda: read_status(out)["stages"][1]["done"] >= 3)
    running = shown(study_dir)
    assert running["state"] == "running"
    assert running["findings"] is None
    assert running["pid"] == process.pid
    tables = running["stages"][1]
    assert tables["stage"] == "value tables"
    assert 3 <= tables["done"] < tables["total"] == 42
    assert {name: total for name, (_, total) in tables["by_model"].items()} == {
        "pretrained": 6,
        "finetuned": 18,
        "scratch": 18,
    }
    assert 0 < tables["rate"] < 10
    assert tables["left"] == pytest.approx((42 - tables["done"]) / tables["rate"], rel=0.05)
    text = bequeath(study_dir, "show", "out").stdout
    assert "running" in text
    assert "value tables" in text
    assert "time left" in text
    process.kill()
    process.communicate()
    assert shown(study_dir)["state"] == "interrupted"
    dead = bequeath(study_dir, "show", "out").stdout
    assert "interrupted" in dead
    assert "start it again to go on" in " ".join(dead.split())
    assert bequeath(study_dir, "run", "study.yaml", "--out", "out").returncode == 0
    finished = shown(study_dir)
    assert finished["state"] == "finished"
    assert set(finished["findings"]) == {"knowledge", "claims", "missing", "warnings"}
    assert "preserved" in bequeath(study_dir, "show", "out").stdout


def test_run_tells_machines_line_by_line(study_dir):
    got = bequeath(study_dir, "run", "study.yaml", "--out", "out", "--json", "--log-level", "info")
    assert got.returncode == 0, got.stderr
    lines = [json.loads(line) for line in got.stdout.splitlines()]
    assert [line["stage"] for line in lines[:-1] if line["done"] == line["total"]] == [
        "checking models",
        "value tables",
        "interactions",
        "hiding players of flipped samples",
    ]
    assert lines[-1] == {
        "event": "finished",
        "findings.json": "out/findings.json",
        "report.html": "out/report.html",
        "missing": None,
    }


def test_lines_are_at_most_one_a_second_and_the_last_is_told(monkeypatch):
    clock = iter(np.arange(0, 100, 0.1))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    lines = []
    listen = json_lines(lines.append)
    stage = StageStatus("value tables", 100)
    for _ in range(100):
        stage.advance(1)
        listen(stage)
    assert 15 < len(lines) < 35  # 20 seconds by this clock
    assert json.loads(lines[-1])["done"] == 100


def test_rates_are_of_late_and_failures_count_as_gone(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stage = StageStatus("value tables", 1000, done=100)
    assert stage.rate is None
    for second in range(1, 201):  # first one a second, then three
        now[0] = second
        stage.advance(1 if second <= 100 else 3)
    assert stage.rate == pytest.approx(3)
    stage.advance(0, failed=30)
    assert stage.left == pytest.approx((1000 - 500 - 30) / 3)


def test_the_file_is_written_now_and_then_not_at_every_step(tmp_path, monkeypatch):
    from bequeath.study import status

    written = []
    monkeypatch.setattr(status, "write_whole", lambda path, text: written.append(json.loads(text)))
    told = Status(tmp_path, [])
    stage = told.stage("value tables", 10_000)
    for _ in range(10_000):
        told.advance(stage, 1)
    told.ended("finished")
    assert len(written) < 20
    assert written[-1]["state"] == "finished"
    assert written[-1]["stages"][0]["done"] == 10_000


def test_a_dry_run_counts_what_is_left_and_writes_nothing(study_dir, edit):
    got = bequeath(study_dir, "run", "study.yaml", "--out", "out", "--dry-run", "--json")
    assert got.returncode == 0, got.stderr
    assert not (study_dir / "out").exists()
    estimate = json.loads(got.stdout)
    assert estimate["tables"] == 42
    assert estimate["tables_done"] == 0
    assert estimate["evaluations"] == 42 * 16
    assert estimate["bytes"] == 42 * 16 * 8 * 3
    assert all(rate > 0 for rate in estimate["rates"].values())
    assert set(estimate["seconds"]) == {"check", "evaluate", "decompose"}
    Study.from_yaml(study_dir / "study.yaml").run(study_dir / "out")
    edit("samples", 9)
    for path in (study_dir / "out/tables.zarr/table/c/0").glob("*"):
        shutil.rmtree(path)
    files = {p: p.stat().st_mtime_ns for p in (study_dir / "out").rglob("*")}
    left = Study.from_yaml(study_dir / "study.yaml").forecast(study_dir / "out")
    assert (left.tables, left.tables_done) == (9 + 6 * 3, 36)
    assert {p: p.stat().st_mtime_ns for p in files} == files
    text = bequeath(study_dir, "run", "study.yaml", "--out", "out", "--dry-run").stdout
    assert "27 to do, 36 done" in text
    assert "time in all" in text


def test_verify_reads_everything(study_dir):
    out = study_dir / "out"
    Study.from_yaml(study_dir / "study.yaml").run(out)
    found = verify(out)
    assert (found.tables, found.interactions) == (42, 42)
    assert found.deviation < 1e-12
    assert found.gap <= 1e-3
    assert bequeath(study_dir, "verify", "out").returncode == 0
    # Another value with a right checksum is found as well: interactions must add up to the table.
    group = zarr.open_group(out / "tables.zarr")
    group["interactions"][2, 3, 0, 5] = group["interactions"][2, 3, 0, 5] + 0.5
    got = bequeath(study_dir, "verify", "out")
    assert got.returncode == 2
    assert "interactions of checkpoint finetuned/step 10, sample " in got.stderr
    assert "do not add up to their tables" in got.stderr
    group["interactions"][2, 3, 0, 5] = group["interactions"][2, 3, 0, 5] - 0.5
    chunk = out / "tables.zarr/table/c/4/1/0"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(bq.BequeathError, match=r"table/c/4/1/0: damaged"):
        verify(out)


def test_what_another_version_wrote_is_not_misread(study_dir):
    out = study_dir / "out"
    Study.from_yaml(study_dir / "study.yaml").run(out)
    status = json.loads((out / "status.json").read_text())
    (out / "status.json").write_text(json.dumps({**status, "schema": "bequeath.status/9"}))
    with pytest.raises(bq.BequeathError, match=r"status\.json: not a status file of this version"):
        read_status(out)


def test_float32_halves_the_arrays(study_dir, edit):
    sizes = {}
    for dtype in ("float64", "float32"):
        edit("store", {"dtype": dtype})
        Study.from_yaml(study_dir / "study.yaml").run(study_dir / dtype)
        group = zarr.open_group(study_dir / dtype / "tables.zarr", mode="r")
        assert group["table"].dtype == dtype
        assert yaml.safe_load((study_dir / dtype / "study.yaml").read_text())["store"] == {"dtype": dtype}
        sizes[dtype] = group["table"].nbytes_stored()
    assert sizes["float32"] < 0.7 * sizes["float64"]
    whole, half = (
        json.loads((study_dir / d / "findings.json").read_text())["knowledge"]["shares"]["preserved"][
            "observed"
        ]
        for d in sizes
    )
    assert half == pytest.approx(whole, rel=1e-5)
