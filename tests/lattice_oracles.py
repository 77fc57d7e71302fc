"""Slow definitions that the fast code is tested against: plain sums over subsets, and linear programmes.

Nothing here uses `bequeath`. Tables are numpy arrays of 2**n values; bit i of the index is player i.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.sparse import block_array, csr_array, eye_array, hstack, kron, vstack

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"


def subsets_of(mask: int) -> list[int]:
    """Every subset of a bitmask, from a walk over its members."""
    bits = [1 << i for i in range(mask.bit_length()) if mask >> i & 1]
    return [sum(part) for size in range(len(bits) + 1) for part in itertools.combinations(bits, size)]


def sign(t: int, part: int) -> int:
    return -1 if (t.bit_count() - part.bit_count()) % 2 else 1


def zeta(i: np.ndarray) -> np.ndarray:
    return np.array([sum(i[t] for t in subsets_of(s)) for s in range(len(i))])


def moebius(v: np.ndarray) -> np.ndarray:
    return np.array([sum(sign(t, part) * v[part] for part in subsets_of(t)) for t in range(len(v))])


def or_zeta(i: np.ndarray) -> np.ndarray:
    return np.array([sum((i[t] for t in range(len(i)) if t & s), 0.0) for s in range(len(i))])


def or_moebius(v: np.ndarray) -> np.ndarray:
    everyone = len(v) - 1
    out = [-sum(sign(t, part) * v[everyone ^ part] for part in subsets_of(t)) for t in range(len(v))]
    return np.array([0.0, *out[1:]])


def permute(table: torch.Tensor, order: list[int]) -> torch.Tensor:
    """The table of the same game with player i renamed order[i]."""
    n = len(order)
    index = [sum(1 << order[i] for i in range(n) if s >> i & 1) for s in range(2**n)]
    out = torch.empty_like(table)
    out[..., index] = table
    return out


def least_l1(v: np.ndarray) -> float:
    """The least L1 norm of AND and OR interactions (singletons once) that add up to v - v(0), by HiGHS.

    Variables p, q >= 0 per interaction, effect = p - q; one equation per mask, straight from the definition.
    """
    effects = csr_array(effects_on_masks(len(v)))
    both = hstack([effects, -effects], format="csr")
    answer = linprog(np.ones(both.shape[1]), A_eq=both, b_eq=v[1:] - v[0], method="highs")
    assert answer.status == 0, answer.message
    return float(answer.fun)


def shared_strength(a: torch.Tensor, b: torch.Tensor) -> float:
    """Preserved share of a in b: sum of min(|a|, |b|) where the signs agree, divided by the sum of |a|."""
    both = torch.minimum(a.abs(), b.abs()) * (a * b > 0)
    return (both.sum() / a.abs().sum()).item()


def reference_table(name: str) -> np.ndarray:
    """A table of ../shared/reference, or a skip where that folder is not there."""
    path = REFERENCE / f"{name}.npy"
    if not path.exists():
        pytest.skip(f"no {path}: the reference tables are not part of the repository")
    return np.load(path).astype(np.float64)


def reference_result(name: str) -> dict[str, float]:
    path = REFERENCE / "results.json"
    if not path.exists():
        pytest.skip(f"no {path}: the reference results are not part of the repository")
    return json.loads(path.read_text())[name]


def effects_on_masks(size: int) -> np.ndarray:
    """What an interaction of 1 adds to every mask but the empty one: ANDs of all sets, then ORs of all but singletons.

    Straight from the words: an AND acts where all its players are present, an OR where any is.
    """
    ands = list(range(1, size))
    ors = [t for t in range(1, size) if t.bit_count() > 1]
    rows = [[(s & t) == t for t in ands] + [(s & t) != 0 for t in ors] for s in range(1, size)]
    return np.array(rows, dtype=float)


def least_l1_noisy(v: np.ndarray, bound: float) -> float:
    """`least_l1` where every value but v(0) may be changed by up to `bound`, by HiGHS."""
    effects = csr_array(effects_on_masks(len(v)))
    masks, terms = effects.shape
    equations = block_array([[effects, -effects, -eye_array(masks)]], format="csr")
    answer = linprog(
        np.concatenate([np.ones(2 * terms), np.zeros(masks)]),
        A_eq=equations,
        b_eq=v[1:] - v[0],
        bounds=[(0, None)] * (2 * terms) + [(-bound, bound)] * masks,
        method="highs",
    )
    assert answer.status == 0, answer.message
    return float(answer.fun)


def least_joint(
    tables: Sequence[np.ndarray], coupling: float, bounds: Sequence[float] | None = None
) -> float:
    """The least sum of L1 norms plus coupling * (L1 norms of the differences of all pairs of models), by HiGHS.

    For every model variables p, q >= 0 per interaction, effect = p - q, and s per mask, |s| at most the model's
    bound (0 without `bounds`); for every pair d >= |difference|, as two inequalities.
    """
    effects = csr_array(effects_on_masks(len(tables[0])))
    masks, terms = effects.shape
    models = len(tables)
    bounds = [0.0] * models if bounds is None else bounds
    pairs = list(itertools.combinations(range(models), 2))
    one, each = eye_array(terms), np.eye(models)
    signed = np.array([[(m == a) - (m == b) for m in range(models)] for a, b in pairs], dtype=float)
    difference = hstack([kron(signed, one), -kron(signed, one)]) if pairs else None
    equations = hstack([kron(each, effects), -kron(each, effects), -eye_array(models * masks)])
    if difference is not None:
        apart = eye_array(len(pairs) * terms)
        nothing = csr_array((len(pairs) * terms, models * masks))
        inequalities = vstack(
            [hstack([difference, nothing, -apart]), hstack([-difference, nothing, -apart])], format="csr"
        )
        equations = hstack([equations, csr_array((models * masks, len(pairs) * terms))])
    answer = linprog(
        np.concatenate(
            [
                np.ones(2 * models * terms),
                np.zeros(models * masks),
                np.full(len(pairs) * terms, float(coupling)),
            ]
        ),
        A_eq=csr_array(equations),
        b_eq=np.concatenate([v[1:] - v[0] for v in tables]),
        A_ub=inequalities if pairs else None,
        b_ub=np.zeros(2 * len(pairs) * terms) if pairs else None,
        bounds=[(0, None)] * (2 * models * terms)
        + [(-bound, bound) for bound in bounds for _ in range(masks)]
        + [(0, None)] * (len(pairs) * terms),
        method="highs",
    )
    assert answer.status == 0, answer.message
    return float(answer.fun)


def random_table(n: int, *shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, 2**n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def structured_table(n: int, seed: int = 0, rough: float = 0.05) -> torch.Tensor:
    """A saturating game with main effects and pairs, as classifiers give, and some roughness."""
    generator = torch.Generator().manual_seed(seed)
    present = ((torch.arange(2**n)[:, None] >> torch.arange(n)) & 1).double()
    pairs = torch.randn(n, n, generator=generator, dtype=torch.float64) / n
    mains = torch.randn(n, generator=generator, dtype=torch.float64)
    score = present @ mains + torch.einsum("si,ij,sj->s", present, pairs, present)
    return 3 * torch.tanh(score) + rough * torch.randn(2**n, generator=generator, dtype=torch.float64)


def network_series(n: int, checkpoints: int, seed: int = 0) -> torch.Tensor:
    """Tables of one small network while its weights move: smooth, with tiny interactions beside large ones."""
    generator = torch.Generator().manual_seed(seed)
    present = ((torch.arange(2**n)[:, None] >> torch.arange(n)) & 1).double()
    first, last = (torch.randn(2, *shape, generator=generator).double() for shape in ((n, 12), (12,)))
    times = torch.linspace(0.2, 1, checkpoints, dtype=torch.float64)
    tables = [torch.tanh(present @ (first[0] + t * first[1])) @ (t * last[0] + t**2 * last[1]) for t in times]
    return torch.stack(tables)


def least_shared(a: torch.Tensor, b: torch.Tensor) -> float:
    """The worst `shared_strength` over a batch of interactions (..., 2, 2**n), both ways."""
    rows = [x.reshape(-1, 2, x.shape[-1]) for x in (a, b)]
    return min(min(shared_strength(x, y), shared_strength(y, x)) for x, y in zip(*rows, strict=True))


def check_bounds(objective: float, bound: float, optimum: float, tol: float) -> None:
    """A certificate's numbers against the optimum that a linear programme found."""
    assert objective - bound <= tol * objective
    assert bound <= optimum * (1 + 1e-7) + 1e-9, "the bound is no bound"
    assert optimum * (1 - 1e-7) - 1e-9 <= objective <= optimum * (1 + tol) / (1 - tol) + 1e-9
