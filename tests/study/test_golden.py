"""Every figure that kept its definition is what the release before roles made of the same run (golden/README.md)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tiny_study import write_study

from bequeath.lattice.interactions import Interactions
from bequeath.study.config import load_study
from bequeath.study.prepared import Prepared
from bequeath.study.run import Run, Study
from bequeath.study.store.carry import STORE
from bequeath.study.store.store import DONE, Store
from bequeath.suite.pool import pool

HERE = Path(__file__).parent / "golden"
EXPECTED = json.loads((HERE / "expected.json").read_text())
ROLES = {"pretrained": "before", "finetuned": "after", "scratch": "control"}
SHARES = ("preserved", "discarded", "new", "relearned")


def stored_run(folder, seed, normalise="none"):
    """A run whose arrays are those of the other release; only the bounds are found here."""
    file = folder / "study.yaml"
    study = yaml.safe_load(file.read_text()) | {"normalise": normalise, "bounds": True}
    file.write_text(yaml.safe_dump(study, sort_keys=False))
    out = folder / f"out-{seed}-{normalise}"
    out.mkdir()
    prepared = Prepared(load_study(file))
    store = Store.create(out / STORE, prepared.axes(), prepared.identity)
    with np.load(HERE / "arrays.npz") as arrays:
        kept = {
            name: arrays[f"{name}_{seed}"] for name in ("table", "interactions", "certificate", "correct")
        }
    samples = range(store.shape[1])
    for c in range(store.shape[0]):
        store.write_tables(c, samples, torch.from_numpy(kept["table"][c]))
        values = torch.from_numpy(kept["interactions"][c])
        offset = torch.from_numpy(kept["table"][c, :, 0])
        interactions = Interactions(values[:, 0], values[:, 1], offset, tuple("abcd"))
        store.write_interactions(c, samples, interactions)
        store.write_certificates(c, samples, kept["certificate"][c])
        store.write_accuracy(c, torch.from_numpy(kept["correct"][c]))
        for stage in ("table", "interactions", "accuracy"):
            store.mark(stage, c, samples, DONE)
    (out / "run.json").write_text(json.dumps({"format": "bequeath.run/1"}))
    return Study.from_yaml(file).run(out)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    write_study(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delitem(sys.modules, "tiny_net_for_study", raising=False)
        patch.setattr(Run, "report", lambda run: None)
        return [stored_run(folder, seed) for seed in (0, 1)] + [stored_run(folder, 0, "l1")]


def near(got, expected, tol=1e-9):
    """An estimate, or a share, is the expected estimate."""
    if expected is None:
        assert got is None or got["mean"] is None
        return
    if "observed" in got:  # intervals of shares are made in another way now
        assert got["observed"] == pytest.approx(expected["mean"], abs=tol, rel=tol)
        return
    assert got["mean"] == pytest.approx(expected["mean"], abs=tol, rel=tol)
    for end in ("low", "high"):
        assert got[end] == pytest.approx(expected[end], abs=tol, rel=tol)
    assert got["n"] == expected["n"]
    assert got.get("seeds", 1) == expected.get("seeds", 1)


def region(name):
    return [ROLES[part] for part in (ROLES if name == "all" else name.split("+"))]


def check_common(got, expected, tol):
    """What findings of one run and pooled ones have alike."""
    knowledge, beside = expected["knowledge"], got["knowledge"]["by_reading"]
    for ours, theirs in (
        (got["knowledge"]["shares"], knowledge["shares"]),
        (beside["and"], knowledge["reference"]["shares"]),
        (beside["own scale"], knowledge["scaled"]["shares"]),
    ):
        for name in SHARES:
            near(ours[name], theirs[name], tol)
    for role, rows in expected["ledger"].items():
        for row, was in zip(got["ledger"][ROLES[role]], rows, strict=True):
            assert row["models"] == (None if was["part"] == "total" else region(was["part"]))
            for key in ("effect", "positive_without"):
                near(row[key], was[key], tol)
            if row["share"] is not None:  # not told where the whole is near 0
                near(row["share"], was["share"], tol)
    dynamics, was = got["dynamics"], expected["dynamics"]
    for run in ("finetuned", "scratch"):
        near(dynamics["courses"][run]["dropped"], was["dropped"][run], tol)
        for point, before in zip(dynamics["runs"][run], was[run], strict=True):
            assert point["step"] == before["step"]
            for key in ("similarity", "mean_order"):
                near(point[key], before[key], tol)
            for estimate, old in zip(point["strength_by_order"], before["strength_by_order"], strict=True):
                near(estimate, old, tol)
    lead = dynamics["lead"]
    near(lead["dropped"], was["dropped"]["difference"], tol)
    assert lead["dropped_p"] == pytest.approx(was["dropped"]["p"])


@pytest.mark.parametrize("seed", [0, 1])
def test_findings_of_a_run(runs, seed):
    got, expected = runs[seed].findings, EXPECTED["findings"][seed]
    check_common(got, expected, 1e-9)
    bounds = expected["knowledge"]["identifiability"]
    for name in ("least", "least_found", "greatest_found", "greatest"):
        # Made anew by an iteration that stops at a gap of 1e-4: not digit by digit on another processor.
        near(got["knowledge"]["identifiability"][name], bounds[name], 1e-3)
    for name in ("least", "greatest"):
        near(got["knowledge"]["identifiability"][f"new_{name}"], bounds["new"][name], 1e-3)
    for row, was in zip(got["knowledge"]["by_order"], expected["knowledge"]["by_order"], strict=True):
        assert (row["type"], row["order"]) == (was["type"], was["order"])
        for part in ("strength", "shares", "cancellation"):
            for name, estimate in was[part].items():
                near(row[part][ROLES.get(name, name)], estimate)
    for row, was in zip(got["regions"], expected["regions"], strict=True):
        assert row["models"] == region(was["region"])
        near(row["strength"], was["strength"])
        for estimate, old in zip(row["by_order"], was["by_order"], strict=True):
            near(estimate, old)
        for model, effect in was["effect"].items():
            near(row["effect"][ROLES[model]], effect)
    for name, model in expected["models"].items():
        near(got["models"][name]["accuracy"], model["accuracy"])
        assert got["models"][name]["role"] == ROLES[name]
    for name, points in ((run, expected["dynamics"][run]) for run in ("finetuned", "scratch")):
        for point, was in zip(got["dynamics"]["runs"][name], points, strict=True):
            assert point["name"] == was["name"]
            for key in ("accuracy", "strength"):
                near(point[key], was[key])
            for estimate, old in zip(point["by_order"], was["by_order"], strict=True):
                near(estimate, old)
    for key, value in expected["certificates"].items():
        assert got["certificates"][key] == pytest.approx(value, rel=1e-9)
    faith, was = got["faithfulness"], expected["faithfulness"]
    assert faith["sparsity_at"] == was["sparsity_at"]
    for name in ROLES:
        assert faith["sparsity"][name] == pytest.approx(was["sparsity"][name], rel=1e-9)
        assert faith["mean_salient"][name] == was["mean_salient"][name]
        near(faith["salient_error"][name], was["salient_error"][name])


def test_each_model_on_its_own_scale_by_default(runs):
    knowledge, was = runs[2].findings["knowledge"], EXPECTED["findings"][0]["knowledge"]
    for name in SHARES:
        near(knowledge["shares"][name], was["scaled"]["shares"][name])
        near(knowledge["by_reading"]["raw"][name], was["shares"][name])


def test_seeds_pooled(runs):
    # Pooled figures were made from findings.json, which kept 8 digits of each sample's.
    got, expected = pool(runs[:2]), EXPECTED["pooled"]
    check_common(got, expected, 1e-6)
    by_order = zip(
        got["knowledge"]["shares_by_order"]["preserved"],
        expected["knowledge"]["preserved_by_order"],
        strict=True,
    )
    for share, old in by_order:
        near(share, old, 1e-6)
    for name in ROLES:
        near(got["models"][name]["accuracy"], expected["models"][name]["accuracy"])
        near(got["knowledge"]["strength"][ROLES[name]], expected["knowledge"]["strength"][name], 1e-6)
    for row, was in zip(got["regions"], expected["regions"], strict=True):
        assert row["models"] == region(was["region"])
        near(row["effect"][row["models"][0]], was["effect"], 1e-6)
