"""What a study tells of its shares: floor, ceilings, other readings, and what is not measurable."""

from __future__ import annotations

import pytest
from study_runs import run

import bequeath as bq
from bequeath.study.run import Study
from bequeath.study.store.store import Store

pytestmark = pytest.mark.usefixtures("without_report")


@pytest.fixture
def calibrated(study_dir, edit):
    """All 512 masks of 3 x 3 cells read sparsely, retested on all samples but one."""
    edit("players", {"kind": "grid", "rows": 3, "cols": 3})
    edit("decomposition", {"kind": "sparse", "order": 2, "resamples": 0})
    edit("masks", 512)
    edit("samples", 9)
    edit("retest", {"shift": 1, "samples": 8})
    edit("models.scratch.checkpoints", "models/scratch-100.safetensors")
    return study_dir


def test_what_a_study_tells_of_its_shares(calibrated):
    findings = run(calibrated)
    knowledge = findings["knowledge"]
    evidence = Study.from_yaml(calibrated / "study.yaml").finished(calibrated / "out").evidence()
    readings = {
        role: bq.fit(evidence.shown, evidence.tables[evidence.final(name)], 2, resamples=0)
        for role, name in evidence.compared.items()
    }
    expected = bq.compare(**readings, labels=evidence.labels)
    for name in expected.measures:
        got, own = knowledge["shares"][name], expected.share(name)
        assert got["second"] == knowledge["second"] == "split"
        for key in ("observed", "floor", "ceiling", "p", "floor_within_classes", "p_within_classes"):
            assert got[key] == pytest.approx(getattr(own, key))
    assert knowledge["by_second"]["retest"]["preserved"]["n"] == 8
    assert knowledge["by_second"]["retest"]["preserved"]["second"] == "retest"
    # All masks were evaluated, so the papers' reading stands beside.
    assert set(knowledge["by_reading"]) == {"raw", "exact", "paper"}
    assert knowledge["by_reading"]["paper"]["preserved"]["ceiling"] is None
    assert [len(shares) for shares in knowledge["shares_by_order"].values()] == [2, 2]
    assert findings["study"]["preprocessing"] is not None
    names_one_class(findings, calibrated)


def names_one_class(findings, calibrated):
    """A model that is not better than always naming one class has nothing to be read: the tiny one learned nothing."""
    store = Store.open(calibrated / "out/tables.zarr", "r")
    assert store.majority == pytest.approx(1 / 3)
    reasons = findings["knowledge"]["not_measurable"]
    assert "finetuned is not better than always naming the largest class" in reasons["finetuned"]
    assert findings["knowledge"]["shares"]["preserved"]["reason"].startswith("finetuned is not better")
    assert findings["knowledge"]["shares"]["preserved"]["above_chance"] is None
    assert {claim["verdict"] for claim in findings["claims"].values()} == {"not measurable"}
    assert findings["summary"]["findings"] == []
    assert len(findings["summary"]["not_measurable"]) == 4
    (pair,) = [
        one
        for one in findings["knowledge"]["pairs"]
        if (one["first"], one["second_model"]) == ("pretrained", "finetuned")
    ]
    assert "finetuned is not better" in pair["reason"]
