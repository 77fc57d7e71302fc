"""Studies of sparse readings: some masks, listed terms, more of both where that pays."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import torch
from study_runs import bequeath, findings_of, run, start, wait_until

import bequeath as bq
from bequeath.games.runner import Runner
from bequeath.study.config import load_study
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import make_plan
from bequeath.study.run import Study
from bequeath.study.store.store import Store
from bequeath.study.store.verify import verify

pytestmark = pytest.mark.usefixtures("without_report")


@pytest.fixture
def sparse(study_dir, edit):
    """The small study with 3 x 3 cells, 80 of 512 masks, two models of one checkpoint and one of three."""
    edit("players", {"kind": "grid", "rows": 3, "cols": 3})
    edit("decomposition", {"kind": "sparse", "order": 2, "resamples": 0})
    edit("masks", 80)
    edit("samples", 3)
    edit("models.scratch.checkpoints", "models/scratch-100.safetensors")
    return study_dir


@pytest.fixture
def evaluated(monkeypatch):
    """How many masked inputs are asked for."""
    count = [0]
    add = Runner.add

    def counted(self, request, rows, masks):
        count[0] += len(rows)
        return add(self, request, rows, masks)

    monkeypatch.setattr(Runner, "add", counted)
    return count


def store_of(folder) -> Store:
    return Store.open(folder / "tables.zarr", "r")


def test_the_default_reading_of_a_study_is_sparse(edit):
    config = load_study(edit("decomposition", None))
    assert config.decomposition.sparse
    assert (config.sampling.number, config.sampling.design) == (512, "uniform")


def test_a_run_reads_what_explain_reads(sparse):
    findings = run(sparse)
    config = load_study(sparse / "study.yaml")
    parts = StudyParts.of(config)
    plan = make_plan(config, parts.inputs.data, parts.games.players())
    position = plan.finals["finetuned"]
    model = parts.models.load(plan.checkpoints[position], sparse / "out")
    games = [parts.games.game(model, index, plan.checkpoints[position]) for index in plan.samples]
    direct = bq.explain(games, 80, 2, seed=config.seed, resamples=0, batch_size=parts.inputs.how.batch_size)
    stored = store_of(sparse / "out").interactions(position)
    assert stored.listed is not None
    assert direct.listed is not None
    assert stored.listed.members == direct.listed.members
    assert stored.listed.kinds == direct.listed.kinds
    for name in ("value", "error", "constant", "residual", "r2", "spread"):
        torch.testing.assert_close(
            getattr(stored.listed, name), getattr(direct.listed, name), atol=1e-9, rtol=0, equal_nan=True
        )
    assert (stored.listed.order, stored.listed.masks) == (2, 80)
    r2 = findings["faithfulness"]["held_out"]["finetuned"]["r2"]["mean"]
    assert r2 == pytest.approx(float(direct.r2.mean()))
    assert findings["masks"] == {
        "number": 80, "of": "2^9", "design": "uniform", "shown": None, "looks": [], "stopped": None,
    }  # fmt: skip
    assert findings["study"]["orders"] == 2
    assert [row["order"] for row in findings["knowledge"]["by_order"] if row["type"] == "all"] == [0, 1, 2]


def test_every_model_and_sample_sees_the_same_masks(sparse):
    run(sparse)
    expected = bq.draw_masks(9, 80, seed=0).numpy()
    assert (store_of(sparse / "out").shown == expected).all()


def test_stored_readings_have_their_halves(sparse):
    evidence = Study.from_yaml(sparse / "study.yaml").run(sparse / "out").evidence()
    direct = bq.fit(evidence.shown, evidence.tables[-1], 2, resamples=0, seed=evidence.config.seed)
    for stored, expected in zip(evidence.interactions[-1].halves, direct.halves, strict=True):
        assert stored.listed.members == expected.listed.members
        torch.testing.assert_close(stored.listed.value, expected.listed.value, atol=1e-9, rtol=0)


def test_ledgers_add_up_to_the_output(sparse):
    findings = run(sparse)
    for rows in findings["ledger"].values():
        parts = {row["part"]: row for row in rows}
        assert rows[0]["part"] == "total"
        assert {"constant", "unexplained"} <= parts.keys()
        total = sum(row["effect"]["mean"] for row in rows[1:])
        assert total == pytest.approx(rows[0]["effect"]["mean"], abs=1e-9)
    assert findings["ledger_error"] is None


def test_a_second_start_computes_nothing(sparse, evaluated, monkeypatch):
    from bequeath.study.engines.worker import Worker

    first = run(sparse)
    (sparse / "out/findings.json").unlink()  # the arrays alone are left

    def refuse(self, task):
        raise AssertionError(f"done again: {task}")

    monkeypatch.setattr(Worker, "do", refuse)
    assert run(sparse) == first


def test_more_masks_are_added_to_what_is_there(sparse, edit, evaluated):
    run(sparse)
    evaluated[0] = 0
    before = set((sparse / "out").glob("hidden-*.json"))
    edit("masks", 144)
    grown = run(sparse)
    (hidden,) = set((sparse / "out").glob("hidden-*.json")) - before
    more = sum(2 * len(one["before"]) for one in json.loads(hidden.read_text()).values())
    assert (
        evaluated[0] == 15 * (144 - 80) + more
    )  # 5 checkpoints of 3 samples, and players of flipped ones hidden
    fresh = run(sparse, "fresh")
    assert _observed(grown) == pytest.approx(_observed(fresh), rel=1e-4)  # other batches round differently
    evaluated[0] = 0
    edit("masks", 80)
    fewer = run(sparse)
    assert evaluated[0] == 0
    assert fewer["masks"]["number"] == 80
    verify(sparse / "out")


def _observed(findings) -> list[float]:
    return [share["observed"] for share in findings["knowledge"]["shares"].values()]


def test_another_design_is_another_game(sparse, edit):
    run(sparse)
    edit("masks", {"number": 80, "design": "mostly"})
    with pytest.raises(
        bq.BequeathError, match=r"the study changed \(masks\); .* no longer valid: 15 value tables"
    ):
        run(sparse)


def test_all_masks_are_taken_where_there_are_no_more(sparse, edit):
    edit("masks", 5000)
    findings = run(sparse)
    assert findings["masks"]["number"] == 512
    assert store_of(sparse / "out").shown.shape == (512, 9)


def test_auto_grows_until_it_does_not_pay_and_says_why(sparse, edit):
    edit("masks", {"number": "auto", "most": 256})
    found = run(sparse)["masks"]
    assert [look["masks"] for look in found["looks"]] == [128, 256][: len(found["looks"])]
    assert found["looks"][-1]["masks"] == found["number"]
    assert found["stopped"] == "the limit of 256 masks is reached"
    # A run at that number from the beginning finds the same.
    edit("masks", found["number"])
    again = run(sparse, "fixed")
    edit("masks", {"number": "auto", "most": 256})
    assert _observed(run(sparse)) == pytest.approx(_observed(again), rel=1e-4)


def test_auto_is_the_same_after_kills(sparse, edit):
    edit("masks", {"number": "auto", "most": 256})
    expected, out = run(sparse, "calm"), sparse / "killed"
    assert len(expected["masks"]["looks"]) == 2
    # While the first tables are made, and when the second look has begun.
    for wanted, tables in ((128, 3), (256, 2)):
        process = start(sparse, "run", "study.yaml", "--out", "killed", seconds=0.1)
        wait_until(lambda w=wanted, t=tables: _at(out) >= (w, t))
        process.kill()
        process.communicate()
        assert not (out / "findings.json").exists()
    assert bequeath(sparse, "run", "study.yaml", "--out", "killed").returncode == 0
    assert findings_of(out) == expected


def _at(out) -> tuple[int, int]:
    """Masks that are wanted, and tables of so many that are done."""
    try:
        store = store_of(out)
        return store.wanted, sum(int((store.state("table", c) == 1).sum()) for c in range(store.shape[0]))
    except Exception:  # not there yet, or being made
        return 0, 0


def test_workers_find_the_same_bits(sparse, edit):
    edit("engine", {"kind": "local", "workers": 1, "threads": 1})
    alone = run(sparse, "one")
    edit("engine", {"kind": "local", "workers": 2, "threads": 1})
    assert run(sparse, "two") == alone


def test_a_reading_without_terms_is_a_reading(sparse):
    """A dead model: nothing changes its output, so there is no term, and nothing to redo."""
    from safetensors.torch import load_file, save_file

    file = sparse / "models/finetuned-100.safetensors"
    save_file({key: torch.zeros_like(value) for key, value in load_file(file).items()}, file)
    findings = run(sparse)
    store = store_of(sparse / "out")
    position = store.names("checkpoint").index("finetuned/step 100")
    found = store.interactions(position)
    assert found.listed is not None
    assert not found.listed.value.count_nonzero()
    assert found.r2.isnan().all()
    assert (store.state("interactions", position) == 1).all()
    assert findings["faithfulness"]["held_out"]["finetuned"]["r2"]["mean"] is None
    assert any("gives the same output" in warning for warning in findings["warnings"])
    assert findings["knowledge"]["shares"]["preserved"]["observed"] == 0.0


@pytest.mark.parametrize("name", ["interactions", "terms", "table"])
def test_a_file_that_was_taken_away_is_made_again(sparse, name):
    expected = run(sparse)
    (sparse / "out/findings.json").unlink()
    place = sparse / f"out/tables.zarr/{name}/c/2/1"
    shutil.rmtree(place)
    assert run(sparse) == expected
    assert place.exists()


def test_verify_notices_terms_that_do_not_add_up(sparse):
    run(sparse)
    found = verify(sparse / "out")
    assert (found.tables, found.interactions) == (15, 15)
    assert found.deviation < 1e-12
    store = Store.open(sparse / "out/tables.zarr")
    values = store.read("interactions", 0, 0)
    values[0, 0] += 1.0
    store.array("interactions")[0, 0] = values
    with pytest.raises(bq.BequeathError, match="do not add up"):
        verify(sparse / "out")


def test_many_players_can_be_studied(study_dir, edit):
    edit("players", {"kind": "grid", "rows": 6, "cols": 6})
    edit("decomposition", None)
    edit("masks", 150)
    edit("samples", 2)
    edit("models.finetuned.checkpoints", "models/finetuned-100.safetensors")
    edit("models.scratch.checkpoints", "models/scratch-100.safetensors")
    findings = run(study_dir)
    assert findings["study"]["n_players"] == 36
    assert findings["masks"]["of"] == "2^36"
    assert findings["study"]["orders"] == 3


def test_a_dry_run_knows_the_masks(sparse, edit):
    one = Study.from_yaml(sparse / "study.yaml").forecast(sparse / "out")
    assert (one.evaluations, one.masks, one.at_most) == (15 * 80, 80, False)
    run(sparse)
    edit("masks", 100)
    more = Study.from_yaml(sparse / "study.yaml").forecast(sparse / "out")
    assert (more.tables, more.tables_done, more.evaluations) == (15, 0, 15 * 20)
    edit("masks", {"number": "auto", "most": 300})
    grown = Study.from_yaml(sparse / "study.yaml").forecast(sparse / "out")
    assert (grown.evaluations, grown.at_most) == (15 * 220, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decomposition": "and-or"}, "masks: decomposition and-or is exact and takes all masks"),
        ({"masks": 10}, "masks: 10; 20 are needed to tell terms up to order 2 of 9 players apart"),
        ({"masks": 1}, "greater than or equal to 2"),
        ({"masks": "many"}, "masks"),
        ({"masks": {"number": 100, "most": 500}}, "most: is for number: auto only"),
        ({"masks": {"number": 100, "design": "size", "shown": 0.5}}, "shown: does not fit design: size"),
        ({"masks": {"number": 100, "shown": 1.5}}, "shown"),
        ({"decomposition": {"kind": "sparse", "order": 10}}, "order: 10 for 9 players"),
        ({"decomposition": {"kind": "sparse", "tol": 0.1}}, "tol: is for exact readings"),
        ({"decomposition": {"kind": "sparse", "resamples": 3}}, "multiple of 2"),
        ({"decomposition": {"kind": "and-or", "order": 2}, "masks": None}, "order: is for kind: sparse only"),
        ({"players": {"kind": "grid", "rows": 17, "cols": 17}}, "sparse readings take at most 256"),
        ({"bounds": True}, "bounds: are over all equally sparse AND-OR splits"),
    ],
)
def test_what_cannot_be_is_said_at_once(sparse, edit, changes, message):
    for key, value in changes.items():
        edit(key, value)
    with pytest.raises(bq.BequeathError, match=re.escape(message)):
        load_study(sparse / "study.yaml")


def test_the_papers_reading_is_one_word(study_dir, edit):
    config = load_study(edit("decomposition", "paper"))
    assert (config.decomposition.kind, config.salience) == ("paper", 0.05)
    findings = run(study_dir)
    assert findings["masks"] is None
    assert findings["study"]["salient"] == 0.05


def test_plain_xarray_reads_the_terms(sparse):
    import xarray as xr

    run(sparse)
    group = xr.open_zarr(sparse / "out/tables.zarr", consolidated=False)
    about = group["certificate"][0, 0]
    terms = int(about.sel(field="terms"))
    values = group["interactions"][0, 0].sel(number="value").values
    assert np.isfinite(values[:terms]).all()
    assert np.isnan(values[terms:]).all()
    reading = about.sel(field=["constant", "residual"]).sum()
    table = group["table"][0, 0].values
    assert float(reading) + values[:terms].sum() == pytest.approx(table[1] - table[0])
