"""Two penalties that are not in the library, by the criteria of `sparse.py rules` (benchmarks/sparse.py penalties).

*MCP* (Zhang 2010), gamma 3, by local linear approximation: from the lasso at each penalty, two steps in which a term's
weight falls to 0 as its coefficient grows to gamma times the penalty, in units of its column's spread.

*Multi-task*: a group lasso over the models of one sample, which chooses terms for all of them together; each model's
values are divided by their spread. Accelerated proximal gradient, warm starts.

Both choose the penalty with the smallest error over 5 folds, for a table or for the models of a sample. They are
compared with the library's lasso, adaptive lasso and elastic net, with the same folds and terms of orders 1 to 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sparse_methods import Floats, Term, column, r2, reference, share_of_error

import bequeath as bq
from bequeath.lattice.sparse import selection
from bequeath.lattice.sparse.design import ORDER_WEIGHT, Shared, shared

FOLDS, GAMMA, STEPS, ITERATIONS = 5, 3.0, 2, 80
# Every third penalty of the library's grid, up to the best ones.
GRID = selection.PENALTIES[6:48:3]


@dataclass(frozen=True)
class Problem:
    """Masks shared by several tables: columns of all terms, their weights, folds."""

    design: Shared
    x: Floats
    weights: Floats
    folds: NDArray[np.int64]
    number: int

    def terms(self) -> list[Term]:
        """The terms, as players and kind."""
        assert self.design.terms is not None
        pairs = zip(self.design.terms.players, self.design.terms.kinds, strict=True)
        return [(tuple(p[p >= 0].tolist()), "or" if kind else "and") for p, kind in pairs]


def problem(masks: NDArray[np.bool_]) -> Problem:
    """The input of all methods; masks without the empty one."""
    design = shared(masks, 3, "and-or", 0, 0)
    assert design.terms is not None
    assert design.bits is not None
    packed = np.ascontiguousarray(design.bits.T).view(np.uint8)
    x = np.unpackbits(packed, axis=1, bitorder="little")[:, : len(masks)].T.astype(float)
    folds = np.random.default_rng(0).permutation(len(masks)) % FOLDS
    weights: Floats = np.power(ORDER_WEIGHT, design.terms.orders - 1.0)
    return Problem(design, x, weights, folds, len(masks))


# Coefficients at every penalty: rows (masks,) of 0 and 1, values (tables, masks) -> (penalties, tables, terms).
Fits = Callable[[Problem, Floats, Floats], Floats]


def path_of(given: Problem, rows: Floats, y: Floats, weights: Floats, grid: Floats, sharing: bool) -> Floats:
    """The library's path at each penalty of the grid: (penalties, terms)."""
    assert given.design.bits is not None
    padded, used = np.zeros(len(given.design.used)), np.zeros(len(given.design.used))
    padded[: given.number], used[: given.number] = y, rows
    path = selection.follow(given.design.bits, weights, used, padded, grid, sharing=sharing)
    out = np.zeros((len(grid), given.x.shape[1]))
    for i in range(len(grid)):
        members, b = path.coefficients(min(i, len(path) - 1), 0.0)
        out[i, members] = b
    return out


def single(sharing: bool) -> Fits:
    """The lasso or the elastic net of each table."""

    def fits(given: Problem, rows: Floats, y: Floats) -> Floats:
        return np.stack([path_of(given, rows, v, given.weights, GRID * v.std(), sharing) for v in y], 1)

    return fits


def mcp(given: Problem, rows: Floats, y: Floats) -> Floats:
    """MCP of each table."""
    variance = given.x[rows > 0].var(0) + 1e-12
    out = single(False)(given, rows, y)
    for table, v in enumerate(y):
        for i, penalty in enumerate(GRID * v.std()):
            for _ in range(STEPS):
                b = out[i, table]
                bend = 1 - np.abs(b) * variance / (GAMMA * penalty * given.weights)
                weights = given.weights * np.maximum(bend, 1e-3)
                out[i, table] = path_of(given, rows, v, weights, np.array([penalty]), False)[0]
    return out


def adaptive(given: Problem, rows: Floats, y: Floats) -> Floats:
    """The adaptive lasso at each penalty, with the weights of the lasso at the same penalty."""
    out = single(False)(given, rows, y)
    for table, v in enumerate(y):
        for i, penalty in enumerate(GRID * v.std()):
            b = np.abs(out[i, table])
            if b.any():
                weights = np.where(b > 0, 0.1 * b.max() / (b + 0.02 * b.max()) * given.weights, -1.0)
                out[i, table] = path_of(given, rows, v, weights, np.array([penalty]), False)[0]
    return out


def together(given: Problem, rows: Floats, y: Floats) -> Floats:
    """The group lasso over all tables at once."""
    some = rows > 0
    x = given.x[some] - given.x[some].mean(0)
    spread = y.std(1)
    target = (y[:, some] - y[:, some].mean(1, keepdims=True)).T / spread
    length = some.sum() / np.linalg.norm(x, 2) ** 2
    b = np.zeros((x.shape[1], len(y)))
    out = []
    # A group of m tables has a norm about the root of m times larger.
    for penalty in GRID * len(y) ** 0.5:
        ahead, momentum = b, 1.0
        for _ in range(ITERATIONS):
            step = ahead - length * (x.T @ (x @ ahead - target)) / some.sum()
            norm = np.linalg.norm(step, axis=1, keepdims=True)
            shrink = 1 - length * penalty * given.weights[:, None] / np.maximum(norm, 1e-300)
            new, following = step * np.maximum(shrink, 0), (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead, b, momentum = new + (momentum - 1) / following * (new - b), new, following
        out.append((b * spread).T)
    return np.stack(out)


METHODS: dict[str, tuple[Fits, bool]] = {
    "lasso": (single(False), False),
    "elastic net": (single(True), False),
    "adaptive lasso": (adaptive, False),
    "MCP": (mcp, False),
    "multi-task": (together, True),
}


def chosen(given: Problem, y: Floats, fits: Fits, joint: bool) -> tuple[Floats, Floats]:
    """Coefficients (tables, terms) at the penalty of least error, and constants; `joint`: one penalty for all."""
    errors = np.zeros((len(GRID), len(y)))
    for fold in range(FOLDS):
        out = given.folds == fold
        rows = (~out).astype(float)
        b = fits(given, rows, y)
        base = y[:, ~out].mean(1) - b @ given.x[~out].mean(0)
        errors += ((y[:, out] - base[..., None] - b @ given.x[out].T) ** 2).sum(-1)
    if joint:
        errors = np.repeat((errors / y.var(1)).sum(1, keepdims=True), len(y), axis=1)
    b = fits(given, np.ones(given.number), y)[errors.argmin(0), np.arange(len(y))]
    return b, y.mean(1) - b @ given.x.mean(0)


def penalties() -> None:
    """R2 on real tables, and the error on planted ones, of every method."""
    masks, values = reference(("P", "F0", "S0"))
    tables = values.reshape(3, -1, values.shape[1]).transpose(1, 0, 2)  # samples, models, masks
    test = slice(1024, 1280)
    for number in (128, 256):
        rows = np.flatnonzero(masks[:number].any(1))
        given = problem(masks[rows])
        terms = given.terms()
        new = np.stack([column(term, masks[test]) for term in terms], 1).astype(float)
        for name, (fits, joint) in METHODS.items():
            scores = []
            for models in tables:
                b, base = chosen(given, models[:, rows] - models[:, 1:2], fits, joint)
                fitted = base[:, None] + b @ new.T + models[:, 1:2]
                scores.append(r2(models[:, test], fitted))
            mean = np.mean(scores, 0)
            print(
                f"real, {number} masks, {name}: R2 {mean[1:].mean():.3f} (fine-tuned and scratch), {mean[0]:.3f} (P)",
                flush=True,
            )
    for number, noise in ((256, 0.2), (512, 0.5)):
        _planted(number, noise)


def _planted(number: int, noise: float, samples: int = 4) -> None:
    masks = bq.draw_masks(16, number).numpy()[1:]
    given = problem(masks)
    terms = given.terms()
    for name, (fits, joint) in METHODS.items():
        generator, errors, shares = np.random.default_rng(0), [], []
        for _ in range(samples):
            games = _family(generator)
            clean = np.stack([sum(v * column(t, masks) for t, v in game.items()) for game in games])
            y = clean + noise * clean.std(1, keepdims=True) * generator.normal(size=clean.shape)
            b, _ = chosen(given, y, fits, joint)
            found = [dict(zip(terms, row, strict=True)) for row in b]
            errors += [share_of_error(game, one) for game, one in zip(games, found, strict=True)]
            shares.append((_share(games[0], games[1]), _share(found[0], found[1])))
        true, seen = np.mean(shares, 0)
        print(
            f"planted, {number} masks, noise {noise}, {name}: L1 error {np.mean(errors):.3f}; the first two share "
            f"{seen:.3f} of {true:.3f}",
            flush=True,
        )


def _family(generator: np.random.Generator) -> list[dict[Term, float]]:
    """Three games of 20 terms as in `rules`: the first 10 in all, the others of one game each."""
    common: dict[Term, float] = {}
    games: list[dict[Term, float]] = []
    _fill(common, 10, generator)
    for _ in range(3):
        game = dict(common)
        _fill(game, 20, generator)
        games.append(game)
    return games


def _fill(game: dict[Term, float], size: int, generator: np.random.Generator) -> None:
    while len(game) < size:
        order = 1 + int(generator.integers(3))
        members = tuple(sorted(generator.choice(16, order, replace=False).tolist()))
        kind = "or" if order > 1 and generator.random() < 0.5 else "and"
        game[members, kind] = float(generator.laplace())


def _share(first: dict[Term, float], second: dict[Term, float]) -> float:
    """s(A, B), each on its own scale."""
    one, two = (sum(map(abs, game.values())) or 1.0 for game in (first, second))
    total = 0.0
    for term, value in first.items():
        other = second.get(term, 0.0)
        if value * other > 0:
            total += min(abs(value) / one, abs(other) / two)
    return total
