"""Sparse readings and other methods on real games whose complete tables are known (benchmarks/real_games.py).

Called by benchmarks/sparse.py real. These methods are compared, each with the same number of evaluations:

- `bequeath.fit` at its defaults;
- shapiq 1.4.1 as shipped: SPEX and ProxySPEX (FBII of all orders: the Moebius transform of their result),
  KernelSHAP-IQ of order 2 (k-SII), regression of order 2 (FSII, and FBII, which weights all masks equally). They draw
  their own masks, through a call that looks up the complete table;
- cross-validated lassos on Walsh functions and on AND and OR terms, and boosted trees.

An interaction index predicts a mask by the sum over the subsets of its players. A game of order 2 confirms this
(`python benchmarks/sparse.py real --check`): R2 1.000 for SPEX (512 masks) and both regressions, 0.993 for
KernelSHAP-IQ (512 masks; 0.896 from 128), 0.959 for ProxySPEX, whose trees do not fit it exactly.
R2 is measured on 2,048 uniform masks, without those that the method has seen. ProxySPEX needs LightGBM, which is not a
dependency of shapiq: `pip install --no-deps --target DIR lightgbm`, and PYTHONPATH=DIR.
"""

from __future__ import annotations

import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from real_games import FOLDER, tables
from sparse_methods import Floats, exact_lasso, r2, trees

import bequeath as bq
from bequeath.lattice.sparse.masks import Design

Bool = NDArray[np.bool_]
# What a method gives: predictions on masks, and the indices of the masks that it saw.
Method = Callable[["Look", int], tuple[Callable[[Bool], Floats], NDArray[np.int64]]]

# Seconds of CPU that a method may take for one table.
LIMIT = 30
# Designs, and the share of players shown where it is not the design's own.
DESIGNS: list[tuple[Design, float | None]] = [
    ("uniform", None),
    ("size", None),
    ("paired", None),
    ("mostly", None),
    ("uniform", 0.6),
]


class Look:
    """A complete table as a game, which records the indices of all masks that a method evaluates."""

    def __init__(self, table: Floats) -> None:
        self.table = table
        self.n = int(np.log2(len(table)))
        self.seen: list[NDArray[np.int64]] = []

    def __call__(self, masks: Any) -> Floats:
        index = self.index(np.asarray(masks, bool))
        self.seen.append(index)
        return np.asarray(self.table[index])

    def index(self, masks: Bool) -> NDArray[np.int64]:
        """The indices of masks in the table."""
        return np.asarray(masks @ (1 << np.arange(self.n)))


def fitted(look: Look, number: int, seed: int = 0) -> tuple[Callable[[Bool], Floats], NDArray[np.int64]]:
    """bequeath.fit at its defaults."""
    masks = bq.draw_masks(look.n, number, seed=seed)
    found = bq.fit(masks, look(masks.numpy()), resamples=0)
    return lambda test: found.reconstruct(test).numpy(), np.concatenate(look.seen)


def regression(predict: Callable[[Bool, Floats, Bool], Floats]) -> Method:
    """A method that takes masks and values, on the masks that `fitted` uses."""

    def method(look: Look, number: int) -> tuple[Callable[[Bool], Floats], NDArray[np.int64]]:
        masks = bq.draw_masks(look.n, number).numpy()
        y = look(masks)
        return lambda test: predict(masks, y, test), np.concatenate(look.seen)

    return method


def shapiqs(name: str, **options: Any) -> Method:
    """One of shapiq's approximators; prediction by the sum over subsets."""

    def method(look: Look, number: int) -> tuple[Callable[[Bool], Floats], NDArray[np.int64]]:
        import shapiq.approximator

        approximator = getattr(shapiq.approximator, name)(n=look.n, random_state=0, **options)
        found = approximator.approximate(number, look).dict_values

        def predict(test: Bool) -> Floats:
            out = np.zeros(len(test))
            for members, value in found.items():
                out += value * test[:, list(members)].all(1)
            return out

        return predict, np.concatenate(look.seen)

    return method


def lasso_of(order: int, basis: str) -> Method:
    """A cross-validated lasso."""
    return regression(lambda masks, y, test: exact_lasso(masks, y, test, order, basis))


METHODS: dict[str, Method] = {
    "bequeath.fit": fitted,
    "SPEX": shapiqs("SPEX"),
    "ProxySPEX": shapiqs("ProxySPEX"),
    "KernelSHAP-IQ, order 2": shapiqs("KernelSHAPIQ", max_order=2),
    "regression FSII, order 2": shapiqs("RegressionFSII", max_order=2),
    "regression FBII, order 2": shapiqs("RegressionFBII", max_order=2),
    "lasso Walsh, order 3": lasso_of(3, "walsh"),
    "lasso AND-OR, order 2": lasso_of(2, "and-or"),
    "lasso AND-OR, order 3": lasso_of(3, "and-or"),
    "boosted trees": regression(lambda masks, y, test: trees(masks.astype(float), test.astype(float), y)),
}


@contextmanager
def limited() -> Iterator[None]:
    """Stop a method that takes more than LIMIT seconds of CPU."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"over {LIMIT} s of CPU a table")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def score(method: Method, table: Floats, number: int, test: Bool) -> float:
    """R2 on the test masks that the method has not seen."""
    look = Look(table)
    with warnings.catch_warnings(), limited():
        warnings.simplefilter("ignore")
        predict, seen = method(look, number)
        fresh = test[~np.isin(look.index(test), seen)]
        true = table[look.index(fresh)]
        return float(r2(true[None], predict(fresh)[None])[0])


def real(numbers: list[int], names: list[str], folder: Path = FOLDER, most: int = 2) -> None:
    """R2 of the named methods, by game and over all; a table of markdown for each number of masks."""
    games = {name: found[:most] for name, found in tables(folder).items()}
    for number in numbers:
        print(f"\n| {number} masks | {' | '.join(games)} | mean | s a table |", flush=True)
        print("|---|" + "---|" * (len(games) + 2), flush=True)
        for name, method in METHODS.items():
            if name not in names:
                continue
            print(f"| {name} | {_row(method, games, number)} |", flush=True)


def _row(method: Method, games: dict[str, Floats], number: int) -> str:
    begin, means, reason = time.process_time(), [], ""
    for found in games.values():
        n = int(np.log2(found.shape[1]))
        test = bq.draw_masks(n, 2048, seed=99).numpy()
        try:
            means.append(float(np.mean([score(method, table, number, test) for table in found])))
        except (ValueError, ImportError, TimeoutError) as error:
            reason = str(error).split(".")[0]
            means.append(np.nan)
    count = sum(len(found) for found in games.values())
    took = (time.process_time() - begin) / count
    cells = ["-" if np.isnan(mean) else f"{mean:.3f}" for mean in means]
    mean = "-" if np.isnan(means).any() else f"{np.mean(means):.3f}"
    return " | ".join([*cells, mean, f"{took:.1f}" + (f" ({reason})" if reason else "")])


def check() -> None:
    """Predictions on a game of order 2: R2 near 1, or the prediction code is wrong."""
    n, generator = 14, np.random.default_rng(0)
    bits = np.arange(2**n)[:, None] >> np.arange(n) & 1 == 1
    table = bits @ generator.normal(size=n)
    for _ in range(12):
        table += generator.normal() * bits[:, generator.choice(n, 2, replace=False)].all(1)
    test = bq.draw_masks(n, 2048, seed=99).numpy()
    for number in (128, 512):
        for name, method in METHODS.items():
            try:
                print(f"{number} masks, {name}: R2 {score(method, table, number, test):.4f}", flush=True)
            except (ValueError, ImportError, TimeoutError) as error:
                print(f"{number} masks, {name}: {str(error).splitlines()[0]}", flush=True)


def designs(folder: Path = FOLDER, number: int = 256) -> None:
    """Designs on real games: R2 on uniform masks and on masks mostly shown, and what two halves share."""
    games = tables(folder)
    print("| game | design | R2, uniform | mostly shown | halves share | floor | above it |")
    print("|---|---|---|---|---|---|---|")
    for name, found in games.items():
        n = int(np.log2(found.shape[1]))
        tests = [bq.draw_masks(n, 2048, seed=99).numpy(), bq.draw_masks(n, 2048, "mostly", seed=99).numpy()]
        for design, shown in DESIGNS:
            masks = bq.draw_masks(n, number, design, shown=shown).numpy()
            index = masks @ (1 << np.arange(n))
            reading = bq.fit(masks, found[:, index], resamples=0)
            scores = []
            for test in tests:
                at = test @ (1 << np.arange(n))
                new = ~np.isin(at, index)
                scores.append(r2(found[:, at[new]], reading.reconstruct(test[new]).numpy()).mean())
            share = bq.compare(before=reading.halves[0], after=reading.halves[1]).share("preserved")
            label = design if shown is None else f"{design}, {shown} shown"
            floor = np.nan if share.floor is None else share.floor
            print(
                f"| {name} | {label} | {scores[0]:.3f} | {scores[1]:.3f} | {share.observed:.3f} | {floor:.3f} | "
                f"{share.observed - floor:.3f} |",
                flush=True,
            )
