"""Ceilings of two models with different reliabilities: which mean of the two reliabilities is right?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from calibration_planted import at_once
from planted_studies import Setting, study

from bequeath.knowledge.repeats import Repeats

# Noise of before and after; the games are those of the table of planted shares.
PAIRS = ((0.2, 0.2), (0.0, 0.1), (0.1, 0.2), (0.0, 0.2))
# Fewer masks, more noise: readings of low reliability.
POOR = {
    "8 players, 128 masks, order 3": {"players": 8, "masks": 128, "order": 3},
    "10 players, 200 masks, order 2": {"players": 10, "masks": 200, "order": 2},
    "8 players, 200 masks, order 3, 60 terms": {"players": 8, "masks": 200, "order": 3, "terms": 60},
}
POOR_NOISE = ((0.4, 0.4), (0.0, 0.3), (0.2, 0.8), (0.5, 1.2))
# Noise of before, after and control.
THREE = ((0.2, 0.2, 0.2), (0.0, 0.0, 0.2), (0.1, 0.1, 0.4), (0.2, 0.2, 0.0))


def power(p: float) -> Callable[[float, float], float]:
    """1 minus the power mean of the shares that two readings do not find again."""

    def mean(a: float, b: float) -> float:
        return float(1 - (((1 - min(a, 1)) ** p + (1 - min(b, 1)) ** p) / 2) ** (1 / p))

    return mean


MEANS: dict[str, Callable[[float, float], float]] = {
    "geometric": lambda a, b: (a * b) ** 0.5,
    "power 2": power(2),
    "power 4": power(4),
    "power 6": power(6),
    "the less reliable": min,
}


def _reliability(repeats: Repeats, model: str) -> float:
    found = repeats.reliability(model)
    assert found is not None
    return float(found[0].sum() / found[1].sum())


def _pair(setting: Setting, seed: int) -> tuple[float, ...]:
    """Truth, observed, floor, both reliabilities; kappa's error with each ceiling."""
    made = study(setting, seed)
    share = made.compare().share("preserved")
    repeats = Repeats.of(*({role: both[half] for role, both in made.halves.items()} for half in (0, 1)))
    one, other = (_reliability(repeats, model) for model in ("before", "after"))
    floor = share.floor or 0.0
    errors = ((share.observed - floor) / (mean(one, other) - floor) - made.truth for mean in MEANS.values())
    return made.truth, share.observed, floor, one, other, *errors


def _three(setting: Setting, seed: int) -> tuple[float, ...]:
    """Truth, observed R, its ceiling without the control, reliabilities; R's error with ceilings that know the control.

    Such a ceiling is the ceiling without the control, times the largest share that the control and another reading can
    have in common, relative to two readings of before or after.
    """
    made = study(setting, seed)
    comparison = made.compare()
    share = comparison.share("relearned")
    ((found, strength),) = comparison.strengths.crossed["split"]["relearned"].reliabilities
    repeats = Repeats.of(*({role: both[half] for role, both in made.halves.items()} for half in (0, 1)))
    before, after, control = (_reliability(repeats, model) for model in ("before", "after", "control"))
    others, floor, whole = (before * after) ** 0.5, share.floor or 0.0, float(found.sum() / strength.sum())
    ceilings = [whole, *(whole * mean(others, control) / others for mean in MEANS.values())]
    errors = ((share.observed - floor) / (ceiling - floor) - made.relearned for ceiling in ceilings)
    return made.relearned, share.observed, whole, others, control, *errors


def ceilings(draws: int, jobs: int) -> None:
    """Errors of kappa, and of R, by ceilings of several kinds."""
    names = " | ".join(MEANS)
    rules = "---|" * len(MEANS)
    print(f"| noise, phi | true | s | f | reliabilities | {names} |\n|---|---|---|---|---|{rules}")
    for noise in PAIRS:
        for phi in (0.3, 0.6, 1.0):
            _row(f"{noise[0]:.0%}, {noise[1]:.0%}, {phi}", partial(_pair, Setting(phi, noise)), draws, jobs)
    for name, options in POOR.items():
        for noise in POOR_NOISE:
            setting = replace(Setting(1.0, noise), **options)
            what = f"{name}; {noise[0]:.0%}, {noise[1]:.0%}, 1.0"
            _row(what, partial(_pair, setting), min(draws, 6), jobs)
    print(f"\n| noise, psi | true R | s | c | reliabilities | without the control | {names} |")
    print(f"|---|---|---|---|---|---|{rules}")
    for three in THREE:
        for psi in (0.5, 1.0):
            setting = Setting(0.6, three, psi=psi)
            what = f"{', '.join(f'{one:.0%}' for one in three)}, {psi}"
            _row(what, partial(_three, setting), min(draws, 10), jobs)


def _row(name: str, work: Callable[[int], tuple[float, ...]], draws: int, jobs: int) -> None:
    true, observed, level, one, other, *errors = np.mean(at_once(work, range(draws), jobs), axis=0)
    cells = " | ".join(f"{error:+.3f}" for error in errors)
    print(
        f"| {name} | {true:.3f} | {observed:.3f} | {level:.3f} | {one:.3f}, {other:.3f} | {cells} |",
        flush=True,
    )
