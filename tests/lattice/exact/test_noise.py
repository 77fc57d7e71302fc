"""decompose(noise=...): sparser interactions of tables that may change a little, and their certificates."""

from __future__ import annotations

import itertools
import math
import warnings

import lattice_oracles as oracle
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from bequeath.lattice import kronecker, transforms
from bequeath.lattice.exact import decompose as decompose_module
from bequeath.lattice.exact import duality, iteration, split
from bequeath.lattice.exact.basis import basis_of
from bequeath.lattice.exact.decompose import CertificateWarning, decompose
from bequeath.lattice.interactions import Interactions

NOISE = 0.04  # of the papers' code
SETTLED = 1e-5
# Rounding of the sums that the change is computed by, relative to the table's largest value.
ROUNDING = 1e-11


def table_of(source: str, n: int, seed: int = 0) -> Tensor:
    make = oracle.random_table if source == "random" else oracle.structured_table
    return make(n, seed=1000 * n + seed)


def bound_of(v: Tensor, noise: float = NOISE) -> float:
    return noise * abs((v[-1] - v[0]).item())


def optimum_of(v: Tensor, noise: float = NOISE) -> float:
    return oracle.least_l1_noisy(v.numpy(), bound_of(v, noise))


def random_start(v: Tensor, seed: int = 7) -> Interactions:
    """Random interactions, twice as large as the largest of the even split."""
    n = v.shape[-1].bit_length() - 1
    generator = torch.Generator().manual_seed(seed)
    even = iteration.even_split(v - v[..., :1])
    values = torch.randn(even.shape, generator=generator, dtype=v.dtype)
    values *= 2 * even.abs().amax((-1, -2), keepdim=True)
    names = tuple(str(i) for i in range(n))
    return Interactions(values[..., 0, :], values[..., 1, :], v.new_zeros(v.shape[:-1]), names)


def check(v: Tensor, found: Interactions, optimum: float, *, noise: float = NOISE, tol: float = 1e-3) -> None:
    """The certificate against the optimum, and the values that the interactions add up to against the bound."""
    certificate = found.certificate
    objective, low = certificate.objective.item(), certificate.lower_bound.item()
    assert found.values.abs().sum().item() == pytest.approx(objective, rel=1e-9, abs=1e-12)
    oracle.check_bounds(objective, low, optimum, tol)
    change = found.reconstruct() - v
    assert change.abs().max() <= bound_of(v, noise) + ROUNDING * v.abs().max()
    assert change[0] == 0, "v(0) is not to change"
    assert torch.equal(found.offset, v[0])


# ---- optima and bounds ---------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["random", "structured"])
@pytest.mark.parametrize("n", range(1, 7))
@pytest.mark.parametrize("resolution", [None, SETTLED])
def test_certificate_against_a_linear_programme(resolution: float | None, n: int, source: str) -> None:
    for seed in range(3):
        v = table_of(source, n, seed)
        check(v, decompose(v, noise=NOISE, resolution=resolution), optimum_of(v))


@pytest.mark.parametrize("noise", [1e-6, 0.3, 0.9])
def test_other_bounds_against_a_linear_programme(noise: float) -> None:
    v = table_of("random", 4)
    check(v, decompose(v, noise=noise), optimum_of(v, noise), noise=noise)


@pytest.mark.parametrize("source", ["random", "structured"])
def test_a_tight_certificate(source: str) -> None:
    v = table_of(source, 5)
    check(v, decompose(v, noise=NOISE, tol=1e-6), optimum_of(v), tol=1e-6)


@given(data=st.data(), n=st.integers(1, 4))
@settings(max_examples=40)
def test_certificate_on_degenerate_tables(n: int, data: st.DataObject) -> None:
    """Few small integers: ties everywhere; tables with v(N) = v(0), whose bound is 0; constant ones."""
    v = data.draw(arrays(np.int64, 2**n, elements=st.integers(-2, 2))).astype(float)
    optimum = oracle.least_l1_noisy(v, NOISE * abs(v[-1] - v[0]))
    check(torch.from_numpy(v), decompose(torch.from_numpy(v), noise=NOISE), optimum)


def test_the_objective_is_the_norm_of_the_answer() -> None:
    v = torch.tensor([1.0, 1, 0, 0, 0, 0, 0, 0])
    found = decompose(v, noise=NOISE)
    assert found.values.abs().sum().item() == pytest.approx(found.certificate.objective.item(), rel=1e-9)


@pytest.mark.parametrize("name", ["cnn_n6_s0", "cnn_n8_s0", "cnn_n10_s0"])
@pytest.mark.parametrize("options", [{}, {"resolution": SETTLED}, {"precision": "float32"}], ids=str)
def test_certificate_on_reference_tables(name: str, options: dict[str, object]) -> None:
    """The known optimum is reached, and the objective is never above that of the published solver."""
    table, known = oracle.reference_table(name), oracle.reference_result(name)
    assert table[0] == 0, "otherwise the known optimum would count the empty set's entry"
    v = torch.from_numpy(table)
    found = decompose(v, noise=NOISE, **options)
    check(v, found, known["lp_optimum_q0.04"])
    assert found.certificate.objective <= known["published"]["objective"]


@pytest.mark.parametrize("source", ["random", "structured"])
@pytest.mark.parametrize("resolution", [None, SETTLED])
def test_float32_iterations_and_a_float64_certificate(source: str, resolution: float | None) -> None:
    for n in (1, 3, 6):
        v = table_of(source, n)
        found = decompose(v, noise=NOISE, precision="float32", resolution=resolution)
        assert found.and_.dtype == found.certificate.objective.dtype == torch.float64
        check(v, found, optimum_of(v))


@pytest.mark.parametrize("coupling", [0.0, 0.3])
@pytest.mark.parametrize("n", [2, 4])
def test_any_dual_vector_bounds_any_split_within_noise(n: int, coupling: float) -> None:
    """Weak duality, without the solver: random dual vectors against random splits of changed tables."""
    generator = torch.Generator().manual_seed(n)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    count, models = 200, 2
    v, basis = random(1, models, 2**n).expand(count, -1, -1).clone(), basis_of(n, torch.device("cpu"))
    v[..., 0] = 0
    noise = torch.full((count, models), 0.2, dtype=torch.float64)
    one = torch.ones(count, dtype=torch.float64)
    problems = iteration.Problems(
        v, iteration.coordinates_of(basis, v), noise, one, one, coupling=coupling, metric=1.0
    )
    # Dual vectors of good splits, because random ones give weak bounds.
    well = torch.stack([iteration.even_split(table) for table in v[0]]).sign()
    k = basis.coordinates(well + 0.3 * random(count, models, 2, 2**n))
    bounds, _ = duality.lower_bound(problems, k)
    change = 0.2 * random(count, models, 2**n).clamp(-1, 1)
    u = v / 2 + 0.1 * random(count, models, 2**n)
    change[..., 0] = u[..., 0] = 0
    x = torch.stack((transforms.moebius(u), transforms.or_moebius(v + change - u)), dim=-2)
    values = x.abs().sum((1, 2, 3)) + coupling * (x[:, 0] - x[:, 1]).abs().sum((1, 2))
    assert bounds.max() <= values.min() + 1e-9
    assert bounds.max() > 0.1 * values.min(), "bounds this weak show nothing"


def test_too_few_iterations_are_said() -> None:
    v = table_of("random", 5)
    with pytest.warns(
        CertificateWarning, match="1 of 1 decompositions stopped above the requested gap 0.001"
    ):
        found = decompose(v, noise=NOISE, max_iterations=5)
    certificate, optimum = found.certificate, optimum_of(v)
    assert certificate.lower_bound <= optimum * (1 + 1e-9)
    assert certificate.objective >= optimum * (1 - 1e-9)
    assert certificate.gap > 1e-3
    assert (found.reconstruct() - v).abs().max() <= bound_of(v) * (1 + 1e-9)


# ---- how noise acts ------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["random", "structured"])
def test_no_noise_is_no_noise(source: str) -> None:
    v = table_of(source, 5)
    assert torch.equal(decompose(v, noise=0.0).values, decompose(v).values)


@pytest.mark.parametrize("source", ["random", "structured"])
@pytest.mark.parametrize("n", [2, 4, 6])
def test_a_bound_of_zero_is_the_exact_problem(n: int, source: str) -> None:
    """The iteration for noise gives the answer of the other iteration if no value may change."""
    v = table_of(source, n)
    grounded = (v - v[0])[None, None]
    zero = torch.zeros(1, 1, dtype=torch.float64)
    options = {"tol": 1e-3, "max_iterations": 100_000}
    exact = split.sparsest_split(grounded, ridge_tol=1e-12, **options)
    noisy = split.sparsest_split(grounded, ridge_tol=1e-9, noise=zero, **options)
    torch.testing.assert_close(noisy.objective, exact.objective, rtol=1e-6, atol=0)
    assert oracle.least_shared(noisy.x[0, 0], exact.x[0, 0]) >= 1 - 1e-4
    total = transforms.zeta(noisy.x[0, 0, 0]) + transforms.or_zeta(noisy.x[0, 0, 1])
    torch.testing.assert_close(total, grounded[0, 0], rtol=0, atol=1e-11)


@pytest.mark.parametrize("source", ["random", "structured"])
@pytest.mark.parametrize("n", [2, 4, 6])
def test_more_noise_is_never_less_sparse(n: int, source: str) -> None:
    v, tol = table_of(source, n), 1e-5
    shares = (0.0, 0.01, 0.04, 0.2, 0.6)
    certificates = [decompose(v, noise=noise, tol=tol, resolution=math.inf).certificate for noise in shares]
    objectives = [certificate.objective.item() for certificate in certificates]
    for less, more in itertools.pairwise(objectives):
        assert more * (1 - tol) <= less
    # All values, because v(N) itself may move towards v(0).
    assert objectives[-1] < 0.9 * objectives[0]
    # The optimum of a linear programme is convex in its bound.
    for (a, b, c), (x, y, z) in zip(
        zip(shares, shares[1:], shares[2:], strict=False),
        zip(objectives, objectives[1:], objectives[2:], strict=False),
        strict=True,
    ):
        assert y * (1 - tol) <= ((c - b) * x + (b - a) * z) / (c - a)


def test_noise_recovers_what_was_planted() -> None:
    """Few interactions, and values changed by less than the bound: the answer is at least as sparse as these
    interactions; without noise it is much less sparse."""
    generator = np.random.default_rng(3)
    values = np.zeros((2, 64))
    values[generator.integers(0, 2, 6), generator.integers(1, 64, 6)] = generator.normal(size=6) + 2
    clean = oracle.zeta(values[0]) + oracle.or_zeta(values[1])
    changed = clean + generator.uniform(-1, 1, 64) * 0.035 * abs(clean[-1] - clean[0])
    changed[[0, -1]] = clean[[0, -1]]
    v, planted = torch.from_numpy(changed), np.abs(values).sum()
    assert decompose(v, noise=NOISE).certificate.objective.item() <= planted / (1 - 1e-3)
    assert decompose(v, resolution=1e-4).certificate.lower_bound.item() > 1.2 * planted


def test_every_table_has_its_own_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of very different spans, in one block and in several, one with v(N) = v(0)."""
    v = torch.stack([table_of("random", 4, seed) * 10.0 ** (seed - 2) for seed in range(5)])
    v[3, -1] = v[3, 0]
    whole = decompose(v, noise=NOISE)
    monkeypatch.setattr(decompose_module, "_BLOCK_ENTRIES", 2 * 2**4)
    finished: list[int] = []
    blocks = decompose(v, noise=NOISE, progress=finished.append)
    assert finished == [2, 2, 1]
    assert bound_of(v[3]) == 0
    for i, table in enumerate(v):
        optimum = optimum_of(table)
        check(table, whole[i], optimum)
        check(table, blocks[i], optimum)


@pytest.mark.parametrize("magnitude", [1e-200, 1e-6, 1e200])
def test_units_do_not_matter(magnitude: float) -> None:
    v = table_of("random", 5)
    plain, scaled = decompose(v, noise=NOISE), decompose(v * magnitude, noise=NOISE)
    torch.testing.assert_close(scaled.values / magnitude, plain.values, rtol=0, atol=1e-9)
    torch.testing.assert_close(scaled.certificate.gap, plain.certificate.gap, rtol=1e-6, atol=1e-12)


def test_the_offset_does_not_matter() -> None:
    v = oracle.structured_table(5)
    torch.testing.assert_close(
        decompose(v + 100, noise=NOISE).values, decompose(v, noise=NOISE).values, rtol=0, atol=1e-6
    )


# ---- one table, one answer -----------------------------------------------------------------------

# Stops at the default max_iterations at a resolution of 1e-4, not 1e-5.
LATE = {("structured", 6, 1), ("structured", 6, 3)}


@pytest.mark.parametrize("source", ["random", "structured"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_one_answer_from_two_starts(n: int, source: str) -> None:
    seeds = range(5)
    v = torch.stack([table_of(source, n, seed) for seed in seeds])
    alone = decompose(v, noise=NOISE, resolution=SETTLED)
    other = decompose(v, noise=NOISE, resolution=SETTLED, start=random_start(v))
    assert not torch.equal(alone.values, other.values)
    for seed in seeds:
        settled = max(x.certificate.resolution[seed].item() for x in (alone, other)) <= SETTLED
        assert settled or (source, n, seed) in LATE
        # A gap of 1e-5 leaves a distance of its square root: random table 0 of two players shows it.
        least = 0.998 if (source, n, seed) == ("random", 2, 0) else 0.999
        assert oracle.least_shared(alone.values[seed], other.values[seed]) >= least, seed


@pytest.mark.parametrize("source", ["random", "structured"])
@pytest.mark.parametrize("n", [2, 4, 6])
def test_the_resolution_bounds_the_distance_of_two_answers(n: int, source: str) -> None:
    """ridge / 2 |x - x*|**2 <= resolution * |x|_1 for the one solution x*, so two answers cannot be further apart."""
    v = torch.stack([table_of(source, n, seed) for seed in range(7)])
    v = (v - v[:, :1])[:, None]
    options = {"noise": NOISE * v[..., -1].abs(), "tol": 1e-3, "max_iterations": 20_000}
    even = iteration.even_split(v)
    ridge = split._NOISY_RIDGE / even_least_squares(v).abs().amax((-1, -2, -3))
    answers = [
        split.sparsest_split(v, ridge_tol=1e-3, **options),
        split.sparsest_split(v, ridge_tol=1e-6, start=-2 * even, **options),
    ]
    reach = sum((2 * a.resolution * a.objective / ridge).sqrt() for a in answers)
    distance = (answers[0].x - answers[1].x).square().sum((-1, -2, -3)).sqrt()
    assert (distance <= reach + 1e-9).all()
    assert (distance > 1e-6).any()


def even_least_squares(v: Tensor) -> Tensor:
    basis = basis_of(v.shape[-1].bit_length() - 1, v.device)
    return basis.to_dual(iteration.coordinates_of(basis, v))


def test_one_answer_without_compiled_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    v = torch.stack((table_of("random", 5), table_of("structured", 5)))
    compiled = decompose(v, noise=NOISE)
    monkeypatch.setattr(kronecker, "kernels", lambda module: None)
    in_torch = decompose(v, noise=NOISE)
    assert torch.equal(in_torch.certificate.iterations, compiled.certificate.iterations)
    torch.testing.assert_close(in_torch.values, compiled.values, rtol=0, atol=1e-8)


# ---- edges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("value", [0.0, 4.0])
@pytest.mark.parametrize("options", [{}, {"resolution": SETTLED}, {"precision": "float32"}], ids=str)
def test_constant_tables_have_no_interactions(n: int, value: float, options: dict[str, object]) -> None:
    found = decompose(torch.full((2, 2**n), value), noise=NOISE, **options)
    assert not found.values.any()
    assert torch.equal(found.offset, torch.full((2,), value).double())
    assert not found.certificate.gap.any()
    assert not found.certificate.objective.any()


@pytest.mark.parametrize("n", [1, 3, 5])
@pytest.mark.parametrize("options", [{}, {"resolution": SETTLED}, {"precision": "float32"}], ids=str)
def test_noise_above_all_effects_leaves_nothing(n: int, options: dict[str, object]) -> None:
    """All values may become v(0): no interactions are needed, and the certificate is exact at once."""
    v = table_of("random", n).abs()
    v[0], v[-1] = 0, v.max()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = decompose(v, noise=2.0, **options)
    assert not found.values.any()
    assert found.certificate.gap == 0


def test_one_value_to_change() -> None:
    """The effect of one player, or of an AND of two, shrinks by the bound."""
    one = decompose(torch.tensor([1.0, 3.0]), noise=0.25, resolution=SETTLED)
    torch.testing.assert_close(one.and_, torch.tensor([0, 1.5]).double(), rtol=0, atol=1e-6)
    both = decompose(torch.tensor([0.0, 0.0, 0.0, 1.0]), noise=0.25, tol=1e-6)
    assert both.certificate.objective.item() == pytest.approx(0.75, rel=2e-6)


def test_a_start_for_a_table_without_effects() -> None:
    v = torch.stack((torch.full((16,), 2.0).double(), table_of("random", 4)))
    found = decompose(v, noise=NOISE, start=random_start(v + oracle.random_table(4, 2)))
    assert not found[0].values.any()
    check(v[1], found[1], optimum_of(v[1]))
