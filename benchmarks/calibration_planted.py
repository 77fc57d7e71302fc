"""kappa and R on planted studies: mean error, coverage of the interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from planted_studies import Setting, study

PHI = (0.3, 0.6, 0.0, 1.0)
PSI = (0.0, 0.5, 1.0)
NOISE = (0.2, 0.0, 0.1)


def one_thread() -> None:
    """Of every worker."""
    torch.set_num_threads(1)


def at_once(work: Callable[[Any], Any], given: Sequence[Any], jobs: int) -> list[Any]:
    """Apply `work` to all items, in their order, in several processes."""
    if jobs == 1:
        one_thread()
        return [work(one) for one in given]
    with ProcessPoolExecutor(jobs, initializer=one_thread) as pool:
        return list(pool.map(work, given))


def preserved(setting: Setting, seed: int) -> tuple[float, ...]:
    """kappa, its interval, what is true, observed, floor, ceiling, kappa of the terms themselves."""
    found = study(setting, seed)
    share = found.compare().share("preserved")
    kappa = np.nan if share.corrected is None else share.corrected
    floor, ceiling = (np.nan if x is None else x for x in (share.floor, share.ceiling))
    return kappa, share.low, share.high, found.truth, share.observed, floor, ceiling, found.exact


def relearned(setting: Setting, seed: int) -> tuple[float, ...]:
    """The same of R."""
    found = study(setting, seed)
    share = found.compare().share("relearned")
    kappa = np.nan if share.corrected is None or share.reason else share.corrected
    floor, ceiling = (np.nan if x is None else x for x in (share.floor, share.ceiling))
    return kappa, share.low, share.high, found.relearned, share.observed, floor, ceiling, np.nan


def row(name: str, results: Sequence[tuple[float, ...]]) -> str:
    """One line of the table."""
    kappa, low, high, true, observed, floor, ceiling, exact = np.array(results, float).T
    measured = np.isfinite(kappa)
    error = (kappa - true)[measured]
    covered = ((low <= true.mean()) & (true.mean() <= high))[measured]
    spread = error.std(ddof=1) / len(error) ** 0.5 if len(error) > 1 else np.nan
    mark = " **" if len(error) and abs(error.mean()) > 0.05 else ""
    of_terms = "-" if np.isnan(exact).any() else f"{np.mean(exact):.3f}"
    return (
        f"| {name} | {true.mean():.3f} | {of_terms} | {observed.mean():.3f} | {floor.mean():.3f} | "
        f"{ceiling.mean():.3f} | {kappa[measured].mean() if measured.any() else np.nan:.3f} | "
        f"{error.mean() if len(error) else np.nan:+.3f}{mark} | {spread:.3f} | "
        f"{covered.sum()}/{measured.sum()} | {len(kappa) - measured.sum()} |"
    )


HEAD = (
    "| {} | true | kappa of the terms | s | f | c | kappa | error | its SE | covered | not measurable |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def planted(draws: int, jobs: int, what: Sequence[str]) -> None:
    """Tables of both."""
    if "preserved" in what:
        print(HEAD.format("own terms, noise, phi"))
        for own, noises, shares in (("chance", NOISE, PHI), ("apart", (0.0, 0.2), PHI[:-1])):
            for noise in noises:
                for phi in shares:
                    setting = Setting(phi, (noise, noise), own=own)
                    results = at_once(partial(preserved, setting), range(draws), jobs)
                    print(row(f"{own}, {noise:.0%}, {phi}", results), flush=True)
    if "relearned" in what:
        print("\n" + HEAD.format("noise, of the control, psi (phi 0.6)"))
        for noise, control in [*((one, one) for one in NOISE), (0.0, 0.2), (0.1, 0.4)]:
            for psi in PSI:
                setting = replace(Setting(0.6, (noise, noise, control)), psi=psi)
                results = at_once(partial(relearned, setting), range(draws), jobs)
                print(row(f"{noise:.0%}, {control:.0%}, {psi}", results), flush=True)
