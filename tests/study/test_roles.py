"""Studies of two and more models by the user's names, decompositions by name, and bounds as a stage."""

from __future__ import annotations

import json
import sys

import pytest
import yaml
from study_runs import findings_of, run

import bequeath as bq
from bequeath.study.config import load_study
from bequeath.study.engines.worker import Worker
from bequeath.study.run import Study
from bequeath.study.store.verify import verify

NET = "tiny_net_for_study:build"
LAST = {name: f"models/{name}-100.safetensors" for name in ("finetuned", "scratch")}


def rewrite(study_dir, **sections):
    """Other sections in the study file; None removes one."""
    file = study_dir / "study.yaml"
    study = yaml.safe_load(file.read_text()) | sections
    kept = {key: value for key, value in study.items() if value is not None}
    file.write_text(yaml.safe_dump(kept, sort_keys=False))
    return file


def weights(name):
    return {"architecture": NET, "weights": LAST[name]}


@pytest.fixture
def two(study_dir, without_report, monkeypatch):
    """Two models by names of their own."""
    # Each test has a module of this name in a folder of its own.
    monkeypatch.delitem(sys.modules, "mine_for_study", raising=False)
    models = yaml.safe_load((study_dir / "study.yaml").read_text())["models"]
    rewrite(
        study_dir,
        models={"colours 7": models["pretrained"], "v1.2-b": weights("finetuned")},
        roles={"before": "colours 7", "after": "v1.2-b"},
    )
    return study_dir


def test_eight_lines_are_a_study_of_two_models(two, without_report):
    (two / "short.yaml").write_text(
        "models:\n"
        f'  old: {{architecture: "{NET}", weights: models/pretrained.safetensors, probe: true}}\n'
        f'  new: {{architecture: "{NET}", weights: models/finetuned-100.safetensors}}\n'
        "roles: {before: old, after: new}\n"
        "data: {kind: image_folder, path: val, train: train, size: 24}\n"
        "players: {kind: grid, rows: 2, cols: 2}\n"
        "samples: 6\n"
    )
    findings = Study.from_yaml(two / "short.yaml").run(two / "short").findings
    assert findings["roles"] == {"before": "old", "after": "new", "control": None, "twins": {}}
    assert list(findings["claims"]) == ["F1"]
    assert set(findings["knowledge"]["shares"]) == {"preserved", "discarded", "new"}
    assert [row["models"] for row in findings["regions"]] == [["before"], ["after"], ["before", "after"]]
    assert set(findings["ledger"]) == {"before", "after"}
    assert findings["masks"]["number"] == 16  # there are no more
    assert {pair["first"] for pair in findings["knowledge"]["pairs"]} == {"old", "new"}
    assert findings["study"]["normalise"] == "l1"


def test_names_reach_the_page_and_the_claims(two, monkeypatch):
    monkeypatch.undo()
    monkeypatch.chdir(two)
    found = Study.from_yaml(two / "study.yaml").run("out")
    page = (two / "out/report.html").read_text()
    assert "v1.2-b" in page
    assert "colours 7" in page
    assert "scratch" not in page
    assert found.findings["claims"]["F1"]["text"].startswith(
        "What v1.2-b preserved of colours 7 is not measurable"
    )


def test_five_models_with_a_twin_and_one_without_a_role(study_dir, without_report):
    models = yaml.safe_load((study_dir / "study.yaml").read_text())["models"]
    models |= {"again": {"architecture": NET, "weights": "models/finetuned-10.safetensors"}}
    models |= {"elsewhere": {"architecture": NET, "weights": "models/scratch-1.safetensors"}}
    rewrite(study_dir, models=models, roles={"twins": {"after": "again"}})
    findings = run(study_dir)
    assert list(findings["models"]) == ["pretrained", "finetuned", "scratch", "again", "elsewhere"]
    roles = [model["role"] for model in findings["models"].values()]
    assert roles == ["before", "after", "control", "after twin", None]
    assert len(findings["knowledge"]["pairs"]) == 5 * 4
    assert len(findings["regions"]) == 7
    assert set(findings["dynamics"]["runs"]) == {"finetuned", "scratch"}
    assert list(findings["claims"]) == ["F1", "F2", "F3", "F4"]
    assert findings["knowledge"]["shares"]["preserved"]["second"] == "twin"  # exact readings have no halves


def test_the_order_of_models_in_the_file_changes_nothing(study_dir, without_report):
    models = yaml.safe_load((study_dir / "study.yaml").read_text())["models"]
    first = run(study_dir, "one")
    rewrite(study_dir, models=dict(reversed(models.items())))
    assert run(study_dir, "two") == first


def test_the_same_file_twice_is_told(two, caplog):
    rewrite(two, models={"colours 7": weights("scratch"), "v1.2-b": weights("scratch")})
    findings = run(two)
    assert any("colours 7 and v1.2-b are the same file" in text for text in findings["warnings"])
    assert "are the same file" in caplog.text
    assert findings["knowledge"]["shares"]["preserved"]["observed"] == 1


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"roles": {"before": "colours 7", "after": "nobody"}},
            r"roles\.after: no model 'nobody'; models are",
        ),
        ({"roles": {"before": "colours 7"}}, "roles: say which model is before and which is after"),
        ({"roles": None}, "roles: say which model is before and which is after"),
        (
            {"roles": {"before": "colours 7", "after": "v1.2-b", "control": "v1.2-b"}},
            r"roles\.control: 'v1\.2-b' is already after; give another model",
        ),
        (
            {"roles": {"before": "colours 7", "after": "v1.2-b", "twins": {"after": "colours 7"}}},
            r"roles\.after\.twin: 'colours 7' is already before",
        ),
        (
            {"roles": {"before": "colours 7", "after": "v1.2-b", "twins": {"first": []}}},
            "roles.twins: no model has the role 'first'",
        ),
        (
            {"models": {"v1.2-b": weights("scratch")}, "roles": {"before": "v1.2-b", "after": "x"}},
            "at least two",
        ),
        (
            {"models": {"a/b": weights("scratch"), "v1.2-b": weights("finetuned")}},
            "'a/b' is not allowed as a name",
        ),
        ({"decomposition": "sparsest"}, r"decomposition\.kind: Input should be 'sparse'"),
        ({"decomposition": {"kind": "and", "noise": 0.1}}, "noise: and is a closed form without settings"),
        ({"decomposition": {"kind": "and-or", "coupling": 2}}, "coupling: is for kind: joint only"),
        ({"bounds": True, "decomposition": "and"}, "bounds: are over all equally sparse AND-OR splits"),
        ({"bounds": True, "salient": 0.1}, "and no salient; leave bounds out"),
        ({"bounds": {"slack": 2}}, r"bounds\.slack: .*less than 1"),
    ],
)
def test_bad_roles_and_readings_are_one_line(two, sections, message):
    with pytest.raises(bq.BequeathError, match=message) as caught:
        load_study(rewrite(two, **sections))
    assert "\n" not in str(caught.value)


def test_a_model_of_other_outputs_is_named(two):
    models = yaml.safe_load((two / "study.yaml").read_text())["models"]
    models["twin"] = {"architecture": NET, "weights": "models/pretrained.safetensors"}
    rewrite(two, models=models)
    with pytest.raises(bq.BequeathError, match=r"pretrained\.safetensors: the saved model has 7 outputs"):
        run(two)


@pytest.mark.parametrize(
    ("decomposition", "exact"),
    [
        ("and", True),
        ("or", True),
        ("joint", True),
        ("paper", False),
        ({"kind": "and-or", "noise": 0.1}, False),
    ],
)
def test_decompositions_by_name(two, decomposition, exact):
    rewrite(two, decomposition=decomposition)
    findings = run(two)
    off = findings["faithfulness"]["max_reconstruction_error"]
    assert (off < 1e-9) == exact
    certified = decomposition not in ("and", "or")
    assert (findings["certificates"] is not None) == certified
    assert findings["study"]["salient"] == (0.05 if decomposition == "paper" else None)
    assert verify(two / "out").deviation < 1e-9


def test_joint_splits_are_those_of_the_library(two):
    rewrite(two, decomposition={"kind": "joint", "coupling": 2.0})
    evidence = Study.from_yaml(two / "study.yaml").run(two / "out").evidence()
    tables = {str(i): table for i, table in enumerate(evidence.tables)}
    expected = bq.decompose_jointly(tables, coupling=2.0)
    for i, found in enumerate(evidence.interactions):
        assert (found.values - expected[str(i)].values).abs().max() < 1e-9
    alone = bq.decompose(evidence.tables[0])
    assert (alone.values - evidence.interactions[0].values).abs().max() > 1e-3


def test_joint_splits_go_on_after_a_stop(two, monkeypatch):
    rewrite(two, decomposition="joint")
    expected = run(two, "whole")
    stopped = Worker._split_jointly

    def stop(self, task):
        raise KeyboardInterrupt

    monkeypatch.setattr(Worker, "_split_jointly", stop)
    with pytest.raises(KeyboardInterrupt):
        run(two)
    monkeypatch.setattr(Worker, "_split_jointly", stopped)
    assert run(two) == expected


def test_bounds_are_kept_and_go_on_where_they_were(two, monkeypatch):
    rewrite(two, bounds=True)
    expected = run(two, "whole")
    assert expected["knowledge"]["identifiability"]["slack"] == 1e-3
    bound, calls = Worker._bound, []

    def once(self, task):
        calls.append(task.samples)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return bound(self, task)

    monkeypatch.setattr(Worker, "_bound", once)
    with pytest.raises(KeyboardInterrupt):
        run(two)
    assert run(two) == expected
    assert calls == [(0, 1, 2, 3), (4, 5), (4, 5)]
    # Others are found anew; the tables and interactions stay.
    rewrite(two, bounds={"slack": 0.01})
    wider = run(two)["knowledge"]["identifiability"]
    assert len(calls) == 5
    assert wider["greatest"]["mean"] > expected["knowledge"]["identifiability"]["greatest"]["mean"]
    rewrite(two, bounds=None)
    assert run(two)["knowledge"]["identifiability"] is None


def test_bounds_by_two_workers_are_the_same(two):
    rewrite(two, bounds=True, engine={"kind": "local", "threads": 1})
    expected = run(two, "one")
    rewrite(two, engine={"kind": "local", "threads": 1, "workers": 2})
    assert run(two, "two") == expected


def test_a_finished_run_is_left_as_it_is_unless_something_changed(two, monkeypatch):
    monkeypatch.setattr(bq.Run, "report", lambda run: (run.folder / "report.html").write_text("page"))
    first = run(two)
    file = two / "out/findings.json"
    before = file.stat().st_mtime_ns
    assert run(two) == first
    assert file.stat().st_mtime_ns == before
    # A chunk that was taken away is made again, and the findings with it.
    (two / "out/tables.zarr/interactions/c/0/1/0/0").unlink()
    assert run(two) == first
    assert file.stat().st_mtime_ns > before
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": "bequeath.findings/1"}))
    assert run(two) == first
    rewrite(two, normalise="none")
    assert run(two)["study"]["normalise"] == "none"
    assert findings_of(two / "out")["study"]["normalise"] == "none"


OWN = """
import torch
import bequeath as bq


class Halves:
    def bind(self, x, baseline, model):
        owner = (torch.arange(x.shape[2]) * 2 // x.shape[2]).expand(1, *x.shape[1:])
        return bq.players.MaskedTensor(owner, ("left", "right"), x, baseline.for_image(x))


def halves():
    return Halves()


class Grey(bq.baselines.Baseline):
    name = "grey"

    def __init__(self, level):
        self.level = level

    def for_image(self, image):
        return torch.full_like(image, self.level)


def certainty(label):
    return lambda logits: logits.double().log_softmax(1)[:, label]


def nothing():
    return 3
"""


def test_own_players_baselines_and_values_by_name(two, monkeypatch):
    (two / "mine_for_study.py").write_text(OWN)
    rewrite(
        two,
        players={"kind": "mine_for_study:halves", "n_players": 2},
        baseline={"kind": "mine_for_study:Grey", "options": {"level": 0.5}},
        value="mine_for_study:certainty",
    )
    findings = run(two)
    study = findings["study"]
    assert (study["players"], study["n_players"]) == ("mine_for_study:halves", 2)
    assert (study["baseline"], study["value"]) == ("mine_for_study:Grey", "mine_for_study:certainty")
    assert all(v <= 0 for sample in findings["samples"] for v in sample["v_full"].values())
    # What stands in the module is part of what the numbers depend on.
    (two / "mine_for_study.py").write_text(OWN + "\nMORE = 1\n")
    with pytest.raises(bq.BequeathError, match=r"the study changed \(files\)"):
        run(two)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"players": {"kind": "gone_for_study:make", "n_players": 2}},
            "players.kind: 'gone_for_study:make': no module",
        ),
        (
            {"baseline": "mine_for_study:grey"},
            r"baseline.*: no function in mine_for_study 'grey'; did you mean Grey",
        ),
        ({"value": "mine_for_study:uncertainty"}, r"value.*: no function in mine_for_study 'uncertainty'"),
        (
            {"players": {"kind": "mine_for_study:nothing", "n_players": 2}},
            "it must return players: an object with bind",
        ),
        ({"baseline": "mine_for_study:nothing"}, r"it must return a bequeath\.baselines\.Baseline"),
    ],
)
def test_own_functions_that_are_not_there_are_named(two, sections, message):
    (two / "mine_for_study.py").write_text(OWN)
    with pytest.raises(bq.BequeathError, match=message) as caught:
        run(rewrite(two, **sections).parent)
    assert "\n" not in str(caught.value)
