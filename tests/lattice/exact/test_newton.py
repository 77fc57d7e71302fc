"""newton.py: the answer of the full iteration, in less time, and never a worse one."""

from __future__ import annotations

import warnings

import lattice_oracles as oracle
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lattice_oracles import network_series, random_table, structured_table
from torch import Tensor

from bequeath.lattice.exact import newton, newton_kernels, split
from bequeath.lattice.exact.basis import basis_of, transposed
from bequeath.lattice.exact.decompose import CertificateWarning, decompose
from bequeath.lattice.exact.duality import lower_bound, ridge_gap
from bequeath.lattice.exact.iteration import (
    Problems,
    advance,
    even_split,
    halve_singletons_,
    point_at,
    solution_at,
)
from bequeath.lattice.interactions import Interactions

# Strength that answers of one table share at the default resolution (docs/decomposition.md).
UNIQUE = 1 - 1e-4


def by_iteration_alone(v: Tensor, **options: float) -> Interactions:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(newton, "watch", lambda problems: None)
        return decompose(v, **options)


def integers(n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-2, 3, (2**n,), generator=generator).double()


def table_of(source: str, n: int, seed: int) -> Tensor:
    if source == "random":
        return random_table(n, seed=seed)
    if source == "structured":
        return structured_table(n, seed=seed)
    return integers(n, seed) if source == "integers" else network_series(n, 1, seed=seed)[0]


SOURCES = ["random", "structured", "integers", "network"]


# ---- one answer ----------------------------------------------------------------------------------


@given(source=st.sampled_from(SOURCES), n=st.integers(1, 6), seed=st.integers(0, 10**6))
@settings(max_examples=60)
def test_the_answer_is_that_of_the_iteration(source: str, n: int, seed: int) -> None:
    """If the iteration converges that far; also with ties, as for integers."""
    v = table_of(source, n, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CertificateWarning)
        slow, found = by_iteration_alone(v), decompose(v)
    assert found.certificate.gap <= 1e-3
    assert found.certificate.resolution <= max(1e-12, slow.certificate.resolution.item())
    if v.std() > 0 and slow.certificate.resolution <= 1e-12:
        assert oracle.least_shared(slow.values, found.values) >= UNIQUE
    assert (found.reconstruct() - v).abs().max() < 1e-9


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("n", [7, 8, 9])
def test_it_takes_a_part_of_the_iterations(source: str, n: int) -> None:
    v = table_of(source, n, seed=n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CertificateWarning)
        slow = by_iteration_alone(v)
    found = decompose(v)
    assert found.certificate.resolution <= 1e-12
    assert found.certificate.iterations < slow.certificate.iterations / 2
    assert found.certificate.objective.item() == pytest.approx(slow.certificate.objective.item(), rel=1e-6)
    # Largest distance of answers with two resolutions.
    if slow.certificate.resolution <= 1e-12:
        assert oracle.least_shared(slow.values, found.values) >= UNIQUE


@given(source=st.sampled_from(SOURCES), n=st.integers(2, 5), seed=st.integers(0, 10**6))
@settings(max_examples=20)
def test_the_certificate_against_a_linear_programme(source: str, n: int, seed: int) -> None:
    v = table_of(source, n, seed)
    certificate = decompose(v).certificate
    optimum = oracle.least_l1(v.numpy())
    assert certificate.lower_bound.item() <= optimum * (1 + 1e-7) + 1e-9
    assert optimum * (1 - 1e-7) - 1e-9 <= certificate.objective.item() <= optimum * (1 + 1e-3) + 1e-9


@given(n=st.integers(3, 7), seed=st.integers(0, 10**6))
@settings(max_examples=10)
def test_a_series_warm_cold_and_in_one_batch(n: int, seed: int) -> None:
    tables = network_series(n, 5, seed=seed)
    batch, previous = decompose(tables), None
    assert (batch.certificate.resolution <= 1e-12).all()
    for i, v in enumerate(tables):
        previous = decompose(v, start=previous)
        assert previous.certificate.resolution <= 1e-12
        assert previous.certificate.gap <= 1e-3
        assert oracle.least_shared(previous.values, batch[i].values) >= UNIQUE


@pytest.mark.parametrize("n", [4, 8])
def test_players_without_effect(n: int) -> None:
    """Most entries are zero in every answer: few are active, and the matrix is singular."""
    small = network_series(n - 2, 1, seed=3)[0]
    found = decompose(small.repeat(4))
    assert found.certificate.resolution <= 1e-12
    alone = decompose(small)
    width = len(small)
    torch.testing.assert_close(found.values[:, :width], alone.values, rtol=0, atol=1e-6)
    assert found.values[:, width:].abs().max() < 1e-6


def test_two_threads_give_the_same_numbers() -> None:
    tables = network_series(6, 6, seed=2)
    one = decompose(tables)
    torch.set_num_threads(2)
    two = decompose(tables)
    torch.testing.assert_close(one.values, two.values, rtol=0, atol=1e-6)


# ---- safety --------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [0.0, 0.01, 0.5])
def test_a_failure_costs_nothing_but_its_products(budget: float, monkeypatch: pytest.MonkeyPatch) -> None:
    v = structured_table(6, seed=5)
    slow = by_iteration_alone(v)
    monkeypatch.setattr(newton, "_BUDGET", budget)
    monkeypatch.setattr(newton, "_WORTH", 1e9)  # tried whenever it is allowed
    found = decompose(v)
    assert found.certificate.resolution <= 1e-12
    assert oracle.least_shared(slow.values, found.values) >= UNIQUE
    assert (found.reconstruct() - v).abs().max() < 1e-9


def test_it_is_bounded_by_max_iterations() -> None:
    v = network_series(8, 1, seed=1)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CertificateWarning)
        found = decompose(v, max_iterations=300)
    # Two runs, Newton's products, and the step at which it notices: at most two rounds of conjugate gradients.
    assert found.certificate.iterations <= 3 * 300 + 2 * 2**8 + 3


def problems_of(v: Tensor) -> Problems:
    v = (v - v[..., :1]).reshape(-1, 1, v.shape[-1])
    scale = v.abs().amax((-1, -2))
    return split._problems_of(v / scale[:, None, None], None, 0.0, scale, None, 1e-3, settle=True)[0]


def iterated(problems: Problems, steps: int) -> tuple[Tensor, Tensor]:
    x0 = halve_singletons_(even_split(problems.v))
    return solution_at(
        problems, advance(problems, point_at(problems, x0, torch.zeros_like(problems.k0)), steps)
    )


def gap_of(problems: Problems, x: Tensor, k: Tensor) -> Tensor:
    return ridge_gap(problems, x, k, lower_bound(problems, k)[1])


@pytest.mark.parametrize("spoilt", [float("nan"), float("inf")])
def test_what_it_cannot_improve_it_gives_back(spoilt: float) -> None:
    problems = problems_of(random_table(4, 2))
    x, k = iterated(problems, 100)
    k[1, 0, 3] = spoilt
    watched = newton.watch(problems)
    rows, spent = torch.arange(2), torch.tensor([10_000, 10_000])
    found, duals = newton.finish(problems, watched, rows, x, k, 1e-12, spent, most=10_000)
    assert torch.equal(found[1], x[1])
    assert (gap_of(problems, found, duals)[0] <= 1e-12).all()


def test_a_point_near_the_answer_is_finished() -> None:
    """From a gap of about 1e-4; the arguments are not changed."""
    problems = problems_of(torch.stack((random_table(6), structured_table(6))))
    x, k = iterated(problems, 1000)
    before = x.clone(), k.clone()
    watched = newton.watch(problems)
    spent = torch.full((2,), 10_000)
    found, duals = newton.finish(problems, watched, torch.arange(2), x, k, 1e-13, spent, most=10_000)
    assert (gap_of(problems, x, k) > 1e-9).all()
    assert (gap_of(problems, found, duals) <= 1e-13).all()
    assert torch.equal(x, before[0])
    assert torch.equal(k, before[1])
    assert (watched.used > 0).all()
    assert torch.equal(watched.failed, spent + watched.used)
    # It is a split of the tables: it has their coordinates.
    torch.testing.assert_close(problems.basis.coordinates(found), problems.k0, rtol=0, atol=1e-12)


def test_when_it_is_tried() -> None:
    watched = newton.watch(problems_of(random_table(3, 2)))
    rows, y = torch.tensor([1]), torch.zeros(1, 1, 2, 8, dtype=torch.float64)
    y[..., 0, 2], y[..., 1, 5] = 2.0, -2.0
    assert not watched.ready(rows, y, torch.tensor([10])), "two entries became active, and nothing was spent"
    assert watched.ready(rows, y, torch.tensor([1000])), "no change"
    y[..., 0, 2] = -2.0
    cost = (1 + newton._MORE_STEPS) * 8
    assert not watched.ready(rows, y, torch.tensor([int(cost / newton._WORTH) - 1])), "a sign is a change"
    watched.failed[1] = 1000
    assert not watched.ready(rows, y, torch.tensor([1100])), "it has failed not long ago"
    assert watched.ready(rows, y, torch.tensor([1500]))
    assert not watched.active[0].any()


def test_where_it_is_not_tried() -> None:
    from dataclasses import replace

    problems = problems_of(random_table(3, 2))
    assert newton.watch(problems) is not None
    assert newton.watch(replace(problems, v=problems.v.expand(-1, 2, -1))) is None
    assert newton.watch(replace(problems, noise=torch.ones(2, 1))) is None
    assert newton.watch(replace(problems, tilt=torch.zeros(2, 1, 2, 8))) is None


# ---- kernels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", range(1, 8))
def test_kernels_are_the_basis(n: int) -> None:
    basis = basis_of(n, torch.device("cpu"))
    constants = [t.numpy() for t in (basis.weight_and, basis.weight_or, basis.empty)]
    u, v, vt = (torch.tensor(m, dtype=torch.float64).numpy() for m in
                (basis.rotate_and, basis.rotate_or, transposed(basis.rotate_or)))  # fmt: skip
    k, x = random_table(n, seed=1), random_table(n, 2, seed=2)
    y, c, a, b = (torch.empty(shape, dtype=torch.float64) for shape in ((2, 2**n), 2**n, 2**n, 2**n))
    newton_kernels._to_dual(k.numpy(), y.numpy(), *constants, u, v, a.numpy(), b.numpy())
    torch.testing.assert_close(y, basis.to_dual(k))
    newton_kernels._coordinates(x.numpy(), c.numpy(), *constants, u, vt, a.numpy(), b.numpy())
    torch.testing.assert_close(c, basis.coordinates(x))


def test_the_line_search_finds_the_least() -> None:
    """On random lines, the slope, a sum over entries, falls to a tenth."""
    for seed in range(20):
        y, along = 2 * random_table(3, 2, seed=seed), random_table(3, 2, seed=100 + seed)

        def slope(t: float, y: Tensor = y, along: Tensor = along, flat: float = 0.0) -> float:
            z = y + t * along
            return flat + (along * (z - z.clamp(-1, 1))).sum().item()

        flat = -slope(0.0) - 1.0  # so that it falls at first, by 1
        active = (y.abs() > 1).double()
        t, full = newton_kernels._along(y.numpy(), along.numpy(), flat, 1.0, active.numpy())
        assert full or abs(slope(t, flat=flat)) <= 0.1 + 1e-9
        assert not full or (t == 1 and (((y + along).abs() > 1) == (y.abs() > 1)).all())
