"""Conversions to other libraries and back."""

from __future__ import annotations

import sys
from typing import Any

import lattice_oracles as oracles
import numpy as np
import pytest
import shapiq
import torch
import xarray
from hypothesis import given
from hypothesis import strategies as st
from shapiq.game_theory import MoebiusConverter
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.interactions import Certificate, Interactions
from bequeath.lattice.subsets import members, orders

NAMES = ("good", "old", "film", "plot", "cast")


def random(shape: tuple[int, ...], n: int = 3, kind: str = "mixed", seed: int = 0) -> Interactions:
    """Interactions of some kind: singletons under AND, nothing for the empty set."""
    generator = torch.Generator().manual_seed(seed)
    and_, or_ = torch.randn(2, *shape, 2**n, generator=generator, dtype=torch.float64)
    higher = orders(n) > 1
    and_ = and_ * (orders(n) == 1 if kind == "or" else orders(n) > 0)
    or_ = or_ * (higher & (kind != "and"))
    return Interactions(and_, or_, torch.randn(shape, generator=generator, dtype=torch.float64), NAMES[:n])


def certified(shape: tuple[int, ...], n: int = 3, seed: int = 0) -> Interactions:
    found = random(shape, n, seed=seed)
    objective = found.values.abs().sum((-1, -2))
    certificate = Certificate(
        objective,
        objective * 0.999,
        torch.full(shape, 1e-9, dtype=torch.float64),
        torch.arange(objective.numel()).reshape(shape),
    )
    return Interactions(found.and_, found.or_, found.offset, found.players, certificate)


def assert_same(a: Interactions, b: Interactions) -> None:
    assert a.players == b.players
    pairs = [(a.and_, b.and_), (a.or_, b.or_), (a.offset, b.offset)]
    assert (a.certificate is None) == (b.certificate is None)
    if a.certificate is not None and b.certificate is not None:
        pairs += [
            (getattr(a.certificate, name), getattr(b.certificate, name))
            for name in ("objective", "lower_bound", "resolution", "iterations")
        ]
    for x, y in pairs:
        assert x.dtype == y.dtype
        assert torch.equal(x, y)


def table(found: Interactions) -> np.ndarray:
    """The values that one table's interactions add up to, by slow sums."""
    both = oracles.zeta(found.and_.numpy()) + oracles.or_zeta(found.or_.numpy())
    return both + found.offset.item()


def exact(found: Interactions) -> shapiq.ExactComputer:
    """shapiq's exact computer on the table, which it reads through boolean coalitions."""
    values = table(found)

    def game(coalitions: np.ndarray) -> np.ndarray:
        return values[coalitions.astype(int) @ (1 << np.arange(found.n_players))]

    return shapiq.ExactComputer(game, n_players=found.n_players)


# xarray


@given(
    st.integers(1, 4),
    st.sampled_from([(), (1,), (3,), (0,), (2, 3), (2, 1, 2)]),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_xarray_round_trip(n: int, shape: tuple[int, ...], with_certificate: bool, seed: int) -> None:
    found = certified(shape, n, seed) if with_certificate else random(shape, n, seed=seed)
    assert_same(Interactions.from_xarray(found.to_xarray()), found)


def test_xarray_attributes_are_plain() -> None:
    attrs = certified((2,)).to_xarray().attrs
    assert attrs == {"players": ["good", "old", "film"]}
    assert type(attrs["players"]) is list


def test_xarray_keeps_to_the_leading_axes() -> None:
    found = certified((2, 3))
    array = found.to_xarray(("model", "sample"))
    assert_same(Interactions.from_xarray(array.isel(sample=0)), found[:, 0])
    assert_same(Interactions.from_xarray(array.isel(sample=0, model=1)), found[1, 0])
    assert_same(Interactions.from_xarray(array.isel(sample=[2, 0])), found[:, [2, 0]])
    named = array.assign_coords(sample=["x", "y", "z"], model=["before", "after"])
    assert_same(Interactions.from_xarray(named.sel(sample="y", model="after")), found[1, 1])
    joined = xarray.concat(
        [array.isel(sample=[0]), array.isel(sample=[1, 2])], dim="sample", coords="minimal"
    )
    assert_same(Interactions.from_xarray(joined), found)


def test_xarray_axes_may_move() -> None:
    found = certified((2, 3))
    array = found.to_xarray(("model", "sample"))
    assert_same(Interactions.from_xarray(array.transpose("subset", "model", "type", "sample")), found)
    swapped = Interactions.from_xarray(array.transpose("sample", "subset", "model", "type"))
    assert torch.equal(swapped.values, found.values.transpose(0, 1))
    assert torch.equal(swapped.offset, found.offset.T)
    assert torch.equal(swapped.certificate.iterations, found.certificate.iterations.T)
    pairs = Interactions.from_xarray(array.stack(pair=("model", "sample")))
    assert torch.equal(pairs.values, found.values.flatten(0, 1))
    assert torch.equal(pairs.certificate.objective, found.certificate.objective.flatten())


def test_xarray_labels_say_which_is_which() -> None:
    found = certified((2,))
    array = found.to_xarray(("sample",))
    assert_same(Interactions.from_xarray(array.sortby("order", ascending=False).isel(type=[1, 0])), found)


def test_xarray_shares_no_memory() -> None:
    found = certified((2,))
    before = found[:]
    array = found.to_xarray()
    again = Interactions.from_xarray(array)
    for name in ("order", "offset", "objective"):
        array.coords[name].values[:] = 7
    array.values[:] = 7
    assert_same(again, before)
    assert orders(3).tolist() == [0, 1, 1, 2, 1, 2, 2, 3]


@pytest.mark.parametrize(
    "dims", [(), ("model",), ("model", "model"), ("type", "sample"), ("model", "offset"), ("iterations", "x")]
)
def test_xarray_names_of_axes(dims: tuple[str, ...]) -> None:
    with pytest.raises(BequeathError, match=r"dims: .*give 2 different names"):
        certified((2, 3)).to_xarray(dims)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.values, "a ndarray given; give a DataArray"),
        (lambda a: a.to_dataset(), "a Dataset given"),
        (lambda a: xarray.DataArray(np.zeros((2, 8))), "no axis type, no axis subset, no coordinate type"),
        (lambda a: a.sel(type="or"), "no axis type;"),
        (lambda a: a.sum("subset"), "no axis subset"),
        (lambda a: a.drop_vars("offset"), "no coordinate offset"),
        (lambda a: a.drop_vars("lower_bound"), "no coordinate lower_bound"),
        (lambda a: a.drop_vars("subset"), "no coordinate subset"),
        (lambda a: a.drop_attrs(), "no attribute players"),
        (lambda a: a.isel(subset=a.order.values == 2), "the 3 labels of the axis subset are not the 8"),
        (lambda a: a.isel(type=[0, 0]), "the 2 labels of the axis type"),
        (lambda a: a.assign_coords(subset=list("abcdefgh")), "axis subset"),
        (lambda a: a.assign_attrs(players=["good"]), "the 2 needed for 1 players"),
        (lambda a: a.assign_attrs(players=["x"] * 40), "40 players"),
        (lambda a: a.isel(sample=0).expand_dims("sample"), "offset has the axes"),
        (lambda a: a.astype(int), "int64 values given"),
    ],
)
def test_foreign_arrays(change: Any, message: str) -> None:
    array = certified((2,)).to_xarray(("sample",))
    with pytest.raises(BequeathError, match=message):
        Interactions.from_xarray(change(array))


# shapiq


@pytest.mark.parametrize("kind", ["and", "or", "mixed"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_shapiq_has_the_same_moebius_transform(kind: str, n: int) -> None:
    found = random((), n, kind, seed=n)
    ours, theirs = found.to_shapiq(), exact(found)("Moebius", order=n)
    for subset in range(2**n):
        assert ours[members(subset, n)] == pytest.approx(theirs[members(subset, n)], abs=1e-9)
    assert ours[()] == ours.baseline_value == found.offset.item()
    assert (ours.index, ours.n_players, ours.min_order, ours.max_order) == ("Moebius", n, 0, n)
    assert not ours.estimated
    assert ours == theirs, "as shapiq compares"


@pytest.mark.parametrize("kind", ["and", "or", "mixed"])
@pytest.mark.parametrize(("index", "order"), [("SV", 1), ("k-SII", 2), ("STII", 2), ("FSII", 2), ("BV", 1)])
def test_shapiq_converts_to_its_other_indices(kind: str, index: Any, order: int) -> None:
    found = random((), 4, kind, seed=7)
    ours = MoebiusConverter(found.to_shapiq())(index, order=order)
    theirs = exact(found)(index, order=order)
    for subset in range(1, 16):
        if len(members(subset, 4)) <= order:
            assert ours[members(subset, 4)] == pytest.approx(theirs[members(subset, 4)], abs=1e-9)


def sparse() -> Interactions:
    and_ = torch.tensor([0, 0.1, 0, 0, 0, 0, 0, 0.7], dtype=torch.float64)
    or_ = torch.tensor([0, 0, 0, 0.3, 0, 0, 0, 0], dtype=torch.float64)
    return Interactions(and_, or_, torch.tensor(0.25, dtype=torch.float64), NAMES[:3])


def test_shapiq_gets_no_zeros() -> None:
    values = sparse().to_shapiq()
    assert values.interactions == {(): 0.25, (0,): 0.4, (1,): 0.3, (0, 1): -0.3, (0, 1, 2): 0.7}
    assert values[(2,)] == 0
    nothing = Interactions(*torch.zeros(2, 8, dtype=torch.float64), torch.tensor(0.0), NAMES[:3]).to_shapiq()
    assert nothing.interactions == {(): 0.0}


def test_shapiq_selects_and_plots() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    values = sparse().to_shapiq()
    np.testing.assert_allclose(values.get_n_order_values(1), [0.4, 0.3, 0])
    assert values.get_n_order(2).interactions == {(0, 1): -0.3}
    assert values.get_top_k(1, as_interaction_values=False)[1] == [((0, 1, 2), 0.7)]
    for plot in (values.plot_stacked_bar, values.plot_network, values.plot_upset, values.plot_force):
        plot(show=False)
        pyplot.close("all")


def test_shapiq_takes_one_table() -> None:
    with pytest.raises(BequeathError, match=r"to_shapiq: \(2,\) tables; index"):
        random((2,)).to_shapiq()
    assert random((2,))[1].to_shapiq().n_players == 3


@given(st.integers(1, 5), st.sampled_from(["and", "or", "mixed"]), st.integers(0, 2**31))
def test_shapiq_round_trip(n: int, kind: str, seed: int) -> None:
    found = random((), n, kind, seed)
    again = Interactions.from_shapiq(found.to_shapiq(), found.players)
    assert not again.or_.any()
    assert again.certificate is None
    torch.testing.assert_close(again.reconstruct(), torch.from_numpy(table(found)), rtol=0, atol=1e-12)
    if kind == "and":
        assert_same(again, found)
    assert again.to_shapiq() == found.to_shapiq()


def test_from_shapiqs_own_values() -> None:
    found = random((), 4)
    again = Interactions.from_shapiq(exact(found)("Moebius", order=4))
    assert again.players == ("0", "1", "2", "3")
    torch.testing.assert_close(again.reconstruct(), torch.from_numpy(table(found)), rtol=0, atol=1e-9)
    np.testing.assert_allclose(again.and_[1:], oracles.moebius(table(found))[1:], atol=1e-9)
    assert again.and_[0] == 0


def test_from_a_part_of_shapiqs_values() -> None:
    again = Interactions.from_shapiq(sparse().to_shapiq().get_n_order(min_order=1, max_order=2))
    assert again.and_.tolist() == [0, 0.4, 0.3, -0.3, 0, 0, 0, 0]
    assert again.offset == 0.25, "kept where the empty set is not"


def held(interactions: dict[tuple[int, ...], float], index: str = "Moebius", n: int = 3) -> Any:
    return shapiq.InteractionValues(
        interactions,
        interaction_lookup={},  # else shapiq lists all 2**n subsets
        index=index,
        n_players=n,
        min_order=0,
        max_order=n,
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (held({(0, 1): 1.0}, "SII"), "index 'SII' given.*give values with index=\"Moebius\", order=3"),
        (held({(0, 1): 1.0}, "Co-Moebius"), "Co-Moebius"),
        (held({(1, 3): 1.0}), r"interaction \(1, 3\) of 3 players; give players from 0 to 2"),
        (held({(-1,): 1.0}), "interaction"),
        (held({(0,): 1.0}, n=300), "300 players"),
        (np.zeros(8), "a ndarray given; give shapiq.InteractionValues"),
    ],
)
def test_values_that_cannot_be_read(values: Any, message: str) -> None:
    with pytest.raises(BequeathError, match=message):
        Interactions.from_shapiq(values)


def test_names_for_shapiqs_players() -> None:
    assert Interactions.from_shapiq(held({(0,): 1.0}), ["a", "b", "c"]).players == ("a", "b", "c")
    with pytest.raises(BequeathError, match="2 names for 3 players"):
        Interactions.from_shapiq(held({(0,): 1.0}), ["a", "b"])


def test_without_shapiq(monkeypatch: pytest.MonkeyPatch) -> None:
    values = sparse().to_shapiq()
    monkeypatch.setitem(sys.modules, "shapiq", None)
    for call in (sparse().to_shapiq, lambda: Interactions.from_shapiq(values)):
        with pytest.raises(BequeathError, match="pip install 'shapiq"):
            call()


def test_on_a_device() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    found = certified((2,))

    def moved(x: Tensor) -> Tensor:
        return x.cuda()

    there = Interactions(moved(found.and_), moved(found.or_), moved(found.offset), found.players)
    assert torch.equal(there.reconstruct(torch.tensor([5])).cpu(), found.reconstruct(torch.tensor([5])))
    assert_same(Interactions.from_xarray(there.to_xarray()), random((2,)))
    assert there[0].to_shapiq() == found[0].to_shapiq()
