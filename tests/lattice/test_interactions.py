"""The class Interactions."""

from __future__ import annotations

import dataclasses

import lattice_oracles as oracles
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bequeath.errors import BequeathError
from bequeath.lattice import subsets, transforms
from bequeath.lattice.exact.decompose import decompose
from bequeath.lattice.interactions import Certificate, Interactions, Term

NAMES = ("good", "old", "film")


def example() -> Interactions:
    and_ = torch.tensor([0, 1.0, -2.0, 0.5, 0, 0, 0, 4.0], dtype=torch.float64)
    or_ = torch.tensor([0, 0, 0, 0, 0, -3.0, 0.15, 0], dtype=torch.float64)
    return Interactions(and_, or_, torch.tensor(0.25, dtype=torch.float64), NAMES)


def batch() -> tuple[torch.Tensor, Interactions]:
    v = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return v, decompose(v, players=NAMES)


def test_orders_values_and_n() -> None:
    found = example()
    assert found.n_players == 3
    assert found.orders.tolist() == [0, 1, 1, 2, 1, 2, 2, 3]
    assert torch.equal(found.values, torch.stack((found.and_, found.or_)))


def test_strength_by_order() -> None:
    torch.testing.assert_close(
        example().strength_by_order(),
        torch.tensor([[0, 3.0, 0.5, 4.0], [0, 0, 3.15, 0]], dtype=torch.float64),
    )
    _, many = batch()
    strength = many.strength_by_order()
    assert strength.shape == (2, 3, 2, 4)
    torch.testing.assert_close(strength[1, 2], many[1, 2].strength_by_order())
    torch.testing.assert_close(strength.sum((-1, -2)), many.certificate.objective)


def test_salient_is_relative_to_the_samples_largest() -> None:
    found = example()
    assert found.salient().nonzero().tolist() == [[0, 1], [0, 2], [0, 3], [0, 7], [1, 5]]  # 0.15 <= 5% of 4
    assert found.salient(0.5).nonzero().tolist() == [[0, 7], [1, 5]]  # more than, not as much as
    both = Interactions(
        torch.stack((found.and_, found.and_ / 100)),
        torch.stack((found.or_, found.or_ / 100)),
        torch.zeros(2, dtype=torch.float64),
        NAMES,
    )
    assert torch.equal(both.salient()[0], both.salient()[1])


def test_nothing_is_salient_in_an_empty_game() -> None:
    assert not decompose(torch.zeros(8)).salient().any()


def test_restricted_keeps_the_rest_at_zero() -> None:
    found = example()
    keep = found.salient(0.5)
    some = found.restricted(keep)
    assert torch.equal(some.values, found.values * keep)
    assert torch.equal(some.offset, found.offset)
    assert some.players == NAMES
    assert some.certificate is None
    _, many = batch()
    everything = many.restricted(torch.ones_like(many.values, dtype=torch.bool))
    assert torch.equal(everything.values, many.values)


def tied() -> Interactions:
    and_ = torch.tensor([0, -2.0, 2.0, 1.0, 0, 0, 0, -2.0], dtype=torch.float64)
    or_ = torch.tensor([0, 0, 0, 2.0, 0, -1.0, 0, 0], dtype=torch.float64)
    return Interactions(and_, or_, torch.tensor(0.0, dtype=torch.float64), NAMES)


def test_ties() -> None:
    found = tied()
    assert [(term.type, term.subset) for term in found.top(3)] == [("and", 1), ("and", 2), ("and", 7)]
    assert [(term.type, term.subset) for term in found.top(5)][3:] == [("or", 3), ("and", 3)]
    strongest = found.salient(0.5)
    assert strongest.nonzero().tolist() == [[0, 1], [0, 2], [0, 7], [1, 3]], (
        "all of the strongest, none at half"
    )
    assert found.salient(0.49).sum() == 6
    assert not found.salient(1.0).any()
    assert found.restricted(strongest).top(10) == found.top(4)


def test_a_sample_is_restricted_by_its_own_mask() -> None:
    found, other = example(), tied()
    both = Interactions(
        torch.stack((found.and_, other.and_)),
        torch.stack((found.or_, other.or_)),
        torch.stack((found.offset, other.offset)),
        NAMES,
    )
    some = both.restricted(both.salient(0.5))
    for row, alone in enumerate((found, other)):
        assert torch.equal(some[row].values, alone.restricted(alone.salient(0.5)).values)


def test_reconstruct_adds_up_with_the_offset() -> None:
    v, many = batch()
    torch.testing.assert_close(many.reconstruct(), v, rtol=0, atol=1e-12)
    found = example()
    total = transforms.zeta(found.and_) + transforms.or_zeta(found.or_) + 0.25
    torch.testing.assert_close(found.reconstruct(), total)
    assert found.reconstruct()[0] == 0.25


@st.composite
def interactions_and_masks(draw: st.DrawFn) -> tuple[Interactions, torch.Tensor]:
    n = draw(st.integers(1, 4))
    shape = draw(st.sampled_from([(), (2,), (2, 1)]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    and_, or_ = torch.randn(2, *shape, 2**n, generator=generator, dtype=torch.float64)
    and_[..., 0] = or_[..., 0] = 0
    offset = torch.randn(shape, generator=generator, dtype=torch.float64)
    masks = draw(st.lists(st.integers(0, 2**n - 1), max_size=6))
    found = Interactions(and_, or_, offset, tuple("abcd"[:n]))
    return found, torch.tensor(masks, dtype=torch.int64)


@given(interactions_and_masks())
def test_reconstruct_on_masks(case: tuple[Interactions, torch.Tensor]) -> None:
    found, indices = case
    expected = torch.empty(*found.offset.shape, len(indices), dtype=torch.float64)
    for row in np.ndindex(*found.offset.shape):
        table = oracles.zeta(found.and_[row].numpy()) + oracles.or_zeta(found.or_[row].numpy())
        expected[row] = torch.from_numpy(table[indices.numpy()]) + found.offset[row]
    present = subsets.masks(found.n_players)[indices]
    for masks in (indices, indices.numpy(), present, present.numpy()):
        torch.testing.assert_close(found.reconstruct(masks), expected, rtol=0, atol=1e-12)
    assert torch.equal(found.reconstruct(subsets.masks(found.n_players)), found.reconstruct())


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (torch.ones(5, 2, dtype=torch.bool), r"bool of shape \(5, 2\) given for 3 players; give .*\(m, 3\)"),
        (torch.ones(3, dtype=torch.bool), r"bool of shape \(3,\)"),
        (torch.ones(1, 1, 3, dtype=torch.bool), r"shape \(1, 1, 3\)"),
        (torch.full((5, 3), 0.5), r"0\.5 given; give true and false, or 1 and 0"),
        (torch.full((5, 3), 2), "2 given; give true and false, or 1 and 0"),
        (torch.ones(5), r"float32 of shape \(5,\)"),
        (torch.tensor(3), r"shape \(\)"),
        (torch.tensor([0, 8]), "8 given; give indices of the subsets of 3 players, 0 to 7"),
        (torch.tensor([-1]), "-1 given"),
        (np.array(["good"]), "<U4 given; give numbers"),
    ],
)
def test_bad_masks(masks: torch.Tensor, message: str) -> None:
    with pytest.raises(BequeathError, match=f"masks: .*{message}"):
        example().reconstruct(masks)


def test_top_names_the_strongest() -> None:
    found = example()
    assert found.top(3) == [
        Term("and", 7, "{good, old, film}", 4.0),
        Term("or", 5, "{good, film}", -3.0),
        Term("and", 2, "{old}", -2.0),
    ]
    assert len(found.top()) == 6, "zeros are no interactions"
    assert found.top(0) == []
    with pytest.raises(BequeathError, match="one table"):
        batch()[1].top()


def test_indexing() -> None:
    _, many = batch()
    row = many[1]
    assert row.and_.shape == (3, 8)
    assert row.certificate.objective.shape == (3,)
    assert row.players == NAMES
    one = many[1, 2]
    assert torch.equal(one.values, many.values[1, 2])
    assert one.offset == many.offset[1, 2]
    assert one.certificate.gap == many.certificate.gap[1, 2]
    assert torch.equal(many[:, [2, 0]].values, many.values[:, [2, 0]])
    assert example().certificate is None
    with pytest.raises((BequeathError, IndexError)):
        one[0]


def test_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        example().players = ("a", "b", "c")  # type: ignore[misc]


def test_parts_that_do_not_belong_together() -> None:
    found = example()
    with pytest.raises(BequeathError, match=r"and_, or_, offset: shapes .* give"):
        Interactions(found.and_, found.or_[:4], found.offset, NAMES)
    with pytest.raises(BequeathError, match=r"and_, or_, offset: shapes .* give"):
        Interactions(found.and_, found.or_, torch.zeros(1), NAMES)
    with pytest.raises(BequeathError, match="2 names for 3 players"):
        Interactions(found.and_, found.or_, found.offset, NAMES[:2])


def test_gap() -> None:
    certificate = Certificate(
        torch.tensor([2.0, 0.0, 1.0]), torch.tensor([1.5, 0.0, 1.0 + 1e-7]), torch.zeros(3), torch.ones(3)
    )
    torch.testing.assert_close(certificate.gap, torch.tensor([0.25, 0.0, 0.0]))
    assert certificate[0].gap == 0.25


def test_to_xarray() -> None:
    _, many = batch()
    array = many.to_xarray(("model", "sample"))
    assert array.dims == ("model", "sample", "type", "subset")
    assert array.shape == (2, 3, 2, 8)
    assert array.type.values.tolist() == ["and", "or"]
    assert array.order.values.tolist() == [0, 1, 1, 2, 1, 2, 2, 3]
    assert array.attrs["players"] == list(NAMES)
    assert float(array.sel(type="or")[1, 2, 5]) == many.or_[1, 2, 5].item()
    pairs = array.isel(subset=array.order.values == 2)
    assert pairs.shape[-1] == 3
    assert many.to_xarray().dims[:2] == ("axis_0", "axis_1")
    assert example().to_xarray().dims == ("type", "subset")
    assert array.subset.values.tolist() == list(range(8))
    assert float(array.offset[1, 2]) == many.offset[1, 2].item()
    assert float(array.lower_bound[1, 2]) == many.certificate.lower_bound[1, 2].item()
    assert "objective" not in example().to_xarray().coords
