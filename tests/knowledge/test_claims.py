"""Verdicts follow their stated rules, on comparisons made to be clear-cut."""

from dataclasses import replace

import pytest
import torch
from planted import models, of_values

import bequeath as bq
from bequeath.knowledge.bounds import Identifiability
from bequeath.knowledge.claims import judge
from bequeath.knowledge.shares import Readings
from bequeath.knowledge.statistics import Estimate

N = 4


def comparison(kept_low, kept_high, relearned):
    """All models agree in sign; fine-tuning keeps a share by order, scratch finds a share of what is kept."""
    g = torch.Generator().manual_seed(0)
    order = bq.decompose(torch.zeros(2**N, dtype=torch.float64), "and").orders
    before = torch.rand(30, 2**N, generator=g, dtype=torch.float64) + 0.5
    before[:, 0] = 0
    kept = torch.where(order <= N // 2, kept_low, kept_high) * before
    return bq.compare(
        before=of_values(before), after=of_values(kept), control=of_values(relearned * kept), normalise="none"
    ).strengths


def alike(strengths):
    return Readings(strengths, strengths, strengths, strengths)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.4, 0.2, "supported"),
        (0.2, 0.4, "contradicted"),
        (0.9, 0.6, "contradicted"),
        (0.3, 0.3, "undecided"),
    ],
)
def test_f1(low, high, verdict):
    c = comparison(low, high, 0.5)
    assert judge(alike(c))["F1"].verdict == verdict


@pytest.mark.parametrize(("share", "verdict"), [(0.2, "supported"), (0.8, "contradicted")])
def test_f2(share, verdict):
    c = comparison(0.4, 0.2, share)
    got = judge(alike(c))["F2"]
    assert got.verdict == verdict
    assert f"{100 * share:.0f}%" in got.text


@pytest.mark.parametrize("which", ["by_and", "scaled", "raw"])
def test_readings_that_disagree_leave_a_claim_undecided(which):
    there = alike(comparison(0.4, 0.2, 0.2))
    got = judge(replace(there, **{which: comparison(0.2, 0.4, 0.8)}))
    assert got["F1"].verdict == got["F2"].verdict == "undecided"
    words = {
        "by_and": "by AND alone: contradicted",
        "scaled": "own scale: contradicted",
        "raw": "in raw units: contradicted",
    }
    assert words[which] in got["F2"].text


def run(path):
    """A run whose only interaction takes the given sizes, on 20 samples."""
    target = torch.zeros(20, 2, 2**N, dtype=torch.float64)
    target[:, 0, 3] = torch.linspace(1, 2, 20)
    orders = bq.decompose(torch.zeros(2**N, dtype=torch.float64), "and").orders
    return bq.dynamics(torch.stack([size * target for size in path]), [1, 10, 100, 1000], orders)


EARLY, LATE, DETOUR = (0.7, 0.8, 0.9, 1), (0.1, 0.2, 0.3, 1), (-2, 0.1, 0.2, 1)


@pytest.mark.parametrize(
    ("after", "control", "verdict"),
    [(EARLY, DETOUR, "supported"), (DETOUR, EARLY, "contradicted"), (EARLY, LATE, "undecided")],
)
def test_f3(after, control, verdict):
    c = comparison(0.4, 0.2, 0.2)
    assert judge(alike(c), None, {"after": run(after), "control": run(control)})["F3"].verdict == verdict


def test_f3_needs_checkpoints():
    c = comparison(0.4, 0.2, 0.2)
    assert "at least 3 checkpoints" in judge(alike(c), None, {"after": run(EARLY)})["F3"].text


@pytest.mark.parametrize(
    ("least", "greatest", "verdict"),
    [(0.1, 0.45, "supported"), (0.1, 0.55, "undecided")],
)
def test_f1_must_hold_for_every_equally_sparse_split(least: float, greatest: float, verdict: str) -> None:
    c = comparison(0.4, 0.2, 0.2)
    assert judge(alike(c))["F1"].verdict == "supported"
    ends = [Estimate(x, x, x, 30) for x in (least, least, greatest, greatest, 0.0, 1.0)]
    found = judge(alike(c), Identifiability(*ends, slack=1e-3))["F1"]
    assert found.verdict == verdict
    assert f"between 10% and {100 * greatest:.0f}%" in found.text


def test_without_a_control_nothing_is_claimed_of_one():
    two = bq.compare(**models(2, samples=30, n=N)).strengths
    assert list(judge(alike(two))) == ["F1"]


def test_models_are_called_by_their_names():
    c = comparison(0.4, 0.2, 0.2)
    found = judge(alike(c), names={"before": "imagenet", "after": "birds", "control": "plain"})
    assert found["F1"].text.startswith("birds preserved ")
    assert "of imagenet's interactions (interactions of other samples:" in found["F1"].text
    assert found["F2"].text.startswith("plain found 20%")
