"""Retests: models with a role are read again on an equivalent game, as tasks like all others."""

import re

import numpy as np
import pytest
import torch
import zarr
from safetensors.torch import load_file, save_file
from study_runs import run

import bequeath as bq
from bequeath.study.config import load_study
from bequeath.study.engines.tasks import is_whole, missing
from bequeath.study.engines.worker import Worker
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import Checkpoint, make_plan
from bequeath.study.run import Study
from bequeath.study.store.store import DONE, Store
from bequeath.study.store.verify import verify

pytestmark = pytest.mark.usefixtures("without_report")

RETEST = {"shift": 2, "baseline": "blur", "samples": 4}


@pytest.fixture
def small(study_dir, edit):
    """The small study with closed-form readings and one checkpoint of each model."""
    edit("decomposition", "and")
    for name in ("finetuned", "scratch"):
        edit(f"models.{name}.checkpoints", f"models/{name}-100.safetensors")
    return study_dir


@pytest.fixture
def done(monkeypatch):
    """The tasks that are done: stage, checkpoint, samples."""
    tasks = []
    do = Worker.do

    def told(self, task):
        tasks.extend((task.stage, task.checkpoint, sample) for sample in task.samples or (None,))
        return do(self, task)

    monkeypatch.setattr(Worker, "do", told)
    return tasks


def store_of(folder):
    return Store.open(folder / "out/tables.zarr", "r")


def evidence_of(folder):
    return bq.Study.from_yaml(folder / "study.yaml").run(folder / "out").evidence()


def test_labels_tell_retests_apart_whatever_the_names():
    for model, name in (("a b", "step 1 (retest)"), ("a", "x/y (retest)/z"), ("retest", "1")):
        for retest in (False, True):
            one = Checkpoint(model, name, 3, None, retest)
            assert Checkpoint.from_label(one.label, 3) == one
    assert Checkpoint("a b", "final", None, None, True).label == "a b (retest)/final"


def test_rows_of_a_run(small, edit):
    edit("retest", RETEST)
    findings = run(small)
    store = store_of(small)
    assert store.names("checkpoint")[3:] == [
        "pretrained (retest)/final", "finetuned (retest)/step 100", "scratch (retest)/step 100",
    ]  # fmt: skip
    assert is_whole(store, bounds=False)
    for row in range(3, 6):
        asked = store.asked("table", row)
        assert asked.sum() == 4
        for stage in ("table", "interactions"):
            assert ((store.state(stage, row) == DONE) == asked).all()
            assert missing(store, stage, row) == []
        assert store.state("accuracy", row) == [0]
    labels = [
        label for label, asked in zip(store.names("label"), store.asked("table", 3), strict=True) if asked
    ]
    assert set(labels) == {"blue", "green", "red"}  # not the first of the first class
    group = zarr.open_group(small / "out/tables.zarr", mode="r")
    assert list(group["model"][:]) == [name.split("/")[0] for name in store.names("checkpoint")]
    assert "equivalent game" in group.attrs["about"]
    found = verify(small / "out")
    assert (found.tables, found.interactions) == (18 + 12, 18 + 12)
    assert findings["study"]["retest"] == {"shift": 2, "baseline": "blur (sigma 10 pixels)", "n_samples": 4}
    assert [len(model["checkpoints"]) for model in findings["models"].values()] == [1, 1, 1]
    assert findings["missing"] is None
    assert findings["provenance"]["evaluations"] == (18 + 12) * 16


@pytest.mark.parametrize("retest", [{"shift": 2}, {"baseline": "zero"}, RETEST])
def test_tables_are_those_of_games_made_by_hand(small, edit, retest):
    edit("retest", retest)
    config = load_study(small / "study.yaml")
    run(small)
    parts = StudyParts.of(config)
    plan = make_plan(config, parts.inputs.data, parts.games.players())
    store = store_of(small)
    baselines = {"blur": bq.baselines.blur(), "zero": bq.baselines.zero(), None: bq.baselines.mean()}
    for name, row in plan.retests.items():
        model = parts.models.load(plan.checkpoints[plan.finals[name]], small / "out")
        for place in np.flatnonzero(store.asked("table", row)).tolist():
            sample = parts.inputs.data[plan.samples[place]]
            game = bq.Game(
                model,
                sample.x,
                bq.players.grid(2, 2, shift=retest.get("shift", 0)),
                baselines[retest.get("baseline")],
                bq.values.log_odds(sample.label),
            )
            torch.testing.assert_close(store.tables(row, [place])[0], game.table(), atol=1e-5, rtol=0)
            own = store.tables(plan.finals[name], [place])[0]
            assert (own - game.table()).abs().max() > 1e-4


@pytest.mark.parametrize("reading", ["exact", "sparse"])
def test_evidence_has_retests_on_the_axis_of_the_samples(small, edit, reading):
    if reading == "sparse":
        edit("players", {"kind": "grid", "rows": 3, "cols": 3})
        edit("decomposition", {"kind": "sparse", "order": 2, "resamples": 2})
        edit("masks", 80)
    edit("retest", {"shift": 1, "samples": 3})
    evidence, store = evidence_of(small), store_of(small)
    asked = torch.from_numpy(store.asked("table", 3))
    assert list(evidence.retests) == ["pretrained", "finetuned", "scratch"]
    assert [evidence.final(name) for name in evidence.models] == [0, 1, 2]
    for row, found in enumerate(evidence.retests.values(), 3):
        assert found.offset.shape == evidence.interactions[0].offset.shape
        assert (found.offset.isfinite() == asked).all()
        numbers = found.values if reading == "exact" else found.listed.value
        assert numbers[~asked].isnan().all()
        there = asked.nonzero()[:, 0].tolist()
        stored = store.interactions(row, there)
        expected = stored.values if reading == "exact" else stored.listed.value
        assert torch.equal(numbers[asked], expected)


def test_without_the_section_nothing_is_added(small, edit):
    run(small)
    store = store_of(small)
    assert "retest" not in store.identity
    assert "equivalent" not in zarr.open_group(small / "out/tables.zarr", mode="r").attrs["about"]
    assert evidence_of(small).retests == {}


def test_a_retest_that_is_added_keeps_what_is_finished(small, edit, done):
    before = run(small)
    own = store_of(small).identity
    done.clear()
    edit("retest", RETEST)
    after = run(small)  # nothing is lost: without update
    assert {checkpoint for _, checkpoint, _ in done} == {3, 4, 5}
    assert [stage for stage, *_ in done].count("table") == 12
    assert "accuracy" not in {stage for stage, *_ in done}
    identity = store_of(small).identity
    assert {key: identity[key] for key in own if key != "checkpoints"} == {
        key: own[key] for key in own if key != "checkpoints"
    }
    assert own["checkpoints"].items() <= identity["checkpoints"].items()
    for key in ("models", "certificates", "regions"):
        assert after[key] == before[key]
    # An exact reading has no halves: its shares are told by the retest now.
    assert (before["knowledge"]["second"], after["knowledge"]["second"]) == ("once", "retest")
    assert after["knowledge"]["shares"]["preserved"]["n"] == 4
    done.clear()
    assert run(small) == after
    assert not done


def test_a_retest_that_changes_costs_itself_alone(small, edit, done):
    edit("retest", RETEST)
    run(small)
    asked = {*np.flatnonzero(store_of(small).asked("table", 3)).tolist()}
    done.clear()
    edit("retest.samples", 5)
    run(small)
    now = {*np.flatnonzero(store_of(small).asked("table", 3)).tolist()}
    assert asked < now
    assert {(c, s) for stage, c, s in done if stage == "table"} == {(c, *(now - asked)) for c in (3, 4, 5)}
    edit("retest.samples", 2)
    with pytest.raises(
        bq.BequeathError, match=r"retest samples: 2 instead of 5\); .* 9 value tables, 9 inter"
    ):
        run(small)
    done.clear()
    edit("retest", {"shift": 3, "samples": 5})
    with pytest.raises(
        bq.BequeathError, match=r"checkpoints: 3 changed\); .* no longer valid: 15 value tables"
    ):
        run(small)
    updated = run(small, update=True)
    assert {c for stage, c, _ in done if stage in ("table", "accuracy")} == {3, 4, 5}
    assert updated == run(small, "fresh")


def test_more_samples_of_the_study_leave_the_retested_ones(small, edit, done):
    edit("retest", RETEST)
    run(small)
    done.clear()
    edit("samples", 9)
    run(small)
    assert not [1 for stage, checkpoint, _ in done if stage == "table" and checkpoint >= 3]


def test_a_run_that_is_cut_off_in_a_retest_goes_on_there(small, edit, done, monkeypatch):
    edit("retest", RETEST)
    expected = run(small, "calm")
    told = Worker.do

    def cut(self, task):
        if task.stage == "table" and task.checkpoint == 4 and len(before) == 2:
            raise KeyboardInterrupt
        before.extend([task] if (task.stage, task.checkpoint) == ("table", 4) else [])
        return told(self, task)

    before = []
    monkeypatch.setattr(Worker, "do", cut)
    with pytest.raises(KeyboardInterrupt):
        run(small)
    monkeypatch.setattr(Worker, "do", told)
    done.clear()
    assert run(small) == expected
    assert [c for stage, c, _ in done if stage == "table"] == [4, 4, 5, 5, 5, 5]


def test_two_workers_find_the_same(small, edit):
    edit("retest", RETEST)
    edit("engine", {"kind": "local", "threads": 1})
    expected = run(small)
    edit("engine", {"kind": "local", "threads": 1, "workers": 2})
    assert run(small, "two") == expected
    arrays = [zarr.open_group(small / f / "tables.zarr", mode="r")["table"][:] for f in ("out", "two")]
    assert np.array_equal(*arrays, equal_nan=True)


def test_a_retest_that_fails_takes_nothing_else_with_it(small, edit, monkeypatch):
    expected = run(small, "without")
    edit("retest", RETEST)
    place = {}
    do = Worker.do

    def fail(self, task):
        if task.stage == "table" and task.checkpoint == 5:
            place.setdefault("first", task.samples)
            if task.samples == place["first"]:
                raise ValueError("not this one")
        return do(self, task)

    monkeypatch.setattr(Worker, "do", fail)
    study = Study.from_yaml(small / "study.yaml").run(small / "out")
    found = study.findings
    assert found["missing"]["retests"] == {"scratch": 1}
    assert (found["missing"]["checkpoints"], found["missing"]["samples"]) == ([], [])
    told = "The retest of scratch failed on 1 of its samples. The first error: ValueError: not this one"
    assert found["warnings"][0] == told
    assert found["knowledge"]["by_order"] == expected["knowledge"]["by_order"]
    shares = found["knowledge"]["shares"]
    assert (shares["preserved"]["n"], shares["relearned"]["n"]) == (
        4,
        3,
    )  # samples retested in the models concerned
    retests = study.evidence().retests
    assert [int(one.offset.isfinite().sum()) for one in retests.values()] == [4, 4, 3]
    assert found["study"]["retest"]["n_samples"] == 4
    # Once the trouble is over, a second start mends it.
    monkeypatch.setattr(Worker, "do", do)
    assert run(small)["missing"] is None


def test_masks_that_grow_grow_in_retests_too(small, edit):
    edit("players", {"kind": "grid", "rows": 3, "cols": 3})
    edit("decomposition", {"kind": "sparse", "order": 2, "resamples": 0})
    edit("masks", {"number": "auto", "most": 256})
    edit("samples", 3)
    edit("retest", {"shift": 1, "samples": 2})
    run(small)
    store = store_of(small)
    assert is_whole(store, bounds=False)
    for row in range(3, 6):
        for place in np.flatnonzero(store.asked("table", row)).tolist():
            assert len(store.evaluated(row, place)) == store.wanted
    assert verify(small / "out").tables == 9 + 6


def test_the_forecast_counts_retests(small, edit):
    run(small)
    edit("retest", RETEST)
    left = Study.from_yaml(small / "study.yaml").forecast(small / "out")
    assert (left.tables, left.tables_done, left.evaluations) == (12, 18, 12 * 16)
    fresh = Study.from_yaml(small / "study.yaml").forecast(small / "other")
    assert (fresh.tables, fresh.tables_done, fresh.evaluations) == (30, 0, 30 * 16)
    run(small)
    left = Study.from_yaml(small / "study.yaml").forecast(small / "out")
    assert (left.tables, left.tables_done, left.bytes) == (0, 30, 0)


def test_twins_are_retested_and_models_without_a_role_are_not(small, edit):
    for name in ("twin", "other"):
        path = small / f"models/{name}-1.safetensors"
        save_file({k: v * 1.1 for k, v in load_file(small / "models/finetuned-10.safetensors").items()}, path)
        model = {"architecture": "tiny_net_for_study:build", "weights": str(path)}
        edit(f"models.{name}", model)
    edit("roles", {"twins": {"after": "twin"}})
    edit("retest", {"baseline": "zero", "samples": 2})
    run(small)
    retested = [name for name in store_of(small).names("checkpoint") if "(retest)" in name]
    assert [name.split(" (")[0] for name in retested] == ["pretrained", "finetuned", "scratch", "twin"]


def test_cells_that_were_chosen_are_moved(small, edit):
    edit("players", {"kind": "grid", "rows": 3, "cols": 3, "cells": "influential", "k": 4})
    edit("retest", {"shift": 2, "samples": 2})
    run(small)
    assert is_whole(store_of(small), bounds=False)


def test_a_baseline_of_ones_own_is_a_retest_and_its_source_is_watched(small, edit, done):
    source = "import bequeath as bq\n\n\ndef grey(level):\n    return bq.baselines.given(level)\n"
    (small / "own_grey.py").write_text(source)
    edit("retest", {"baseline": {"kind": "own_grey:grey", "options": {"level": 0.5}}, "samples": 2})
    assert run(small)["study"]["retest"] == {"shift": None, "baseline": "own_grey:grey", "n_samples": 2}
    (small / "own_grey.py").write_text(source + "# changed\n")
    with pytest.raises(
        bq.BequeathError, match=r"checkpoints: 3 changed\); .* 6 value tables, 6 interactions; give"
    ):
        run(small)


def test_a_shift_too_large_for_the_pictures_is_refused_before_the_work(small, edit, done):
    edit("data.size", None)
    edit("retest", {"shift": 60})
    with pytest.raises(
        bq.BequeathError, match=r"shift 60 on 2 x 2 cells of \d+ x \d+ pixels; give less than half"
    ):
        run(small)
    with pytest.raises(bq.BequeathError, match="shift 60"):
        Study.from_yaml(small / "study.yaml").forecast(small / "other")
    assert not done


@pytest.mark.parametrize(
    ("change", "value", "message"),
    [
        ({}, {}, "retest: give shift, another baseline, or both"),
        ({}, {"samples": 3}, "retest: give shift, another baseline, or both"),
        ({}, {"shift": 0}, r"retest\.shift: .*greater than or equal to 1"),
        (
            {},
            {"shift": 6},
            r"retest\.shift: 6 pixels on 2 x 2 cells of 24 x 24 pixels; give less than half a cell",
        ),
        (
            {},
            {"baseline": "mean"},
            r"retest\.baseline: mean is the study's own; give another one, or a shift",
        ),
        ({"baseline": "blur"}, {"baseline": {"kind": "blur", "sigma": 10}}, r"blur is the study's own"),
        ({}, {"baseline": "pad"}, r"retest\.baseline: pad does not fit players of kind grid; use mean, zero"),
        ({}, {"baseline": {"kind": "given", "path": "no.npy"}}, r"retest\.baseline\.path: no such file"),
        ({}, {"shift": 2, "samples": 7}, r"retest\.samples: 7, but the study has 6; give at most 6"),
        ({}, {"shift": 2, "pixels": 7}, r"study\.yaml:\d+: retest\.pixels: unknown key"),
        ({"decomposition": "joint"}, {"shift": 2}, r"retest: does not fit decomposition: joint"),
        (
            {"players": {"kind": "superpixels", "n": 4}},
            {"shift": 2},
            r"retest\.shift: moves the cells of image grids .* of kind superpixels; give retest\.baseline",
        ),
    ],
)
def test_what_is_no_equivalent_game_is_refused(study_dir, edit, change, value, message):
    for path, instead in change.items():
        edit(path, instead)
    file = edit("retest", value)
    with pytest.raises(bq.BequeathError, match=message) as caught:
        load_study(file)
    assert "\n" not in str(caught.value)
    assert not re.search("pydantic", str(caught.value))


def test_a_shift_of_less_than_half_a_cell_and_the_studys_baseline_with_a_shift_are_taken(edit):
    assert load_study(edit("retest", {"shift": 5, "baseline": "mean"})).retest.shift == 5
