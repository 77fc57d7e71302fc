"""decompose.py: the values that it adds up to, its certificate, and the uniqueness of its answer."""

from __future__ import annotations

import math
import warnings

import lattice_oracles as oracle
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lattice_oracles import random_table, structured_table
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice import kronecker, transforms
from bequeath.lattice.exact.decompose import CertificateWarning, decompose
from bequeath.lattice.interactions import Interactions
from bequeath.lattice.subsets import orders

# Enough for the objective and its certificate, which need no unique solution.
ROUGH = {"resolution": 1e-4}
# Strength that answers of one table share at the default resolution (docs/decomposition.md).
UNIQUE = 1 - 1e-4


def shared(a: Interactions, b: Interactions) -> float:
    return oracle.least_shared(a.values, b.values)


def labelled(values: Tensor) -> Interactions:
    """Interactions of any values (..., 2, 2**n), for starts."""
    n = values.shape[-1].bit_length() - 1
    names = tuple(str(i) for i in range(n))
    return Interactions(values[..., 0, :], values[..., 1, :], values.new_zeros(values.shape[:-2]), names)


# ---- universal matching --------------------------------------------------------------------------


@pytest.mark.parametrize("n", range(1, 13))
@pytest.mark.parametrize("kind", ["and", "or", "and-or"])
def test_universal_matching(kind: str, n: int) -> None:
    """On all masks, for any accuracy of the solver: only the sparsity is approximate, not the sum."""
    v = random_table(n, 2, seed=n) + 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CertificateWarning)
        found = decompose(v, kind, max_iterations=150, **ROUGH)
    assert (found.reconstruct() - v).abs().max() < 1e-9
    assert torch.equal(found.offset, v[:, 0])
    assert not found.values[..., 0].any(), "the empty set has no interaction"
    assert not found.or_[:, orders(n) == 1].any(), "singletons stand under AND"


@pytest.mark.parametrize("kind", ["and", "or", "and-or"])
@given(data=st.data(), n=st.integers(1, 4))
@settings(max_examples=25)
def test_universal_matching_by_slow_sums(kind: str, n: int, data: st.DataObject) -> None:
    v = data.draw(arrays(np.float64, 2**n, elements=st.floats(-1e4, 1e4, allow_subnormal=False)))
    found = decompose(torch.from_numpy(v), kind, **ROUGH)
    total = oracle.zeta(found.and_.numpy()) + oracle.or_zeta(found.or_.numpy()) + v[0]
    np.testing.assert_allclose(total, v, rtol=0, atol=1e-9 * max(1, np.abs(v).max()))


@pytest.mark.parametrize("magnitude", [1e-200, 1e-6, 1e200])
def test_units_do_not_matter(magnitude: float) -> None:
    v = random_table(5)
    plain, scaled = decompose(v, **ROUGH), decompose(v * magnitude, **ROUGH)
    torch.testing.assert_close(scaled.values / magnitude, plain.values, rtol=0, atol=1e-9)
    torch.testing.assert_close(scaled.certificate.gap, plain.certificate.gap, rtol=1e-6, atol=1e-12)


def test_closed_forms_are_the_definitions() -> None:
    v = random_table(5)
    grounded = (v - v[0]).numpy()
    ands = decompose(v, "and")
    np.testing.assert_allclose(ands.and_.numpy(), oracle.moebius(grounded), atol=1e-12)
    assert ands.certificate is None
    assert not ands.or_.any()
    ors = decompose(v, "or")
    np.testing.assert_allclose((ors.and_ + ors.or_).numpy(), oracle.or_moebius(grounded), atol=1e-12)


# ---- planted games -------------------------------------------------------------------------------

Terms = dict[tuple[int, ...], float]
AND_TERMS: Terms = {(0,): 1.5, (0, 1, 2): 2.0, (1, 4): -1.25, (2, 3, 4, 5): 0.75}
OR_TERMS: Terms = {(0, 3, 5): 1.8, (1, 2, 4): -0.9, (0, 1, 2, 3, 4): 0.6}


def planted(n: int, ands: Terms, ors: Terms) -> tuple[Tensor, Tensor]:
    """The game directly from the definitions of AND and OR, and its (2, 2**n) interactions."""
    present = [{i for i in range(n) if s >> i & 1} for s in range(2**n)]
    v = [
        0.7
        + sum(effect for term, effect in ands.items() if set(term) <= s)
        + sum(effect for term, effect in ors.items() if set(term) & s)
        for s in present
    ]
    values = torch.zeros(2, 2**n, dtype=torch.float64)
    for row, terms in enumerate((ands, ors)):
        for term, effect in terms.items():
            values[row, sum(1 << i for i in term)] = effect
    return torch.tensor(v, dtype=torch.float64), values


@pytest.mark.parametrize(
    ("kind", "ands", "ors"),
    [
        ("and", AND_TERMS, {}),
        ("or", {(0,): 1.5}, OR_TERMS),
        ("and-or", AND_TERMS, {}),
        ("and-or", {(0,): 1.5}, OR_TERMS),
        ("and-or", AND_TERMS, OR_TERMS),
    ],
    ids=["and", "or", "and-or of ANDs", "and-or of ORs", "and-or of both"],
)
@pytest.mark.parametrize("n", [6, 8])
def test_planted_terms_are_recovered(n: int, kind: str, ands: Terms, ors: Terms) -> None:
    """Up to 1e-6 of effects of size 1, with the offset 0.7 separate. Players after the sixth are dummies."""
    v, values = planted(n, ands, ors)
    found = decompose(v, kind)
    torch.testing.assert_close(found.values, values, rtol=0, atol=1e-6)
    assert found.offset.item() == 0.7
    if found.certificate is not None:
        assert found.certificate.objective.item() == pytest.approx(values.abs().sum().item(), rel=1e-6)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15)
def test_never_less_sparse_than_what_was_planted(seed: int) -> None:
    """Some planted mixtures have ties or are not the sparsest: the answer may differ, but not be worse."""
    generator = np.random.default_rng(seed)
    values = np.zeros((2, 32))
    values[generator.integers(0, 2, 5), generator.integers(1, 32, 5)] = generator.normal(size=5)
    v = oracle.zeta(values[0]) + oracle.or_zeta(values[1])
    certificate = decompose(torch.from_numpy(v), **ROUGH).certificate
    assert certificate.lower_bound.item() <= np.abs(values).sum() * (1 + 1e-9)
    assert certificate.objective.item() <= np.abs(values).sum() * (1 + 2e-3)


# ---- certificates --------------------------------------------------------------------------------


def check_certificate(v: Tensor, optimum: float, tol: float) -> None:
    found = decompose(v, tol=tol, **ROUGH)
    certificate = found.certificate
    objective, bound = certificate.objective.item(), certificate.lower_bound.item()
    assert found.values.abs().sum().item() == pytest.approx(objective, rel=1e-9, abs=1e-12)
    oracle.check_bounds(objective, bound, optimum, tol)
    torch.testing.assert_close(
        certificate.gap, torch.tensor((objective - bound) / max(objective, 1e-300)).double()
    )


@pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-5])
@pytest.mark.parametrize("n", [1, 2, 4, 6])
def test_certificate_against_a_linear_programme(n: int, tol: float) -> None:
    v = random_table(n, seed=n)
    check_certificate(v, oracle.least_l1(v.numpy()), tol)


@given(data=st.data(), n=st.integers(1, 4))
def test_certificate_on_degenerate_tables(n: int, data: st.DataObject) -> None:
    """Few small integers: ties everywhere, many optima, exact zeros."""
    v = data.draw(arrays(np.int64, 2**n, elements=st.integers(-2, 2)))
    certificate = decompose(torch.from_numpy(v), **ROUGH).certificate
    optimum = oracle.least_l1(v.astype(float))
    assert certificate.lower_bound.item() <= optimum * (1 + 1e-7) + 1e-9
    assert certificate.objective.item() >= optimum * (1 - 1e-7) - 1e-9
    assert certificate.gap.item() <= 1e-3


def test_certificate_on_a_structured_table_of_8_players() -> None:
    v = structured_table(8)
    check_certificate(v, oracle.least_l1(v.numpy()), 1e-3)


@pytest.mark.parametrize("name", ["cnn_n6_s0", "cnn_n8_s0", "random_n6_s0", "random_n8_s0", "cnn_n10_s0"])
def test_certificate_on_reference_tables(name: str) -> None:
    table, known = oracle.reference_table(name), oracle.reference_result(name)
    # The published objectives count the empty set's entry, |v(0)|, which is no interaction here.
    check_certificate(torch.from_numpy(table), known["lp_optimum_q0"] - abs(float(table[0])), 1e-3)


def test_ridge_keeps_the_optimum() -> None:
    """Exact regularisation: the unique minimiser is an optimum of the plain problem, not a compromise."""
    tables = torch.stack([random_table(5, seed=s) for s in range(6)])
    found = decompose(tables, tol=1e-6)
    optima = torch.tensor([oracle.least_l1(v.numpy()) for v in tables], dtype=torch.float64)
    torch.testing.assert_close(found.certificate.objective, optima, rtol=1e-6, atol=0)


def test_too_few_iterations_are_said() -> None:
    v = torch.stack((random_table(6), torch.zeros(64, dtype=torch.float64)))
    with pytest.warns(
        CertificateWarning, match="1 of 2 decompositions stopped above the requested gap 1e-05"
    ):
        found = decompose(v, tol=1e-5, max_iterations=5)
    optimum = oracle.least_l1(v[0].numpy())
    certificate = found.certificate
    assert certificate.lower_bound[0] <= optimum <= certificate.objective[0]
    assert certificate.gap[0] > 1e-5
    assert certificate.gap[1] == 0
    assert certificate.iterations[0] == 10  # two runs
    assert (found.reconstruct() - v).abs().max() < 1e-9


@pytest.mark.parametrize("n", range(1, 10))
def test_the_answer_is_settled(n: int) -> None:
    tables = torch.stack((random_table(n, seed=n), structured_table(n, seed=n)))
    found = decompose(tables)
    assert (found.certificate.resolution <= 1e-12).all()
    assert found[0].certificate.resolution == found.certificate.resolution[0]


def test_an_answer_that_is_not_settled_shows_it() -> None:
    v = table_of("random", 10)
    with pytest.warns(CertificateWarning):
        found = decompose(v, max_iterations=20)
    assert 1e-3 < found.certificate.resolution.item() < float("inf")


def test_the_gap_alone_can_be_asked_for() -> None:
    v = table_of("random", 7)
    quick, settled = decompose(v, resolution=math.inf).certificate, decompose(v).certificate
    assert quick.gap <= 1e-3
    assert quick.resolution == math.inf
    assert settled.objective * (1 - 1e-7) <= quick.objective <= settled.objective * (1 + 1e-3)
    assert quick.iterations < settled.iterations / 3


def test_a_resolution_coarser_than_tol_still_reaches_tol() -> None:
    """The first phase determines the objective: if it is coarse, the second phase cannot reach `tol`."""
    v = torch.tensor([-8249.0, 0.0, 738.0, 0.0])
    found = decompose(v, tol=1e-4, resolution=1e-1)
    assert found.certificate.gap <= 1e-4
    assert found.certificate.iterations < 5000


def test_no_warning_without_reason() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decompose(random_table(6), **ROUGH)


# ---- one table, one answer -----------------------------------------------------------------------


def starts_of(v: Tensor) -> tuple[list[str], Interactions]:
    """Realistic starts, and random ones as large as the largest interaction."""
    n = v.shape[-1].bit_length() - 1
    even = torch.stack((transforms.moebius(v / 2), transforms.or_moebius(v / 2)))
    harsanyi = torch.stack((transforms.moebius(v), torch.zeros_like(v)))
    ors = torch.stack((torch.zeros_like(v), transforms.or_moebius(v)))
    other = decompose(v + 0.1 * v.std() * random_table(n, seed=99), **ROUGH).values
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(2, *even.shape, generator=generator, dtype=v.dtype) * 2 * even.abs().max()
    names = ["zero", "harsanyi", "or", "another table's", "random", "random"]
    return names, labelled(torch.stack([torch.zeros_like(even), harsanyi, ors, other, *noise]))


TABLES = [("random", n) for n in (1, 2, 4, 6, 8)] + [("structured", n) for n in (4, 7)]


def table_of(source: str, n: int) -> Tensor:
    v = random_table(n, seed=20 + n) if source == "random" else structured_table(n, seed=20 + n)
    return v - v[0]


@pytest.mark.parametrize(("source", "n"), TABLES)
def test_one_answer_from_every_start(source: str, n: int) -> None:
    v = table_of(source, n)
    alone = decompose(v)
    names, starts = starts_of(v)
    found = decompose(v.expand(len(names), -1), start=starts)
    for i, name in enumerate(names):
        assert shared(alone, found[i]) >= UNIQUE, name


@pytest.mark.parametrize(
    "name", ["cnn_n6_s0", "cnn_n8_s0", "cnn_n10_s0", "random_n6_s0", "random_n8_s0", "random_n10_s0"]
)
def test_one_answer_on_reference_tables(name: str) -> None:
    v = torch.from_numpy(oracle.reference_table(name))
    names, starts = starts_of(v)
    found = decompose(v.expand(len(names), -1), start=starts)
    assert min(shared(found[:1], found[i : i + 1]) for i in range(len(names))) >= UNIQUE


@pytest.mark.parametrize("source", ["random", "structured"])
@pytest.mark.parametrize("n", [10, 12])
def test_one_answer_of_many_players(source: str, n: int) -> None:
    v = table_of(source, n)
    harsanyi = labelled(torch.stack((transforms.moebius(v), torch.zeros_like(v))))
    assert shared(decompose(v), decompose(v, start=harsanyi)) >= UNIQUE


@pytest.mark.parametrize("n", [3, 6, 9])
def test_one_answer_in_both_precisions(n: int) -> None:
    v = table_of("random", n)
    single = decompose(v, precision="float32")
    assert single.and_.dtype == torch.float64
    assert single.certificate.resolution <= 1e-12
    assert shared(decompose(v), single) >= UNIQUE


def test_one_answer_without_compiled_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = torch.stack((table_of("random", 6), table_of("structured", 6)))
    compiled = decompose(tables)
    # Newton, which is compiled only, and the iteration in torch end within the resolution of one another.
    rough = decompose(tables, resolution=math.inf)
    monkeypatch.setattr(kronecker, "kernels", lambda module: None)
    assert shared(decompose(tables), compiled) >= UNIQUE
    in_torch = decompose(tables, resolution=math.inf)
    torch.testing.assert_close(in_torch.certificate.iterations, rough.certificate.iterations)
    torch.testing.assert_close(in_torch.values, rough.values, rtol=0, atol=1e-9)


def test_one_answer_in_any_batch() -> None:
    tables = random_table(3, 6, seed=4)
    together = decompose(tables)
    assert shared(together[2], decompose(tables[2])) >= UNIQUE
    assert shared(together[[4, 1]], decompose(tables[[4, 1]])) >= UNIQUE
    grid = decompose(tables.view(2, 3, 8))
    assert grid.and_.shape == (2, 3, 8)
    assert grid.certificate.gap.shape == (2, 3)
    assert shared(grid[1, 2], together[5]) >= UNIQUE


def test_one_answer_past_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    from bequeath.lattice.exact import decompose as module

    tables = random_table(4, 5, seed=8)
    whole = decompose(tables)
    monkeypatch.setattr(module, "_BLOCK_ENTRIES", 2 * 2**4)
    finished: list[int] = []
    assert shared(whole, decompose(tables, progress=finished.append)) >= UNIQUE
    assert finished == [2, 2, 1]


@pytest.mark.parametrize("n", [2, 3, 4, 5, 7, 9])
def test_one_answer_under_renamed_players(n: int) -> None:
    v = table_of("random", n)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(n)).tolist()
    found = decompose(oracle.permute(v, order)).values
    expected = oracle.permute(decompose(v).values, order)
    assert oracle.shared_strength(expected, found) >= UNIQUE
    assert oracle.shared_strength(found, expected) >= UNIQUE


def test_one_answer_with_two_threads() -> None:
    tables = random_table(4, 3, seed=12)
    single = decompose(tables)
    torch.set_num_threads(2)
    assert shared(single, decompose(tables)) >= UNIQUE


def test_a_rerun_is_identical() -> None:
    v = random_table(6, seed=13)
    assert torch.equal(decompose(v).values, decompose(v).values)


@pytest.mark.parametrize(("source", "n"), [("random", 2), ("random", 4), ("random", 6), ("structured", 4)])
def test_continuous(source: str, n: int) -> None:
    """A change of 1e-4 of the table's deviation moves less than 1% of the strength."""
    v = table_of(source, n)
    noise = 1e-4 * v.std() * random_table(n, seed=31)
    found = decompose(torch.stack((v, v + noise)))
    assert shared(found[0], found[1]) > 0.99


# ---- edges and bad input -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["and", "or", "and-or"])
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("value", [0.0, 4.0])
def test_constant_tables_have_no_interactions(kind: str, n: int, value: float) -> None:
    found = decompose(torch.full((2, 2**n), value), kind)
    assert not found.values.any()
    assert torch.equal(found.offset, torch.full((2,), value).double())
    if found.certificate is not None:
        assert not found.certificate.gap.any()
        assert not found.certificate.objective.any()


def test_one_and_two_players() -> None:
    torch.testing.assert_close(decompose(torch.tensor([1.0, 3.5])).and_, torch.tensor([0, 2.5]).double())
    both = decompose(torch.tensor([0.0, 0.0, 0.0, 1.0]))  # AND of both; as an OR it would cost 3
    torch.testing.assert_close(both.and_, torch.tensor([0, 0, 0, 1.0]).double(), rtol=0, atol=1e-6)
    either = decompose(torch.tensor([0.0, 1.0, 1.0, 1.0]))
    torch.testing.assert_close(either.or_, torch.tensor([0, 0, 0, 1.0]).double(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64, torch.uint8, torch.bool])
def test_other_dtypes_are_computed_in_float64(dtype: torch.dtype) -> None:
    v = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1], dtype=dtype)
    found, expected = decompose(v), decompose(v.double())
    assert found.and_.dtype == found.or_.dtype == found.offset.dtype == torch.float64
    assert torch.equal(found.values, expected.values)


def test_numpy_tables_and_the_input_stays() -> None:
    table = random_table(3).numpy()
    before = table.copy()
    decompose(table)
    np.testing.assert_array_equal(table, before)


def test_tables_that_carry_gradients() -> None:
    assert not decompose(random_table(3).requires_grad_()).and_.requires_grad


@pytest.mark.parametrize("kind", ["and", "or", "and-or"])
@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_no_tables(kind: str, shape: tuple[int, ...]) -> None:
    found = decompose(torch.zeros(*shape, 8), kind)
    assert found.values.shape == (*shape, 2, 8)
    assert found.offset.shape == shape
    assert found.certificate is None or found.certificate.gap.shape == shape


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", ["and", "or", "and-or"])
def test_values_that_are_not_finite_are_named(kind: str, value: float) -> None:
    v = random_table(3, 2)
    v[1, 5] = value
    with pytest.raises(BequeathError, match=rf"v: {value} at index \(1, 5\)"):
        decompose(v, kind)


def test_values_that_overflow() -> None:
    with pytest.raises(BequeathError, match="overflow"):
        decompose(torch.tensor([-1e308, 1e308, 0, 0], dtype=torch.float64), "and")


@pytest.mark.parametrize("length", [0, 1, 3, 100])
def test_wrong_length(length: int) -> None:
    with pytest.raises(
        BequeathError, match=rf"shape \(2, {length}\) has length {length}; give 2\*\*n values"
    ):
        decompose(torch.zeros(2, length))


def test_too_many_players() -> None:
    v = torch.zeros(1).expand(2**25)  # no memory behind it
    with pytest.raises(BequeathError, match="33,554,432 model evaluations and 268,435,456 bytes"):
        decompose(v)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "AND"}, "kind: 'AND'; give"),
        ({"tol": 0.0}, "tol"),
        ({"tol": -1e-3}, "tol"),
        ({"tol": float("nan")}, "tol"),
        ({"resolution": 0.0}, "resolution"),
        ({"resolution": float("nan")}, "resolution"),
        ({"max_iterations": 0}, "max_iterations: 0; give a whole number of 1 or more"),
        ({"noise": -0.1}, "noise: .* give a share"),
        ({"noise": float("nan")}, "noise: .* give a share"),
        ({"noise": float("inf")}, "noise: .* give a share"),
        ({"precision": "bfloat16"}, "precision: 'bfloat16'; give"),
        ({"players": ["a", "b"]}, "players: 2 names for 3 players"),
        ({"start": labelled(torch.zeros(2, 16))}, r"start: shape \(16,\) for tables of shape \(8,\)"),
        ({"start": labelled(torch.zeros(1, 2, 8))}, r"start: shape \(1, 8\) for tables of shape \(8,\)"),
        (
            {"start": labelled(torch.full((2, 8), float("nan")))},
            "start: interactions that are not finite; give",
        ),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(BequeathError, match=message):
        decompose(random_table(3), **arguments)


def test_complex_values() -> None:
    with pytest.raises(BequeathError, match="complex numbers"):
        decompose(torch.zeros(8, dtype=torch.complex64))


def test_a_start_for_a_table_without_effects() -> None:
    """A constant table with a start from another table: there is no scale to divide the start by."""
    tables = torch.stack((torch.full((16,), 2.0).double(), random_table(4)))
    found = decompose(tables, start=labelled(torch.randn(2, 2, 16).double()))
    assert not found[0].values.any()
    assert shared(found[1], decompose(tables[1])) >= UNIQUE


def test_names_are_kept() -> None:
    assert decompose(random_table(2), players=["good", "film"]).players == ("good", "film")
