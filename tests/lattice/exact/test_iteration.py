"""iteration.py and its compiled kernels: each step against dense matrices, and against each other."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import lattice_oracles as oracle
import numpy as np
import pytest
import torch
from torch import Tensor

from bequeath.lattice import kronecker, transforms
from bequeath.lattice.exact import iteration
from bequeath.lattice.exact.iteration import Problems, advance, halve_singletons_, point_at, solution_at
from bequeath.lattice.exact.penalty import prox

RELAXATION = 1.7
COUNT = 3


def posed(
    n: int, models: int, *, noisy: bool, coupling: float = 0.0, ridge: float = 0.0, tilted: bool = False
) -> Problems:
    """Three problems with different tables, steps, ridges and so on."""
    generator = torch.Generator().manual_seed(100 * n + models)
    v = torch.randn(COUNT, models, 2**n, generator=generator, dtype=torch.float64)
    v[..., 0] = 0
    bound = torch.rand(COUNT, models, generator=generator, dtype=torch.float64) / 2
    bound[-1, -1] = 0
    tilt = torch.randn(COUNT, models, 2, 2**n, generator=generator, dtype=torch.float64)
    return Problems(
        v=v,
        k0=iteration.coordinates_of(iteration.basis_of(n, v.device), v),
        noise=bound if noisy else None,
        step=torch.tensor([0.3, 1.0, 2.0], dtype=torch.float64),
        ridge=ridge * torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64),
        coupling=coupling,
        metric=10.0 if noisy else 0.0,
        tilt=tilt if tilted else None,
    )


def iterates(problems: Problems, seed: int = 1) -> Tensor:
    """Random iterates; in the first problem all models have the same iterate, so entries tie."""
    count, models, size = problems.v.shape
    kinds = 2 if problems.noise is None else 4
    generator = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(count, models, kinds, size, generator=generator, dtype=torch.float64)
    z[0] = z[0, :1].clone()
    return z


def maps(n: int) -> tuple[np.ndarray, np.ndarray]:
    """AND and OR interactions of a table as matrices, from their sums; OR's row of the empty set is not left out."""
    units = np.eye(2**n)
    ands = np.stack([oracle.moebius(unit) for unit in units], axis=1)
    everyone = 2**n - 1
    ors = np.zeros((2**n, 2**n))
    for t in range(2**n):
        for part in oracle.subsets_of(t):
            ors[t, everyone ^ part] -= oracle.sign(t, part)
    return ands, ors


# ---- compiled and in torch -----------------------------------------------------------------------


def both_ways(
    problems: Problems, z: Tensor, steps: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[Tensor, Tensor]:
    """Iterates by the compiled kernels, and by torch."""
    assert kronecker.compiled_for(z, "bequeath.lattice.exact.iteration_kernels") is not None
    compiled = advance(problems, z.clone(), steps)
    with monkeypatch.context() as patch:
        patch.setattr(kronecker, "kernels", lambda module: None)
        return compiled, advance(problems, z.clone(), steps)


@pytest.mark.parametrize("n", range(1, 10))
@pytest.mark.parametrize("models", [1, 3, 4])
@pytest.mark.parametrize("noisy", [False, True])
def test_kernels_and_torch_take_the_same_steps(
    noisy: bool, models: int, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ties included, with and without ridge and coupling, tilted too; relative to the largest entry."""
    for coupling, ridge in itertools.product((0.0, 0.3), (0.0, 0.05)):
        tilted = coupling > 0 and not noisy  # noisy problems have no tilt
        problems = posed(n, models, noisy=noisy, coupling=coupling, ridge=ridge, tilted=tilted)
        z = iterates(problems)
        compiled, in_torch = both_ways(problems, z, 5, monkeypatch)
        assert not torch.equal(compiled, z)
        torch.testing.assert_close(compiled, in_torch, rtol=0, atol=1e-12 * z.abs().max().item())
        single, single_torch = both_ways(problems, z.float(), 5, monkeypatch)
        assert single.dtype == single_torch.dtype == torch.float32
        for found in (single, single_torch):
            torch.testing.assert_close(found.double(), in_torch, rtol=0, atol=2e-5 * z.abs().max().item())


@pytest.mark.parametrize("noisy", [False, True])
def test_a_problem_moves_the_same_in_any_batch(noisy: bool) -> None:
    problems = posed(4, 2, noisy=noisy, coupling=0.3, ridge=0.05)
    z, keep = iterates(problems), torch.tensor([2, 0])
    together = advance(problems, z.clone(), 7)
    assert torch.equal(advance(problems.rows(keep), z[keep], 7), together[keep])
    in_parts = advance(problems, advance(problems, z.clone(), 3), 4)
    assert torch.equal(in_parts, together)


@pytest.mark.parametrize("noisy", [False, True])
def test_two_threads_take_identical_steps(noisy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    problems = posed(5, 3, noisy=noisy, coupling=0.3, ridge=0.05)
    z, in_threads, threads = iterates(problems), iteration.in_threads, set()

    def watched(work: Callable[[int, int], None], count: int, *, entries: int) -> None:
        def noted(first: int, last: int) -> None:
            threads.add(threading.get_ident())
            work(first, last)

        in_threads(noted, count, entries=entries)

    monkeypatch.setattr(iteration, "in_threads", watched)
    monkeypatch.setattr("bequeath.lattice.threads._SERIAL_ENTRIES", 0)
    single = advance(problems, z.clone(), 20)
    assert len(threads) == 1
    torch.set_num_threads(2)
    assert torch.equal(advance(problems, z.clone(), 20), single)
    assert len(threads) == 2


# ---- a step, by dense matrices -------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.parametrize("tilted", [False, True])
def test_a_step_between_exact_splits(tilted: bool, models: int, n: int) -> None:
    """z + 1.7 (prox(2 x - z + step * tilt) - x), x the nearest split, which a dense pseudoinverse finds."""
    problems = posed(n, models, noisy=False, coupling=0.3, ridge=0.05, tilted=tilted)
    z = iterates(problems)
    z[..., 0] = 0  # as all iterates from the solver's starts
    ands, ors = maps(n)
    # Splits are x = (AND of u, OR of v - u) with u(0) = 0: an affine set over u.
    ors[0] = 0
    directions = np.vstack([ands, -ors])[:, 1:]
    onto = directions @ np.linalg.pinv(directions)
    moved = advance(problems, z.clone(), 1)
    for p in range(COUNT):
        nearest = []
        for m in range(models):
            v, at = problems.v[p, m].numpy(), z[p, m].numpy().ravel()
            base = np.concatenate([np.zeros(2**n), ors @ v])
            nearest.append((base + onto @ (at - base)).reshape(2, -1))
        x = torch.from_numpy(np.array(nearest))
        step, ridge = problems.step[p].item(), problems.ridge[p].item()
        tilt = problems.tilt[p] if tilted else 0
        shrunk = prox(2 * x - z[p] + step * tilt, step, 0.3, dim=0) / (1 + ridge * step)
        torch.testing.assert_close(moved[p], z[p] + RELAXATION * (shrunk - x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("models", [1, 3])
def test_a_step_within_noise(models: int, n: int) -> None:
    """x nearest on the graph of the maps; tables within the bound, interactions by prox, the empty set's OR free."""
    problems = posed(n, models, noisy=True, coupling=0.3, ridge=0.05)
    z = iterates(problems)
    moved = advance(problems, z.clone(), 1)
    for p in range(COUNT):
        on, goal = torch.empty_like(z[p]), torch.empty_like(z[p])
        for m, (i, matrix) in itertools.product(range(models), enumerate(maps(n))):
            value, table = z[p, m, i].numpy(), z[p, m, 2 + i].numpy()
            # least |M t - value|**2 + |t - table|**2 / metric
            normal = matrix.T @ matrix + np.eye(2**n) / problems.metric
            t = np.linalg.solve(normal, matrix.T @ value + table / problems.metric)
            on[m, i], on[m, 2 + i] = torch.from_numpy(matrix @ t), torch.from_numpy(t)
        reflected = 2 * on - z[p]
        step, ridge = problems.step[p].item(), problems.ridge[p].item()
        goal[:, :2] = prox(reflected[:, :2], step, 0.3, dim=0) / (1 + ridge * step)
        goal[:, 0, 0] = 0
        goal[:, 1, 0] = reflected[:, 1, 0]
        for m in range(models):
            u, w = reflected[m, 2].numpy(), reflected[m, 3].numpy()
            v, bound = problems.v[p, m].numpy(), problems.noise[p, m].item()
            for s in range(2**n):
                total = min(max(u[s] + w[s], v[s] - bound), v[s] + bound)
                goal[m, 2, s] = (total + u[s] - w[s]) / 2 if s else 0
                goal[m, 3, s] = (total - u[s] + w[s]) / 2 if s else 0
        torch.testing.assert_close(moved[p], z[p] + RELAXATION * (goal - on), rtol=0, atol=1e-11)


# ---- solutions of iterates -----------------------------------------------------------------------


def splits_of(v: Tensor, seed: int = 5) -> Tensor:
    """Interactions of v = u + (v - u) for arbitrary u with u(0) = 0."""
    u = torch.randn(v.shape, generator=torch.Generator().manual_seed(seed), dtype=v.dtype)
    u[..., 0] = 0
    return torch.stack((transforms.moebius(u), transforms.or_moebius(v - u)), dim=-2)


def duals_of(problems: Problems, seed: int = 6) -> Tensor:
    """Random dual coordinates without the direction that sees the empty set."""
    k = torch.randn(problems.k0.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    empty = problems.basis.empty
    return k - (k @ empty)[..., None] * empty


@pytest.mark.parametrize("n", range(1, 10))
@pytest.mark.parametrize("models", [1, 3])
def test_points_and_solutions_are_inverse(models: int, n: int) -> None:
    problems = posed(n, models, noisy=False)
    x, k = splits_of(problems.v), duals_of(problems)
    found, duals = solution_at(problems, point_at(problems, x, k))
    torch.testing.assert_close(found, x, rtol=0, atol=1e-11 * x.abs().max().item())
    torch.testing.assert_close(duals, k, rtol=0, atol=1e-11 * x.abs().max().item())


@pytest.mark.parametrize("n", range(1, 8))
def test_points_and_solutions_are_inverse_within_noise(n: int) -> None:
    problems = posed(n, 2, noisy=True)
    x, k = halve_singletons_(splits_of(problems.v)), duals_of(problems)
    found, duals = solution_at(problems, point_at(problems, x, k))
    torch.testing.assert_close(found, x, rtol=0, atol=1e-11 * x.abs().max().item())
    torch.testing.assert_close(duals, k, rtol=0, atol=1e-11 * x.abs().max().item())


@pytest.mark.parametrize("n", range(1, 6))
@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.parametrize("noisy", [False, True])
def test_every_iterate_names_an_exact_split(noisy: bool, models: int, n: int) -> None:
    """By slow sums: a split of the table itself, or of a table within the noise with the same v(0)."""
    problems = posed(n, models, noisy=noisy)
    z = 3 * iterates(problems)
    if not noisy:
        z[..., 0] = 0  # as all iterates from the solver's starts
    x, k = solution_at(problems, z)
    used = []
    assert x[..., 0].abs().max() < 1e-12
    assert (k @ problems.basis.empty).abs().max() < 1e-11
    for p, m in itertools.product(range(COUNT), range(models)):
        total = oracle.zeta(x[p, m, 0].numpy()) + oracle.or_zeta(x[p, m, 1].numpy())
        change = np.abs(total - problems.v[p, m].numpy())
        bound = problems.noise[p, m].item() if noisy else 0.0
        assert change.max() <= bound + 1e-11
        assert change[0] < 1e-11
        used.append(change.max() / max(bound, 1e-300))
    assert not noisy or max(used) > 0.99, "random iterates are far off: the noise should be used"


# ---- the graph of the maps -----------------------------------------------------------------------


@pytest.mark.parametrize("n", range(1, 7))
@pytest.mark.parametrize("metric", [0.5, 10.0, 30.0])
def test_off_graph_is_the_orthogonal_projection(metric: float, n: int) -> None:
    """In the metric |x|**2 + |u|**2 / metric, the projection lies on the graph and the difference is orthogonal."""
    generator = torch.Generator().manual_seed(n)
    z = torch.randn(5, 4, 2**n, generator=generator, dtype=torch.float64)
    off = iteration._off_graph(z, metric)
    on = z - off
    for i, matrix in enumerate(maps(n)):
        matrix = torch.from_numpy(matrix)
        torch.testing.assert_close(on[:, i], on[:, 2 + i] @ matrix.T, rtol=0, atol=1e-11)
        # The graph's directions are (matrix e_j, e_j).
        products = off[:, i] @ matrix + off[:, 2 + i] / metric
        torch.testing.assert_close(products, torch.zeros_like(products), rtol=0, atol=1e-11)
    again = iteration._off_graph(on, metric)
    torch.testing.assert_close(again, torch.zeros_like(again), rtol=0, atol=1e-11)


def test_turns_and_scales_are_the_maps_of_one_bit() -> None:
    y, (r_and, r_or) = iteration._turns()
    scales = iteration._scales(1, torch.device("cpu")).numpy()
    for turn in (y, r_and, r_or):
        np.testing.assert_allclose(np.array(turn) @ np.transpose(turn), np.eye(2), atol=1e-15)
    ands, ors = np.array(y) * scales @ np.transpose(r_and), np.array(y) * -scales @ np.transpose(r_or)
    np.testing.assert_allclose(ands, [[1, 0], [-1, 1]], atol=1e-15)
    np.testing.assert_allclose(ors, [[0, -1], [-1, 1]], atol=1e-15)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_scales_go_with_the_powers_of_the_turns(n: int) -> None:
    """Y (x) ... (x) Y diag(scales) R' (x) ... (x) R' is the map of n bits; OR's is negated once, not once a bit."""

    def power(matrix: object) -> np.ndarray:
        return np.array(list(itertools.accumulate([np.array(matrix)] * n, np.kron))[-1])

    y, rotations = iteration._turns()
    scales = iteration._scales(n, torch.device("cpu")).numpy()
    for sigma, r, expected in zip((scales, -scales), rotations, maps(n), strict=True):
        np.testing.assert_allclose(power(y) * sigma @ power(r).T, expected, atol=1e-12)
