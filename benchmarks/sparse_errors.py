"""Whether the terms' standard errors match the real errors: those of the jackknife, and of least squares."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sparse_methods import Floats, column, planted_game, reference

import bequeath as bq
from bequeath.lattice.interactions import Interactions

# Median of the absolute value of a standard normal number.
_NORMAL_MEDIAN = 0.6745


def errors() -> None:
    """How often values are within two errors of the truth (planted games), or of the other half (real games)."""
    for noise in (0.1, 0.2, 0.5):
        _tell(f"planted, {noise:.0%} noise", _planted(noise))
    for model in ("F0", "P"):
        _tell(f"real, {model}, two halves", _real(model))


def _tell(name: str, ratios: Iterator[tuple[float, float]]) -> None:
    both = np.abs(list(ratios))
    within, median = (both < 2).mean(0), np.median(both, 0) / _NORMAL_MEDIAN
    columns = " | ".join(f"{w:.0%} | {m:.2f}" for w, m in zip(within, median, strict=True))
    print(f"| {name} | {len(both)} | {columns} |", flush=True)


def _planted(noise: float) -> Iterator[tuple[float, float]]:
    masks = bq.draw_masks(16, 400).numpy()
    for seed in range(12):
        generator = np.random.default_rng(seed)
        game = {term: value for term, value in planted_game(16, 4, generator).items() if len(term[0]) <= 3}
        clean = np.asarray(sum(value * column(term, masks) for term, value in game.items()))
        values = clean + noise * clean.std() * generator.normal(size=len(clean))
        found = bq.fit(masks, values, 3)
        formula = _least_squares(found, masks, values)
        for place, term in enumerate(found.terms()):
            if (term.players, term.kind) in game and term.error:
                off = term.value - game[term.players, term.kind]
                yield off / term.error, off / formula[place]


def _real(model: str) -> Iterator[tuple[float, float]]:
    masks, values = reference((model,))
    masks, first = np.unique(masks[:512], axis=0, return_index=True)
    for table in values[:, first]:
        inner = np.random.default_rng(0).permutation(np.flatnonzero(masks.any(1) & ~masks.all(1)))
        ends = np.flatnonzero(~masks.any(1) | masks.all(1))
        parts = (np.concatenate((ends, part)) for part in np.array_split(inner, 2))
        halves = [bq.fit(masks[part], table[part], 3) for part in parts]
        known = []
        for half in halves:
            formula = _least_squares(half, masks, table)
            known.append(
                {
                    (t.players, t.kind): (t.value, t.error or np.nan, e)
                    for t, e in zip(half.terms(), formula, strict=True)
                }
            )
        for key in known[0].keys() & known[1].keys():
            (a, e, f), (b, g, h) = known[0][key], known[1][key]
            yield (a - b) / np.hypot(e, g), (a - b) / np.hypot(f, h)


def _least_squares(found: Interactions, masks: NDArray[np.bool_], values: Floats) -> Floats:
    """Standard errors of least squares on the chosen terms, with the held-out error as the noise."""
    assert found.listed is not None
    x = np.stack([column((term.players, term.kind), masks) for term in found.terms()], 1).astype(float)
    x = x[: found.listed.masks] - x[: found.listed.masks].mean(0)
    variance = float(found.spread) ** 2
    return np.sqrt(variance * np.diag(np.linalg.inv(x.T @ x + np.eye(x.shape[1]))))
