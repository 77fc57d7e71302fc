"""A study that changes between two starts: what holds is kept, what does not is named, nothing is mixed."""

import re

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file
from study_runs import run

import bequeath as bq

pytestmark = pytest.mark.usefixtures("without_report")


@pytest.fixture
def counted(monkeypatch):
    """How many tables and sets of interactions are computed."""
    from bequeath.study.engines.worker import Worker

    counts = {"table": 0, "interactions": 0, "accuracy": 0}
    do = Worker.do

    def count(self, task):
        counts[task.stage] += len(task.samples) or 1
        return do(self, task)

    monkeypatch.setattr(Worker, "do", count)
    return counts


def scale(path, factor):
    save_file({k: v * factor for k, v in load_file(path).items()}, path)


def test_a_change_that_makes_work_invalid_is_refused_and_nothing_is_touched(study_dir, edit):
    before = run(study_dir)
    files = {p: p.read_bytes() for p in (study_dir / "out").rglob("*") if p.is_file()}
    edit("baseline", "zero")
    expected = (
        r"the study changed \(baseline\); still valid: 7 accuracies; "
        r"no longer valid: 42 value tables, 42 interactions; give --update"
    )
    with pytest.raises(bq.BequeathError, match=expected):
        run(study_dir)
    after = {p: p.read_bytes() for p in (study_dir / "out").rglob("*") if p.is_file()}
    for name in ("run.log", "status.json"):
        files.pop(study_dir / "out" / name), after.pop(study_dir / "out" / name)
    assert after == files
    edit("baseline", "mean")
    assert run(study_dir) == before


@pytest.mark.parametrize(
    ("path", "value", "kept", "anew"),
    [
        ("baseline", "zero", (0, 0), (42, 42)),
        ("decomposition", {"kind": "and"}, (42, 0), (0, 42)),
        ("store", {"dtype": "float32"}, (0, 0), (42, 42)),
        ("normalise", "none", (42, 42), (0, 0)),
        ("engine", {"kind": "local", "threads": 1}, (42, 42), (0, 0)),
    ],
)
def test_updated_runs_equal_fresh_ones(study_dir, edit, counted, path, value, kept, anew):
    run(study_dir)
    edit(path, value)
    counted.update(dict.fromkeys(counted, 0))
    updated = run(study_dir, update=True)
    assert (counted["table"], counted["interactions"]) == anew
    assert kept == (42 - anew[0], 42 - anew[1])
    assert counted["accuracy"] == 0
    if path != "engine":  # other numbers of threads round differently
        assert updated == run(study_dir, "fresh")


def test_one_changed_checkpoint_costs_its_own_tables(study_dir, counted):
    run(study_dir)
    scale(study_dir / "models/scratch-10.safetensors", 2)
    change = (
        r"checkpoints: 1 changed\); still valid: 36 value tables, 6 accuracies, 36 interactions; no longer .* 6 value "
        "tables"
    )
    with pytest.raises(bq.BequeathError, match=change):
        run(study_dir)
    counted.update(dict.fromkeys(counted, 0))
    updated = run(study_dir, update=True)
    assert counted == {"table": 6, "interactions": 6, "accuracy": 1}
    assert updated == run(study_dir, "fresh")


def test_more_samples_and_checkpoints_need_no_permission(study_dir, edit, counted, caplog):
    state = load_file(study_dir / "models/scratch-100.safetensors")
    run(study_dir)
    edit("samples", 9)
    save_file({k: v + 0.1 for k, v in state.items()}, study_dir / "models/scratch-200.safetensors")
    counted.update(dict.fromkeys(counted, 0))
    updated = run(study_dir)
    assert counted["table"] == 8 * 9 - 7 * 6
    assert counted["accuracy"] == 1
    assert re.search(r"the study changed \(checkpoints: 1 new; samples: \d+ new", caplog.text)
    fresh = run(study_dir, "fresh")
    for findings in (updated, fresh):
        assert findings["certificates"]["n"] == 8 * 9
    shares = [findings["knowledge"]["shares"]["preserved"]["observed"] for findings in (updated, fresh)]
    assert shares[0] == pytest.approx(shares[1], abs=1e-6)  # decomposed in other company


def test_other_pictures_under_the_same_names_are_noticed(study_dir):
    run(study_dir)
    for path in (study_dir / "val/red").glob("*.png"):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    with pytest.raises(
        bq.BequeathError,
        match=r"samples: 2 changed\); .*no longer valid: 14 value tables, 7 accuracies, 14 interactions",
    ):
        run(study_dir)


def test_a_probe_of_another_backbone_is_fitted_anew(study_dir):
    run(study_dir)
    scale(study_dir / "models/pretrained.safetensors", 0.5)
    updated = run(study_dir, update=True)
    assert len(list((study_dir / "out").glob("probe-*.npz"))) == 2
    assert updated == run(study_dir, "fresh")


def test_stale_findings_do_not_outlive_their_study(study_dir, edit, monkeypatch):
    run(study_dir)
    edit("baseline", "zero")
    monkeypatch.setattr("bequeath.study.engines.worker.Worker.do", lambda self, task: 1 / 0)
    with pytest.raises(bq.BequeathError, match="failed on too many samples"):
        run(study_dir, update=True)
    assert not (study_dir / "out/findings.json").exists()
    assert yaml.safe_load((study_dir / "out/study.yaml").read_text())["baseline"] == "zero"


def test_a_replacement_that_is_cut_off_leaves_the_old_arrays(study_dir, edit, monkeypatch):
    before = run(study_dir)
    edit("decomposition", {"kind": "and"})
    from pathlib import Path

    rename = Path.rename

    def cut(self, target):
        if self.name == "tables.zarr.new":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", cut)
    with pytest.raises(KeyboardInterrupt):
        run(study_dir, update=True)
    monkeypatch.setattr(Path, "rename", rename)
    assert not (study_dir / "out/tables.zarr").exists()
    edit("decomposition", "and-or")
    assert run(study_dir) == before
    assert sorted(p.name for p in (study_dir / "out").glob("tables.zarr*")) == ["tables.zarr"]
