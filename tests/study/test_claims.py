"""Verdicts follow their stated rules, on comparisons made to be clear-cut."""

from dataclasses import replace

import pytest
import torch

import bequeath as bq
from bequeath.knowledge.measures import Measures, Readings
from bequeath.study.findings.claims import judge

N = 4


def interactions(values):
    zeros = torch.zeros_like(values)
    return bq.Interactions(values, zeros, torch.zeros(len(values), dtype=torch.float64), tuple("abcd"))


def comparison(kept_low, kept_high, relearned):
    """All models agree in sign; fine-tuning keeps a share by order, scratch finds a share of what is kept."""
    g = torch.Generator().manual_seed(0)
    order = bq.decompose(torch.zeros(2**N, dtype=torch.float64), "and").orders
    pretrained = torch.rand(30, 2**N, generator=g, dtype=torch.float64) + 0.5
    pretrained[:, 0] = 0
    kept = torch.where(order <= N // 2, kept_low, kept_high) * pretrained
    return Measures.of(
        bq.compare(
            pretrained=interactions(pretrained),
            finetuned=interactions(kept),
            scratch=interactions(relearned * kept),
        )
    )


def alike(measures):
    return Readings(measures, measures, measures)


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
    assert judge(alike(c), None, None, None)["F1"]["verdict"] == verdict


@pytest.mark.parametrize(("share", "verdict"), [(0.2, "supported"), (0.8, "contradicted")])
def test_f2(share, verdict):
    c = comparison(0.4, 0.2, share)
    got = judge(alike(c), None, None, None)["F2"]
    assert got["verdict"] == verdict
    assert f"{100 * share:.0f}%" in got["text"]


@pytest.mark.parametrize("which", ["reference", "scaled"])
def test_readings_that_disagree_leave_a_claim_undecided(which):
    there = alike(comparison(0.4, 0.2, 0.2))
    got = judge(replace(there, **{which: comparison(0.2, 0.4, 0.8)}), None, None, None)
    assert got["F1"]["verdict"] == got["F2"]["verdict"] == "undecided"
    words = {"reference": "by the plain AND reading: contradicted", "scaled": "own scale: contradicted"}
    assert words[which] in got["F2"]["text"]


def run(path):
    """A run whose only interaction takes the given sizes, on 20 samples."""
    target = torch.zeros(20, 2, 2**N, dtype=torch.float64)
    target[:, 0, 3] = torch.linspace(1, 2, 20)
    orders = bq.decompose(torch.zeros(2**N, dtype=torch.float64), "and").orders
    return bq.dynamics(torch.stack([size * target for size in path]), [1, 10, 100, 1000], orders)


EARLY, LATE, DETOUR = (0.7, 0.8, 0.9, 1), (0.1, 0.2, 0.3, 1), (-2, 0.1, 0.2, 1)


@pytest.mark.parametrize(
    ("finetuned", "scratch", "verdict"),
    [(EARLY, DETOUR, "supported"), (DETOUR, EARLY, "contradicted"), (EARLY, LATE, "undecided")],
)
def test_f3(finetuned, scratch, verdict):
    c = comparison(0.4, 0.2, 0.2)
    assert judge(alike(c), None, run(finetuned), run(scratch))["F3"]["verdict"] == verdict


def test_f3_needs_checkpoints():
    c = comparison(0.4, 0.2, 0.2)
    assert "at least 3 checkpoints" in judge(alike(c), None, run(EARLY), None)["F3"]["text"]


@pytest.mark.parametrize(
    ("least", "greatest", "verdict"),
    [(0.1, 0.45, "supported"), (0.1, 0.55, "undecided")],
)
def test_f1_must_hold_for_every_equally_sparse_split(least: float, greatest: float, verdict: str) -> None:
    c = comparison(0.4, 0.2, 0.2)
    assert judge(alike(c), None, None, None)["F1"]["verdict"] == "supported"
    interval = {"slack": 1e-3, "least": {"mean": least}, "greatest": {"mean": greatest}}
    found = judge(alike(c), interval, None, None)["F1"]
    assert found["verdict"] == verdict
    assert f"between 10% and {100 * greatest:.0f}%" in found["text"]
