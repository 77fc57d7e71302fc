"""When the additions of a run become noise, on planted runs."""

import numpy as np
import pytest
import torch

from bequeath import BequeathError
from bequeath.knowledge.stopping import stopping
from bequeath.knowledge.turnover import turnover

SAMPLES, SUBSETS = 24, 60


def course(sizes, noise, seed=0):
    """Checkpoints that add real interactions and noise of given sizes; noise differs between the halves."""
    rng = np.random.default_rng(seed)
    shape = (SAMPLES, 2, SUBSETS)
    halves, states = [], [np.zeros(shape)] * 2
    found = [[np.zeros(shape)] * 2]
    for size, spread in zip(sizes, noise, strict=True):
        real = size * rng.laplace(size=shape)
        states = [state + real + spread * rng.laplace(size=shape) for state in states]
        found.append(states)
    halves = [torch.tensor(np.stack([one[half] for one in found])) for half in range(2)]
    orders = torch.ones(SUBSETS, dtype=torch.int64)
    return turnover((halves[0] + halves[1]) / 2, (halves[0], halves[1]), range(len(found)), orders, 1)


def answers(*rates, n=400):
    return [(np.arange(n) < rate * n).astype(float) for rate in rates]


def test_a_run_that_begins_to_add_noise_turns_there():
    found = stopping(course([1, 1, 1, 0], [0.1, 0.1, 0.1, 1]), answers(0.2, 0.6, 0.8, 0.9, 0.7))
    assert found.turns == 3  # the checkpoint before the noise
    assert found.best == 3
    assert found.fall.mean == pytest.approx(0.2)
    assert 0 < found.fall.low < 0.2 < found.fall.high
    assert found.added[-1].reliability.mean < 0.1 < found.added[0].reliability.mean
    assert found.falls[0] is None
    assert found.falls[-1].high < 0


def test_a_run_that_adds_alike_seldom_turns():
    turned = [
        stopping(course([1] * 5, [0.5] * 5, seed), answers(*[0.5] * 6)).turns is not None
        for seed in range(40)
    ]
    # Four tests of 2.5% each, one-sided.
    assert sum(turned) <= 12


def test_the_earliest_of_equally_accurate_checkpoints_is_the_best():
    found = stopping(course([1, 1], [0.1, 0.1]), answers(0.5, 0.75, 0.75))
    assert found.best == 1
    assert found.fall.mean == 0


def test_answers_are_of_all_checkpoints():
    with pytest.raises(BequeathError, match="2 checkpoints given; give the 3 of the run"):
        stopping(course([1, 1], [0.1, 0.1]), answers(0.5, 0.75))
