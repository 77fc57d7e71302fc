"""A game's sample and masks as arrays and lists."""

import numpy as np
import pytest
import torch
from torch import nn

import bequeath as bq

ROW = [0.5, -1.0, 2.0]


def game(x, **how):
    torch.manual_seed(0)
    baseline = how.get("baseline", bq.baselines.zero())
    return bq.Game(nn.Linear(3, 2), x, bq.players.columns(), baseline, bq.values.logit(1))


ALIKE = [
    ROW,
    tuple(ROW),
    np.array(ROW),
    np.array(ROW, ">f4"),
    np.array(ROW[::-1])[::-1],
    torch.tensor(ROW).to_sparse(),
]


@pytest.mark.parametrize("x", ALIKE)
def test_samples_of_every_kind_give_the_same_values(x):
    assert torch.equal(game(x).table(), game(torch.tensor(ROW)).table())


def test_samples_that_are_no_numbers_are_refused_before_the_model_runs():
    for x, message in (
        ([1.0, float("nan"), 2.0], r"sample: nan at index \(1,\)"),
        (torch.tensor([1.0, 2.0, torch.inf]), r"sample: inf at index \(2,\)"),
        (np.array(ROW) + 1j, "sample: complex numbers"),
        (["a", "b", "c"], "sample: <U1 given; give numbers"),
    ):
        with pytest.raises(bq.BequeathError, match=message):
            game(x)


def test_masks_are_flags_and_nothing_else():
    one = game(ROW)
    masks = [[True, False, True], [False, False, False]]
    expected = one.values(torch.tensor(masks))
    for given in (masks, np.array(masks), np.array(masks, int), np.array(masks, ">f8")):
        assert torch.equal(one.values(given), expected)
        assert one(given).tolist() == expected.tolist()
    assert one([True, False, True]).tolist() == expected[:1].tolist()
    for bad in ([[0, 1, 2]], [3, 5, 1]):
        with pytest.raises(bq.BequeathError, match="give true and false, or 1 and 0"):
            one(bad)
    with pytest.raises(bq.BequeathError, match="2 columns for 3 players"):
        one([[True, False]])


def test_baselines_and_regions_of_lists_and_odd_arrays():
    train = np.array([[1.0, 2, 3], [3, 4, 5]], ">f8")[::-1]
    for given in (train, train.tolist(), torch.tensor(train.tolist()).to_sparse()):
        table = game(ROW, baseline=bq.baselines.dataset_mean(given)).table()
        assert table[0].item() == pytest.approx(game([2.0, 3, 4]).table()[-1].item())
    assert game(ROW, baseline=bq.baselines.given([1, 1, 1])).table()[0] == game([1.0, 1, 1]).table()[-1]
    with pytest.raises(bq.BequeathError, match="baseline given: complex"):
        bq.baselines.given([1j])
    labels = np.array([[0, 0], [1, -1]], ">i2")
    assert bq.players.regions(labels[:, ::-1]).n_players == 2
    assert bq.players.regions(labels.tolist()).n_players == 2
    with pytest.raises(bq.BequeathError, match="games: a str among them"):
        bq.explain("abc")
