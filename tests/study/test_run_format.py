"""A run is read without bequeath, by the lines that docs/run-format.md shows."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from study_runs import findings_of

from bequeath.study.run import Study

DOC = Path(__file__).parents[2] / "docs/run-format.md"


def shown():
    code, _ = re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)
    return code


def test_lines_of_xarray_find_the_same_preserved_share(study_dir):
    Study.from_yaml(study_dir / "study.yaml").run(study_dir / "runs/mine")
    code = shown()
    assert len([line for line in code.splitlines() if line.strip() and not line.startswith("import")]) <= 11
    script = (
        f"{code}\nimport sys, json\n"
        "assert not any(name.split('.')[0] in ('bequeath', 'torch') for name in sys.modules)\n"
        "print(json.dumps([float(preserved), strength.values.tolist()]))"
    )
    got = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=study_dir,
        capture_output=True,
        text=True,
    )
    assert got.returncode == 0, got.stderr
    preserved, strength = json.loads(got.stdout.splitlines()[-1])
    knowledge = findings_of(study_dir / "runs/mine")["knowledge"]
    assert preserved == pytest.approx(knowledge["shares"]["preserved"]["observed"], rel=1e-9)
    for order in range(1, 5):
        (row,) = [r for r in knowledge["by_order"] if r["order"] == order and r["type"] == "all"]
        assert strength[order] == pytest.approx(row["strength"]["after"]["mean"], rel=1e-9)


def test_the_lines_of_the_page_read_sparse_readings(study_dir, edit):
    edit("players", {"kind": "grid", "rows": 3, "cols": 3})
    edit("decomposition", {"kind": "sparse", "order": 2})
    edit("masks", 100)
    run = Study.from_yaml(study_dir / "study.yaml").run(study_dir / "runs/mine")
    (code,) = re.findall(r"```python\n(.*?)```", DOC.read_text().split("and of sparse ones")[1], re.DOTALL)
    got = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=study_dir, capture_output=True, text=True
    )
    assert got.returncode == 0, got.stderr
    *terms, r2 = got.stdout.splitlines()
    found = run.evidence().interactions[-1][0]
    assert len(terms) == len(found.terms())
    assert float(r2.removeprefix("held-out R2:")) == pytest.approx(float(found.r2))


@pytest.mark.parametrize("kind", ["and-or", "sparse"])
def test_every_array_and_file_is_described(study_dir, edit, kind):
    import zarr

    edit("decomposition", kind)
    out = study_dir / "out"
    Study.from_yaml(study_dir / "study.yaml").run(out)
    text = DOC.read_text()
    names = {re.sub(r"-(\w+-)?[0-9a-f]{12}\..*", "-", p.name) for p in out.iterdir()}
    names |= {name for name, _ in zarr.open_group(out / "tables.zarr", mode="r").arrays()}
    for name in names:
        assert f"`{name}" in text, name
