"""Columns of a table and groups of them."""

import pytest
import torch
from torch import nn

import bequeath as bq
from bequeath.lattice.subsets import masks

NAMES = ["age", "city=A", "city=B", "city=C", "id"]
ROW = torch.tensor([30.0, 0.0, 1.0, 0.0, 7.0])
MEANS = torch.tensor([41.0, 0.5, 0.25, 0.25, 3.0])


def bind(players, x=ROW):
    return players.bind(x, bq.baselines.given(MEANS[: len(x)]), nn.Identity())


def test_each_column_is_a_player_with_its_name():
    for players, names in (
        (bq.players.columns(NAMES), tuple(NAMES)),
        (bq.players.columns(), tuple(f"column {i}" for i in range(5))),
    ):
        bound = bind(players)
        assert bound.names == names
        expected = [[ROW[i] if mask[i] else MEANS[i] for i in range(5)] for mask in masks(5)]
        assert torch.equal(bound.inputs(masks(5)), torch.tensor(expected))


@pytest.mark.parametrize("one_hot", [["city=A", "city=B", "city=C"], [3, 1, 2], ["city=A", 2, "city=C"]])
def test_a_one_hot_group_goes_as_one_and_columns_of_no_group_stay(one_hot):
    bound = bind(bq.players.columns(NAMES, {"city": one_hot, "age": ["age"]}))
    assert bound.names == ("city", "age")
    hidden = torch.tensor([41.0, 0.5, 0.25, 0.25, 7.0])
    assert torch.equal(bound.inputs(torch.tensor([[False, False]]))[0], hidden)
    assert torch.equal(bound.inputs(torch.tensor([[True, False]]))[0], torch.tensor([41.0, 0, 1, 0, 7]))


def test_groups_by_number_need_no_names_and_any_row_that_is_wide_enough():
    bound = bind(bq.players.columns(groups={"ends": [0, 4]}))
    assert bound.inputs(torch.tensor([[False]]))[0].tolist() == [41.0, 0.0, 1.0, 0.0, 3.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bq.players.columns(["a", "a"]), "names repeat"),
        (
            lambda: bq.players.columns(NAMES, {"g": ["town"]}),
            r"no column 'town' \(group 'g'\); there are age, city",
        ),
        (lambda: bq.players.columns(groups={"g": ["age"]}), "names are not given"),
        (lambda: bq.players.columns(NAMES, {"g": [5]}), "no column 5"),
        (lambda: bq.players.columns(NAMES, {"g": [-1]}), "no column -1 .* count from 0"),
        (
            lambda: bq.players.columns(NAMES, {"g": [0], "h": ["age"]}),
            "column 0 is in the groups 'g' and 'h'",
        ),
        (lambda: bq.players.columns(NAMES, {"g": []}), "group 'g' is empty"),
        (lambda: bq.players.columns(NAMES, {}), "no groups given"),
        (lambda: bq.players.columns([]), "no names"),
        (lambda: bind(bq.players.columns(NAMES), ROW[:4]), "this row has 4 columns; give rows of 5"),
        (
            lambda: bind(bq.players.columns(groups={"g": [4]}), ROW[:4]),
            "this row has 4 columns; give rows of 5",
        ),
        (lambda: bind(bq.players.columns(), ROW[:0]), r"\(0,\) given; give a row"),
        (lambda: bind(bq.players.columns(), ROW[None]), r"\(1, 5\) given; give a row \(columns,\)"),
        (lambda: bind(bq.players.columns(), [1.0]), "list given; give a row"),
    ],
)
def test_bad_columns_are_named(make, message):
    with pytest.raises(bq.BequeathError, match=message):
        make()


def test_kinds_say_what_they_are():
    assert str(bq.players.columns()) == "columns of a table"
    assert str(bq.players.columns(NAMES)) == "5 columns of a table"
    assert str(bq.players.columns(NAMES, {"g": [0, 1], "h": [2]})) == "2 groups of columns of a table"
