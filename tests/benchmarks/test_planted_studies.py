"""benchmarks/planted_studies.py: what is planted is what is said to be."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def planted():
    sys.path.insert(0, str(FOLDER))
    try:
        import planted_studies as module

        yield module
    finally:
        sys.path.remove(str(FOLDER))


def games(planted, phi, psi, own):
    setting = replace(planted.Setting(phi, (0.0,) * 3, own=own), psi=psi, samples=6)
    return planted.draw(setting, [3])


@pytest.mark.parametrize("own", ["apart", "chance"])
def test_models_share_what_they_are_told_to(planted, own):
    models, in_common = games(planted, 0.6, 0.5, own)
    for before, after, control, both, three in zip(*models, *in_common, strict=True):
        assert len(before) == len(after) == len(control) == 20
        assert (len(both), len(three)) == (12, 6)
        assert all(before[term] == after[term] == value for term, value in both.items())
        assert all(control[term] == value for term, value in three.items())


def test_apart_no_two_models_have_a_term_that_they_do_not_share(planted):
    models, in_common = games(planted, 0.6, 0.5, "apart")
    for before, after, control, both, three in zip(*models, *in_common, strict=True):
        assert set(before) & set(after) == set(both)
        assert set(control) & (set(before) | set(after)) == set(three)


def test_truth_is_on_each_models_own_scale(planted):
    term = ((0,), "and"), ((1,), "and"), ((2,), "and")
    before, after = [{term[0]: 1.0, term[1]: 1.0}] * 2, [{term[0]: 1.0, term[2]: -3.0}] * 2
    preserved, relearned, _ = planted.truths([before, after, after], [[{term[0]: 1.0}] * 2, [{}] * 2])
    assert preserved == pytest.approx(0.25)
    assert relearned == 0


def test_the_same_models_have_kappa_one(planted):
    models, _ = games(planted, 0.0, 0.0, "chance")
    assert planted.kappa_of(models[0], models[0]) == pytest.approx(1)
    assert abs(planted.kappa_of(models[0], models[1])) < 0.15
