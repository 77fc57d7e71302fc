"""benchmarks/gpu.sh and gpu.py, tiny, on the CPU."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu.sh"
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without CUDA")


@pytest.fixture(scope="module")
def gpu():
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        import gpu as module

        yield module
    finally:
        sys.path.remove(str(SCRIPT.parent))


@pytest.fixture(scope="module")
def bare_machine(tmp_path_factory):
    """What a process is given there: only what gpu.sh brings can be imported."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text((Path(__file__).parent / "only_these.py").read_text())
    return {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def run(bare_machine, tmp_path_factory):
    """A small run, and the folder of its files."""
    out = tmp_path_factory.mktemp("out")
    done = subprocess.run(
        [SCRIPT, "--small", "--device", "cpu"],
        env={**bare_machine, "OUT": str(out)},
        capture_output=True,
        text=True,
    )
    return done, out


@pytest.fixture
def bench(gpu):
    def made(seconds=60.0):
        return gpu.Bench(torch.device("cpu"), gpu.SMALL, time.perf_counter() + seconds)

    return made


def test_packages_of_a_bare_machine_are_all_that_can_be_imported(bare_machine):
    for name, code in (("numba", 0), ("matplotlib", 1)):
        done = subprocess.run([sys.executable, "-c", f"import {name}"], env=bare_machine, capture_output=True)
        assert done.returncode == code


def test_every_part_is_measured_and_results_agree(run):
    done, out = run
    assert done.returncode == 0, done.stdout + done.stderr
    kept = json.loads((out / "gpu.json").read_text())
    rows = kept["rows"]
    counts = {part: sum(row["part"] == part for row in rows) for part in {row["part"] for row in rows}}
    # 2 networks, 2 dtypes, a decomposition, 2 fits; 2 sizes x 2 dtypes x 2 transforms, twice; 2 networks x 2 grids x 3.
    assert counts == {"agreement": 7, "fit": 2, "transforms": 16, "evaluation": 12}
    for row in rows:
        assert row["value"] is not None
        assert row["reference"] > 0
        assert row["ratio"] == pytest.approx(row["value"] / row["reference"])
        assert row["agrees"] is (True if row["part"] == "agreement" else None)


def test_the_table_is_markdown_printed_and_written(run):
    done, out = run
    written = (out / "gpu.md").read_text()
    assert done.stdout == written
    lines = [line for line in written.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(json.loads((out / "gpu.json").read_text())["rows"])
    assert {line.count("|") for line in lines} == {7}


def test_a_wrong_result_is_told_by_the_exit_code(gpu, monkeypatch, capsys):
    right, calls = gpu.bq.moebius, []

    def wrong_on_the_device(v):
        calls.append(v)
        return right(v) + (1e-3 if len(calls) % 2 else 0)  # the device is asked first

    monkeypatch.setattr(gpu, "measured", lambda bench: iter([gpu.transforms_agree(bench, "float64")]))
    assert gpu.main(["--small", "--device", "cpu"]) == 0
    monkeypatch.setattr(gpu.bq, "moebius", wrong_on_the_device)
    assert gpu.main(["--small", "--device", "cpu"]) == 1
    assert "**no**" in capsys.readouterr().out


def test_deviation_is_a_share_of_the_largest_entry(gpu):
    expected = torch.tensor([1.0, -4.0, math.nan])
    assert gpu.deviation(torch.tensor([1.5, -4.0, math.nan]), expected) == 0.125
    assert gpu.deviation(torch.tensor([1.5, -4.0, math.nan]), expected, 2.0) == 0.25
    assert gpu.deviation(torch.zeros(0), torch.zeros(0)) == 0


@pytest.mark.parametrize("found", [[1.0, math.nan], [1.0, math.inf], [1.0], [1.0, 2.0, 3.0]])
def test_what_does_not_compare_deviates_without_bound(gpu, found):
    assert gpu.deviation(torch.tensor(found), torch.tensor([1.0, 2.0])) == math.inf
    assert gpu.agreement("values", math.inf, 1.0).agrees is False


def test_fits_with_other_terms_do_not_agree(gpu):
    masks = gpu.bq.draw_masks(6, 48)
    first, other = (gpu.bq.fit(masks, v, 2) for v in gpu.planted_values(masks, 2))
    assert gpu.fit_deviation(first, first) == 0
    assert gpu.fit_deviation(first, other) == math.inf


def test_nothing_is_begun_once_time_is_up(gpu, bench):
    late = bench(seconds=-1.0)
    rows = [*gpu.transforms(late), *gpu.evaluation(late)]
    assert len(rows) == 12
    assert all(row.value is None and "time was up" in row.markdown() for row in rows)


def test_networks_have_the_published_numbers_of_parameters(gpu):
    models = gpu.Bench(torch.device("cpu"), gpu.FULL, 0.0).models()
    counts = {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}
    assert counts == {"ResNet-50": 25_557_032, "ViT-S/16": 22_050_664}


@NO_GPU
def test_without_cuda_one_line_says_so(gpu, capsys):
    assert gpu.main([]) == 2
    assert capsys.readouterr().out.count("\n") == 1


def test_help_of_the_script():
    done = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "--pack DIR" in done.stdout
