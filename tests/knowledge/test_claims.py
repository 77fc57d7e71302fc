"""Verdicts follow their rules, on comparisons that are made to be clear."""

import pytest
import torch
from planted import models, of_values

import bequeath as bq
from bequeath.knowledge.claims import Readings, judge
from bequeath.knowledge.identifiability import Identifiability
from bequeath.knowledge.statistics import Estimate

N = 4


def comparison(kept_low, kept_high, relearned, samples=30, **more):
    """The model after keeps a share of the subsets of each order; the control has a share of the kept strength."""
    g = torch.Generator().manual_seed(0)
    order = bq.decompose(torch.zeros(2**N, dtype=torch.float64), "and").orders
    before, own = (
        torch.randn(samples, 2**N, generator=g, dtype=torch.float64)
        * (torch.rand(samples, 2**N, generator=g) < 0.5)
        for _ in range(2)
    )
    before[:, 0] = own[:, 0] = 0
    kept = torch.where(order <= N // 2, kept_low, kept_high) * before
    models = {"before": of_values(before), "after": of_values(kept), "control": of_values(relearned * kept)}
    return bq.compare(**models, retests=models, normalise="none", **more).strengths


@pytest.mark.parametrize(
    ("low", "high", "verdict", "words"),
    [
        (0.4, 0.2, "supported", "Little is preserved"),
        (0.2, 0.4, "contradicted", "of high orders more than of low ones"),
        (0.9, 0.7, "contradicted", "Much is preserved"),
        (0.3, 0.3, "undecided", "Little is preserved, but whether less of high orders"),
    ],
)
def test_f1(low, high, verdict, words):
    got = judge(Readings(comparison(low, high, 0.5)))["F1"]
    assert got.verdict == verdict
    assert words in got.text


@pytest.mark.parametrize(("share", "verdict"), [(0.2, "supported"), (0.8, "contradicted")])
def test_f2(share, verdict):
    c = comparison(0.4, 0.2, share)
    got = judge(Readings(c))["F2"]
    assert got.verdict == verdict
    assert f"{100 * c.share('relearned').corrected:.0f}% [" in got.text


def test_no_verdict_on_a_model_without_skill():
    """A control at chance level must not give "F2 supported, R = 0%"."""
    c = comparison(0.4, 0.2, 0.0, not_measurable={"control": "cold is not better than chance"})
    found = judge(Readings(c), None, {"after": run(EARLY), "control": run(LATE)})
    assert found["F1"].verdict == "supported"
    assert found["F2"].verdict == found["F3"].verdict == "not measurable"
    assert "cold is not better than chance" in found["F2"].text


def test_no_verdict_on_few_samples():
    found = judge(Readings(comparison(0.4, 0.2, 0.2, samples=7)))
    assert found["F1"].verdict == found["F2"].verdict == "not measurable"
    assert "only 7 samples" in found["F1"].text


def test_other_readings_stand_beside_where_they_differ_and_why():
    same = comparison(0.4, 0.2, 0.2)
    differing = {"raw": comparison(0.9, 0.9, 0.2), "own scale": same}
    found = judge(Readings(same, differing))["F1"]
    assert found.verdict == "supported"
    assert list(found.differs) == ["raw"]
    assert found.differs["raw"].startswith("contradicted: ")
    noise = judge(Readings(comparison(0.9, 0.7, 0.8), {"paper": same}))
    assert "most of what it measures is noise" in noise["F1"].differs["paper"]


def run(path):
    """A run with one interaction of the given sizes in each of 14 samples, on a different subset in each."""
    target = torch.zeros(14, 2, 2**N, dtype=torch.float64)
    target[torch.arange(14), 0, torch.arange(14) + 1] = torch.linspace(1, 2, 14, dtype=torch.float64)
    orders = bq.decompose(torch.zeros(2**N, dtype=torch.float64), "and").orders
    return bq.dynamics(torch.stack([size * target for size in path]), [1, 10, 100, 1000], orders)


EARLY, LATE, DETOUR = (0.7, 0.8, 0.9, 1), (0.1, 0.2, 0.3, 1), (-2, 0.1, 0.2, 1)


@pytest.mark.parametrize(
    ("after", "control", "verdict"),
    [(EARLY, DETOUR, "supported"), (DETOUR, EARLY, "contradicted"), (EARLY, LATE, "undecided")],
)
def test_f3(after, control, verdict):
    c = comparison(0.4, 0.2, 0.2)
    courses = {"after": run(after), "control": run(control)}
    assert judge(Readings(c), None, courses)["F3"].verdict == verdict


def test_f3_needs_checkpoints():
    c = comparison(0.4, 0.2, 0.2)
    found = judge(Readings(c), None, {"after": run(EARLY)})["F3"]
    assert found.verdict == "not measurable"
    assert "at least 3 checkpoints" in found.text


def changing(noises, shares=(0.1, 0.4, 0.7, 1.0)):
    """A run with two readings: growing interactions are the same in both, noise is not."""
    g = torch.Generator().manual_seed(2)
    target = torch.zeros(12, 2, 2**N, dtype=torch.float64)
    target[:, 0, 1:] = torch.rand(12, 2**N - 1, generator=g, dtype=torch.float64) + 0.5
    halves = []
    for _ in range(2):
        half = torch.stack([share * target for share in shares])
        noise = torch.randn(4, 12, 2**N - 1, generator=g, dtype=torch.float64)
        half[:, :, 1, 1:] += noise * torch.tensor(noises, dtype=torch.float64)[:, None, None]
        halves.append(half)
    orders = bq.decompose(torch.zeros(2**N, dtype=torch.float64), "and").orders
    whole = (halves[0] + halves[1]) / 2
    return bq.dynamics(whole, [1, 10, 100, 1000], orders, halves=(halves[0], halves[1]))


def test_f4_noise_goes_first_and_comes_last():
    c = comparison(0.4, 0.2, 0.2)
    got = judge(Readings(c), None, {"after": changing((1.0, 0.1, 0.1, 1.0))})["F4"]
    assert got.verdict == "supported", got.text
    opposite = changing((0.1, 1.0, 0.1, 0.1), (1.0, 0.7, 0.8, 0.9))
    assert judge(Readings(c), None, {"after": opposite})["F4"].verdict == "contradicted"


def test_f4_needs_two_readings():
    found = judge(Readings(comparison(0.4, 0.2, 0.2)), None, {"after": run(EARLY)})["F4"]
    assert found.verdict == "not measurable"
    assert "no halves" in found.text


def test_bounds_over_exact_splits_are_said_beside_f1():
    ends = [Estimate(x, x, x, 30) for x in (0.1, 0.1, 0.55, 0.55, 0.0, 1.0)]
    found = judge(Readings(comparison(0.4, 0.2, 0.2)), Identifiability(*ends, slack=1e-3))["F1"]
    assert "between 10% and 55%" in found.text


def test_without_a_control_nothing_is_claimed_of_one():
    two = bq.compare(**models(2, samples=30, n=N)).strengths
    assert list(judge(Readings(two))) == ["F1"]


def test_models_are_called_by_their_names():
    c = comparison(0.4, 0.2, 0.2)
    found = judge(Readings(c), names={"before": "imagenet", "after": "birds", "control": "plain"})
    assert "birds has" in found["F1"].text
    assert "of what can be read of imagenet" in found["F1"].text
    assert found["F2"].text.startswith("plain finds little")
