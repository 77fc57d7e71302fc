"""Slow definitions that the fast code is tested against: plain sums over subsets, and linear programmes.

Nothing here uses `bequeath`. Tables are numpy arrays of 2**n values; bit i of the index is player i.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.sparse import csr_array

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"


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
    size = len(v)
    ands = list(range(1, size))
    ors = [t for t in range(1, size) if t.bit_count() > 1]
    rows = [[(s & t) == t for t in ands] + [(s & t) != 0 for t in ors] for s in range(1, size)]
    effects = csr_array(np.array(rows, dtype=float))
    both = csr_array(np.hstack([effects.toarray(), -effects.toarray()]))
    answer = linprog(np.ones(both.shape[1]), A_eq=both, b_eq=v[1:] - v[0], method="highs")
    assert answer.status == 0, answer.message
    return float(answer.fun)


def shared_strength(a: torch.Tensor, b: torch.Tensor) -> float:
    """METHOD 4's preserved share of a in b: sum of min(|a|, |b|) where the signs agree / sum of |a|."""
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
