"""Shared code of the benchmarks of sparse readings: planted games, reference tables, other methods, R2."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from measure import REFERENCE
from numpy.typing import NDArray

from bequeath.lattice.sparse import selection
from bequeath.lattice.sparse.terms import Bits, all_terms, pack

Floats = NDArray[np.float64]
Term = tuple[tuple[int, ...], str]


def column(term: Term, masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a term is active on each mask."""
    shown = masks[:, list(term[0])]
    return np.asarray(shown.any(1) if term[1] == "or" else shown.all(1))


def planted_game(n: int, ors: int, generator: np.random.Generator) -> dict[Term, float]:
    """20 terms, 5 of each order from 1 to 4, some of orders 2 to 4 OR; strengths 0.5 to 2, either sign."""
    game: dict[Term, float] = {}
    while len(game) < 20:
        order = 1 + len(game) // 5
        kind = "or" if order > 1 and len(game) - 5 < ors else "and"
        members = tuple(sorted(int(i) for i in generator.choice(n, order, replace=False)))
        game[members, kind] = float(generator.uniform(0.5, 2) * generator.choice([-1, 1]))
    return game


def reference(names: Sequence[str] = ("F0", "S0")) -> tuple[NDArray[np.bool_], Floats]:
    """Masks and values of the fine-tuned and the scratch model, 16 tables, 4 x 4 cells."""
    data = np.load(REFERENCE / "hymenoptera_n16.npz")
    return data["masks"], np.concatenate([data[name] for name in names]).astype(np.float64)


def r2(true: Floats, fitted: Floats) -> Floats:
    """Of each table, (tables, masks)."""
    left = ((true - fitted) ** 2).sum(1)
    return np.asarray(1 - left / ((true - true.mean(1, keepdims=True)) ** 2).sum(1))


def lasso(x: Floats, test: Floats, y: Floats, **options: Any) -> Floats:
    """scikit-learn's cross-validated lasso."""
    from sklearn.linear_model import LassoCV

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LassoCV(**({"cv": 5, "max_iter": 2000, "eps": 1e-2, "alphas": 50} | options)).fit(x, y)
    return np.asarray(model.predict(test))


def trees(x: Floats, test: Floats, y: Floats) -> Floats:
    """Boosted trees of depth 3."""
    from sklearn.ensemble import GradientBoostingRegressor

    model = GradientBoostingRegressor(
        n_estimators=400, learning_rate=0.05, max_depth=3, subsample=0.5, random_state=0
    )
    return np.asarray(model.fit(x, y).predict(test))


def columns(masks: NDArray[np.bool_], order: int, basis: str) -> Floats:
    """All terms up to an order on masks: "and-or", or "walsh" (products of -1 and 1)."""
    terms = all_terms(masks.shape[1], order, "and-or" if basis == "and-or" else "and")
    signs = 2.0 * masks - 1
    out = [
        signs[:, players[players >= 0]].prod(1)
        if basis == "walsh"
        else column((tuple(players[players >= 0]), "or" if kind else "and"), masks)
        for players, kind in zip(terms.players, terms.kinds, strict=True)
    ]
    return np.stack(out, 1).astype(np.float64)


def share_of_error(game: dict[Term, float], found: dict[Term, float]) -> float:
    """sum |found - true| / sum |true|, over all terms."""
    wrong = sum(abs(found.get(term, 0.0) - value) for term, value in game.items())
    wrong += sum(abs(value) for term, value in found.items() if term not in game)
    return wrong / sum(map(abs, game.values()))


def packed_columns(masks: NDArray[np.bool_], order: int, basis: str) -> tuple[Bits, NDArray[np.bool_]]:
    """Terms up to an order on masks, as bits and as bool (masks, terms): "and-or", or "walsh".

    A Walsh function is -1 or 1; as a column beside a constant it is the parity of the shown players, 0 or 1.
    """
    terms = all_terms(masks.shape[1], order, "and-or" if basis == "and-or" else "and")
    out = np.empty((len(masks), len(terms)), bool)
    for j, (players, kind) in enumerate(zip(terms.players, terms.kinds, strict=True)):
        shown = masks[:, players[players >= 0]]
        if basis == "walsh":
            out[:, j] = shown.sum(1) % 2 == 1
        else:
            out[:, j] = shown.any(1) if kind else shown.all(1)
    return _packed(out), out


def _packed(columns: NDArray[np.bool_]) -> Bits:
    """Columns, bool (masks, terms), as words of 64 masks: (words, terms)."""
    return np.ascontiguousarray(pack(columns).T)


def exact_lasso(
    masks: NDArray[np.bool_], y: Floats, test: NDArray[np.bool_], order: int, basis: str
) -> Floats:
    """The fit of `lasso` with all weights 1, by the library's compiled path, which is 30 times as fast."""
    both, number = np.concatenate((masks, test)), len(masks)
    _, x = packed_columns(both, order, basis)
    bits = _packed(x[:number])
    length = 64 * bits.shape[0]
    used, padded = np.zeros(length), np.zeros(length)
    used[:number], padded[:number] = 1, y
    folds = np.full(length, -1)
    folds[np.random.default_rng(0).permutation(number)] = np.arange(number) % 5
    penalties = selection.PENALTIES[:50] * y.std()
    weights = np.ones(bits.shape[1])
    errors = np.zeros(len(penalties))
    for fold in range(5):
        path = selection.follow(bits, weights, used * (folds != fold), padded, penalties)
        left = ((padded - path.fits)[:, folds == fold] ** 2).sum(1)
        errors += np.pad(left, (0, len(penalties) - len(left)), mode="edge")
    path = selection.follow(bits, weights, used, padded, penalties[: int(errors.argmin()) + 1])
    members, b = path.coefficients(len(path) - 1, 0.0)
    known, new = x[:number, members], x[number:, members]
    return np.asarray(y.mean() + (new - known.mean(0)) @ b)
