"""Flipped samples: read first where a study looks at them, and their players hidden in the models themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from study_runs import run

from bequeath import BequeathError
from bequeath.knowledge.hiding import hiding_masks
from bequeath.study.config import load_study
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import make_plan
from bequeath.study.prepared import Prepared
from bequeath.study.run import Study

pytestmark = pytest.mark.usefixtures("without_report")


@pytest.fixture
def focused(study_dir, edit):
    edit("players", {"kind": "grid", "rows": 3, "cols": 3})
    edit("decomposition", {"kind": "sparse", "order": 2, "resamples": 0})
    edit("masks", 80)
    edit("samples", 6)
    edit("models.scratch.checkpoints", "models/scratch-100.safetensors")
    edit("models.finetuned.checkpoints", "models/finetuned-100.safetensors")
    edit("focus", "forgotten")
    return study_dir


def test_a_focus_reads_flipped_samples_and_says_so(focused):
    findings = run(focused)
    flips = findings["forgotten"]
    flipped = {one["sample"] for one in flips["samples"]}
    read = {one["id"] for one in findings["samples"]}
    assert len(flipped) >= 5
    assert len(read) == 6
    assert len(read & flipped) == 5  # three quarters of six
    forgotten = {one["sample"] for one in flips["samples"] if one["flip"] == "forgotten"}
    assert len(read & forgotten) == min(5, len(forgotten))
    assert any("5 of the 6 samples were chosen because" in text for text in findings["warnings"])
    # The same samples again, from what was found.
    (kept,) = (focused / "out").glob("flips-*.json")
    before = kept.stat().st_mtime_ns
    forecast = Study.from_yaml(focused / "study.yaml").forecast(focused / "out")
    assert forecast.tables == 0
    assert run(focused) == findings
    assert kept.stat().st_mtime_ns == before
    kept.write_text(json.dumps({"forgotten": [999], "learned": []}))
    with pytest.raises(BequeathError, match="damaged: it does not list flipped samples"):
        run(focused)


def test_hidden_players_are_hidden_in_the_models(focused):
    """What the findings call measured is what the models give on the masks, evaluated here by themselves."""
    findings = run(focused)
    told = [one for one in findings["forgotten"]["samples"] if one["change"] and one["change"]["hidden"]]
    assert told
    config = load_study(focused / "study.yaml")
    prepared = Prepared(config)
    parts, plan = prepared.parts, prepared.plan
    for one in told:
        change = one["change"]
        index = parts.inputs.data.ids.index(one["sample"])
        masks = torch.cat((torch.ones(1, 9, dtype=torch.bool), hiding_masks(change["hidden"]["players"], 9)))
        values = {}
        for role, name in (("before", "pretrained"), ("after", "finetuned")):
            checkpoint = plan.checkpoints[plan.finals[name]]
            model = parts.models.load(checkpoint, focused / "out")
            values[role] = parts.games.game(model, index, checkpoint).values(masks)
        difference = (values["after"] - values["before"]).numpy()
        assert change["total"] == pytest.approx(difference[0], abs=1e-4)
        assert change["hidden"]["measured"] == pytest.approx(difference[1] - difference[0], abs=1e-4)
        assert change["hidden"]["at_random"] == pytest.approx(
            (difference[2:] - difference[0]).mean(), abs=1e-4
        )
        parts_sum = sum(change[key] for key in ("lost", "came", "turned", "rest"))
        assert parts_sum == pytest.approx(change["total"])
    check = findings["forgotten"]["check"]
    assert check["n"] == len(told)
    assert check["measurable"] == sum(one["change"]["hidden"]["measurable"] for one in told)
    sizes = [abs(one["change"]["total"]) for one in told]
    gone = [-np.sign(c["total"]) * c["hidden"]["measured"] for c in (one["change"] for one in told)]
    assert check["undone"]["mean"] == pytest.approx(sum(gone) / sum(sizes))


def test_exact_readings_cannot_be_wrong_about_a_mask(study_dir):
    check = run(study_dir)["forgotten"]["check"]
    assert check["measurable"] == 0
    assert "exact readings" in check["reason"]
    assert check["right"]["mean"] is None
    assert check["said"]["mean"] == pytest.approx(check["undone"]["mean"], abs=1e-4)


def test_fewer_focused_samples_are_among_more(focused):
    config = load_study(focused / "study.yaml")
    parts = StudyParts.of(config)
    groups = [[0, 5, 9, 20], [3, 11]]
    last: set[int] = set()
    for count in range(2, 25):
        of = config.model_copy(update={"samples": count})
        chosen = set(make_plan(of, parts.inputs.data, parts.games.players(), groups).samples)
        assert len(chosen) == count
        assert last <= chosen
        last = chosen
        assert len(chosen & {0, 5, 9, 20}) == min(4, -(-3 * count // 4))
    more = config.model_copy(update={"samples": 25})
    with pytest.raises(BequeathError, match=r"25 asked for, but .* has 24"):
        make_plan(more, parts.inputs.data, parts.games.players(), groups)
