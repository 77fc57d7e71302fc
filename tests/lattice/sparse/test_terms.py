"""Terms, their columns, and the search through all of them."""

from __future__ import annotations

import numpy as np
import pytest

from bequeath.lattice.sparse import candidates, search
from bequeath.lattice.sparse.kernels import products
from bequeath.lattice.sparse.terms import all_terms, count_terms, distinct, joined, pack


def masks_of(n: int, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, n)) < 0.5


def plain_columns(terms, masks):
    return np.stack(
        [
            masks[:, p[p >= 0]].any(1) if kind else masks[:, p[p >= 0]].all(1)
            for p, kind in zip(terms.players, terms.kinds, strict=True)
        ],
        1,
    )


@pytest.mark.parametrize("kind", ["and", "or", "and-or"])
def test_all_terms_once_and_singletons_under_and(kind: str) -> None:
    terms = all_terms(6, 3, kind)
    assert len(terms) == count_terms(6, 3, kind) == len(set(terms.keys()))
    assert set(terms.kinds[terms.orders == 1]) == {0}
    assert (np.diff(terms.orders) >= 0).all()


def test_columns_and_products() -> None:
    masks = masks_of(7, 130)
    terms = all_terms(7, 4)
    bits = terms.columns(pack(masks))
    plain = plain_columns(terms, masks)
    x = np.zeros(192)
    x[:130] = np.random.default_rng(1).normal(size=130)
    out = np.empty(len(terms))
    products(bits, x, out)
    np.testing.assert_allclose(out, plain.T @ x[:130], atol=1e-12)


def test_of_equal_columns_the_first_is_kept_and_constant_ones_are_not() -> None:
    masks = masks_of(4, 9)
    terms = all_terms(4, 4)
    kept = distinct(terms.columns(pack(masks)), pack(np.ones((9, 1), bool))[0])
    plain = plain_columns(terms, masks)
    seen: dict[bytes, int] = {}
    for j, one in enumerate(plain.T):
        if one.any() and not one.all():
            seen.setdefault(one.tobytes(), j)
    assert kept.tolist() == sorted(seen.values())
    assert len(kept) < len(terms)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_search_finds_the_strongest_of_all_terms(order: int) -> None:
    n = 8
    masks = masks_of(n, 100)
    r = np.random.default_rng(2).normal(size=100)
    r -= r.mean()
    weights = 1.25 ** (np.arange(order + 1) - 1.0)
    terms = all_terms(n, order)
    scores = np.abs(plain_columns(terms, masks).T @ r) / weights[terms.orders]
    found, found_scores, largest = search.strongest(masks, r, order, (0, 1), weights, 10, dtype=np.float64)
    assert largest == pytest.approx(scores.max())
    best = np.argsort(-scores)[:10]
    assert sorted(found_scores) == pytest.approx(sorted(scores[best]))
    assert set(found.keys()) == set(terms[best].keys())


def test_terms_grow_by_one_player() -> None:
    terms = all_terms(5, 3)
    pairs = joined([terms[terms.orders == 2], terms[:0]])
    more = candidates.extended(pairs, 5, (0, 1))
    assert set(more.keys()) == set(terms[terms.orders == 3].keys())
    pairs = candidates.extended(terms[terms.orders == 1], 5, (0, 1))
    assert set(pairs.keys()) == set(terms[terms.orders == 2].keys())
