"""Bitmasks, orders and names."""

from __future__ import annotations

import pytest
import torch

from bequeath.errors import BequeathError
from bequeath.lattice import subsets


@pytest.mark.parametrize("n", [1, 2, 5])
def test_orders_count_members(n: int) -> None:
    assert subsets.orders(n).tolist() == [s.bit_count() for s in range(2**n)]


def test_masks_follow_the_bits_of_the_index() -> None:
    assert subsets.masks(3).tolist() == [[bool(s >> i & 1) for i in range(3)] for s in range(8)]
    assert torch.equal(subsets.masks(5, 7, 19), subsets.masks(5)[7:19])


def test_members_and_names() -> None:
    assert subsets.members(0b1011, 4) == (0, 1, 3)
    assert subsets.subset_name(0b101, ["good", "old", "film"]) == "{good, film}"
    assert subsets.subset_name(0, ["a"]) == "{}"


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3,), (2, 6), (7,)])
def test_lengths_that_are_no_power_of_two(shape: tuple[int, ...]) -> None:
    with pytest.raises(BequeathError, match="2\\*\\*n"):
        subsets.players_of(torch.zeros(shape))


def test_too_many_players_names_the_cost() -> None:
    subsets.check_players(subsets.MAX_PLAYERS)
    with pytest.raises(BequeathError, match="33,554,432 model evaluations and 268,435,456 bytes"):
        subsets.check_players(25)
    with pytest.raises(BequeathError, match="at least 1"):
        subsets.check_players(0)
