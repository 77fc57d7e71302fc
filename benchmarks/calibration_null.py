"""Studies of models with nothing in common: how often they are called above chance.

A pool of tables is read once (8 players, two halves of 128 masks, order 3, noise of 10%). Each study draws its samples
from the pool, so that a table is paired with another one each time.

| case | the two models |
|---|---|
| plain | terms drawn independently |
| sizes | the strength of a sample is exp(0.6 z), the same in both models |
| popular | one player is in more terms than the others, in both models |
| classes | in each of two classes, each model has its own player that is in more terms |
| half | half of the terms are in common: not a null case, for intervals and for R |
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from calibration_planted import at_once
from numpy.typing import NDArray
from planted_studies import FOLDER, Setting, draw, values_of, write
from scipy import stats
from torch import Tensor

import bequeath as bq
from bequeath.knowledge.alignment import align
from bequeath.knowledge.calibration import interval, levels, point, resampled_levels
from bequeath.knowledge.crossings import Array, Crossed
from bequeath.knowledge.repeats import Repeats
from bequeath.knowledge.share import Share
from bequeath.knowledge.shares import Strengths, calibrated
from bequeath.lattice.sparse.fit import halves

PLAYERS, MASKS, ORDER = 8, 128, 3
CASES = ("plain", "sizes", "popular", "classes")
SIZES = (8, 12, 24)
# Tables of each kind in the pool, and of each favourite player.
MANY, FEW = 1500, 200


def _part(setting: Setting, favourite: int | None, seed: int) -> list[Any]:
    """Readings of 50 samples: two halves for each model."""
    file = FOLDER / "pool" / f"{setting.name}-{favourite}-{seed}.pkl"
    if file.exists():
        return list(pickle.loads(file.read_bytes()))
    games, _ = draw(setting, [seed, 7, 0 if favourite is None else 1 + favourite], favourite)
    masks = bq.draw_masks(PLAYERS, MASKS).numpy()
    found = []
    for model, noise in enumerate(setting.noise):
        values = values_of(
            noise, games[model], masks, [seed, model, 0 if favourite is None else 1 + favourite]
        )
        pair = [align({"one": one}) for one in halves(masks, values, ORDER)]
        found.append([(one.effects["one"], one.subsets) for one in pair])
    write(file, pickle.dumps(found))
    return found


class Pool:
    """Interactions of many samples, (models, halves, samples, 2, subsets), by kind."""

    def __init__(self, many: int, few: int, jobs: int) -> None:
        shape = {"players": PLAYERS, "masks": MASKS, "order": ORDER, "samples": 50, "noise": (0.1, 0.1)}
        kinds: dict[Any, tuple[Setting, int | None, int]] = {
            "plain": (Setting(0.0, **shape), None, many),
            "half": (Setting(0.5, **shape), None, many),
        }
        kinds |= {player: (Setting(0.0, **shape), player, few) for player in range(PLAYERS)}
        work = [
            (kind, setting, favourite, seed)
            for kind, (setting, favourite, count) in kinds.items()
            for seed in range(count // 50)
        ]
        parts = at_once(_call, [(_part, one[1:]) for one in work], jobs)
        every = {subset for part in parts for model in part for _, subsets in model for subset in subsets}
        self.subsets = sorted(every, key=lambda m: (len(m), m))
        self.orders = torch.tensor([len(one) for one in self.subsets], dtype=torch.int64)
        place = {subset: i for i, subset in enumerate(self.subsets)}
        found: dict[Any, list[Tensor]] = {}
        for (kind, *_), part in zip(work, parts, strict=True):
            dense = torch.zeros(2, 2, 50, 2, len(place), dtype=torch.float64)
            for model, pair in enumerate(part):
                for half, (effects, subsets) in enumerate(pair):
                    dense[model, half][..., [place[one] for one in subsets]] = effects
            found.setdefault(kind, []).append(dense)
        self.effects = {kind: torch.cat(blocks, 2) for kind, blocks in found.items()}

    def study(self, case: str, n: int, rng: np.random.Generator) -> tuple[Repeats, NDArray[np.int64]]:
        """A study of n samples, and their classes."""
        classes = np.arange(n) % 2
        models = []
        for model in (0, 1):
            if case == "classes":
                kinds = rng.choice(PLAYERS, 2, replace=False)[classes].tolist()
            else:
                kinds = [0 if case == "popular" else "plain"] * n
            rows: dict[Any, list[int]] = {}
            for kind in set(kinds):
                count = self.effects[kind].shape[2]
                rows[kind] = rng.choice(count, n, replace=False).tolist()
            models.append(torch.stack([self.effects[kind][model, :, rows[kind].pop()] for kind in kinds], 1))
        if case == "sizes":
            size = torch.from_numpy(np.exp(0.6 * rng.normal(size=n)))[None, :, None, None]
            models = [one * size for one in models]
        return self.repeats(dict(zip(("before", "after"), models, strict=True))), classes

    def half(self, n: int, rng: np.random.Generator) -> Repeats:
        """Of models with half of their terms in common, and a control with nothing."""
        rows = torch.from_numpy(rng.choice(self.effects["half"].shape[2], n, replace=False))
        others = torch.from_numpy(rng.choice(self.effects["plain"].shape[2], n, replace=False))
        before, after = self.effects["half"][:, :, rows]
        return self.repeats(
            {"before": before, "after": after, "control": self.effects["plain"][0][:, others]}
        )

    def repeats(self, models: dict[str, Tensor]) -> Repeats:
        """On each reading's own scale."""
        scaled = {
            name: one / one.abs().sum((-1, -2)).mean(-1)[:, None, None, None] for name, one in models.items()
        }
        first, second = ({name: one[half] for name, one in scaled.items()} for half in (0, 1))
        return Repeats(first, second, self.orders, ORDER)


def _call(given: tuple[Callable[..., Any], tuple[Any, ...]]) -> Any:
    return given[0](*given[1])


def all_orders(crossed: Crossed) -> Crossed:
    """Over all orders together."""
    return crossed.over(np.ones((crossed.whole.shape[-1], 1)))


def _null(pool: Pool, case: str, n: int, seed: int) -> Share:
    repeats, classes = pool.study(case, n, np.random.default_rng([n, seed, *case.encode()]))
    return calibrated(all_orders(repeats.pair("before", "after")), classes)[0]


def _relearned(pool: Pool, n: int, seed: int) -> Share:
    repeats = pool.half(n, np.random.default_rng([n, seed]))
    pair, three = repeats.pair("before", "after"), repeats.in_common("before", "after", "control")
    strengths = Strengths(
        {"before": pair.whole, "preserved": three.whole, "relearned": three.whole},
        {"split": {"preserved": pair, "relearned": three}},
    )
    return strengths.share("relearned")


def _studies(
    work: Callable[[Pool, str, int, int], Any], pool: Pool, case: str, n: int, number: int, jobs: int
) -> list[Any]:
    return _forked(partial(work, pool, case, n), number, jobs)


# The pool that forked processes share; it is too large to be sent to them with each study.
_WORK: list[Callable[[int], Any]] = []


def _one(seed: int) -> Any:
    return _WORK[0](seed)


def _forked(work: Callable[[int], Any], number: int, jobs: int) -> list[Any]:
    _WORK[:] = [work]
    return at_once(_one, range(number), jobs)


def _percent(hits: Sequence[bool]) -> str:
    if not len(hits):
        return "-"
    share = np.mean(hits)
    return f"{share:.1%} ± {1.96 * (share * (1 - share) / len(hits)) ** 0.5:.1%}"


def _row(name: str, shares: Sequence[Share]) -> str:
    measured = [one for one in shares if one.corrected is not None and not one.reason]
    kappa = [one.corrected for one in measured if one.corrected is not None]
    return (
        f"| {name} | {len(shares)} | {_percent([one.p is not None and one.p <= 0.05 for one in shares])} | "
        f"{_percent([one.p_within_classes <= 0.05 for one in shares if one.p_within_classes is not None])} | "
        f"{_percent([one.low <= 0 <= one.high for one in measured])} | "
        f"{_percent([one.low > 0 for one in measured])} | {_percent([bool(one.reason) for one in shares])} | "
        f"{np.mean(kappa) if kappa else np.nan:+.3f} ({np.std(kappa) if kappa else np.nan:.3f}) |"
    )


def null(number: int, jobs: int, quick: bool, sizes: Sequence[int], cases: Sequence[str]) -> None:
    """How often p and the interval call a pair with nothing in common above chance."""
    pool = _pool(quick, jobs)
    print(
        "| case, samples | studies | p <= 5% | within classes | interval covers 0 | interval above 0 | not measurable "
        "| kappa (spread) |\n|---|---|---|---|---|---|---|---|"
    )
    for n in sizes:
        for case in cases:
            print(_row(f"{case}, {n}", _studies(_null, pool, case, n, number, jobs)), flush=True)
        shares = _forked(partial(_relearned, pool, n), number, jobs)
        print(_row(f"R of a control with nothing in common, {n}", shares), flush=True)


def _pool(quick: bool, jobs: int) -> Pool:
    return Pool(200, 50, jobs) if quick else Pool(MANY, FEW, jobs)


def _alarms(pool: Pool, case: str, n: int, seed: int) -> list[bool]:
    """Which of four tests call a pair above chance: with strengths as they are or set to one, with derangements or all
    orders."""
    rng = np.random.default_rng([n, seed, *case.encode()])
    crossed = all_orders(pool.study(case, n, rng)[0].pair("before", "after"))
    orders = rng.permuted(np.tile(np.arange(n), (3000, 1)), axis=1)
    moved = orders[(orders != np.arange(n)).all(1)]
    out = []
    for values in (crossed.common[..., 0], crossed.each[..., 0]):
        for some in (moved, orders):
            mixed = values[np.arange(n), some].sum(1)
            out.append(bool((1 + (mixed >= np.trace(values) - 1e-12).sum()) / (1 + len(some)) <= 0.05))
    return out


def false_alarms(number: int, jobs: int, quick: bool) -> None:
    """Alternative tests: derangements or all orders; strengths as they are, or each sample's set to one."""
    pool = _pool(quick, jobs)
    print(
        "| case, samples | studies | derangements | all orders | derangements, strength one | "
        "all orders, strength one |\n|---|---|---|---|---|---|"
    )
    for case in ("plain", "sizes", "popular"):
        for n in (8, 12, 24, 40):
            found = np.array(_studies(_alarms, pool, case, n, number, jobs))
            print(
                f"| {case}, {n} | {number} | {' | '.join(_percent(column) for column in found.T)} |",
                flush=True,
            )


def _intervals(pool: Pool, case: str, n: int, seed: int) -> tuple[float, Array]:
    """kappa, and its interval by four rules."""
    rng = np.random.default_rng([n, seed, *case.encode()])
    repeats = pool.half(n, rng) if case == "half" else pool.study(case, n, rng)[0]
    crossed = all_orders(repeats.pair("before", "after"))
    kappa, drawn = float(point(crossed).corrected[0]), resampled_levels(crossed).corrected[:, 0]
    left_out = levels(crossed, np.ones((n, 1)), np.ones((n, n)) - np.eye(n)).corrected[:, 0]
    change = left_out.mean() - left_out
    plain = np.quantile(drawn, [0.025, 0.975])
    shift = stats.norm.ppf(np.clip((drawn < kappa).mean(), 1e-3, 1 - 1e-3))
    z = shift + stats.norm.ppf([0.025, 0.975])
    skew = (change**3).sum() / (6 * (change**2).sum() ** 1.5)
    bca = np.quantile(drawn, stats.norm.cdf(shift + z / (1 - skew * z)))
    t = stats.t.ppf(0.975, n - 1) * np.sqrt((n - 1) / n * (change**2).sum())
    return kappa, np.array([plain, interval(drawn, n), bca, (kappa - t, kappa + t)])


def intervals(number: int, jobs: int, quick: bool) -> None:
    """How often 95% intervals of four kinds hold kappa, which is 0, or for `half` its mean over all studies."""
    pool = _pool(quick, jobs)
    print(
        "| case, samples | studies | kappa (spread) | percentile | expanded percentile | BCa | jackknife t |"
        "\n|---|---|---|---|---|---|---|"
    )
    for case in ("plain", "half"):
        for n in (8, 12, 24):
            found = _studies(_intervals, pool, case, n, number, jobs)
            kappa = np.array([one for one, _ in found])
            bounds = np.stack([one for _, one in found])
            true = kappa.mean() if case == "half" else 0.0
            hits = (bounds[..., 0] <= true) & (true <= bounds[..., 1])
            print(
                f"| {case}, {n} | {number} | {kappa.mean():+.3f} ({kappa.std():.3f}) | "
                f"{' | '.join(_percent(column) for column in hits.T)} |",
                flush=True,
            )
