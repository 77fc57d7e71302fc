"""Sparse readings compared with planted truth, held-out masks and other methods, and their speed (docs/sparse.md).

    python benchmarks/sparse.py planted --players 32 --masks 1344 [--ors 6 --noise 0.1] [--games 3] [--design paired]
    python benchmarks/sparse.py heldout [--others] [--only 128 256]
    python benchmarks/sparse.py small
    python benchmarks/sparse.py rules
    python benchmarks/sparse.py penalties
    python benchmarks/sparse.py real [--check] [--only 128 256 512 1024]
    python benchmarks/sparse.py designs [--real]
    python benchmarks/sparse.py width [--only 64 128 256 512]
    python benchmarks/sparse.py full
    python benchmarks/sparse.py noise
    python benchmarks/sparse.py errors
    python benchmarks/sparse.py speed

All but planted need ../shared/reference; real and designs --real need the tables of benchmarks/real_games.py.
One core: set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sparse_errors
import sparse_penalties
import sparse_real
import sparse_width
import torch
from measure import REFERENCE
from numpy.typing import NDArray
from sparse_methods import (
    Floats,
    Term,
    column,
    columns,
    exact_lasso,
    lasso,
    planted_game,
    r2,
    reference,
    share_of_error,
    trees,
)

import bequeath as bq
from bequeath.lattice.sparse import selection, validation
from bequeath.lattice.sparse.design import ORDER_WEIGHT, shared
from bequeath.lattice.sparse.masks import Design
from bequeath.lattice.sparse.table import read
from bequeath.models.mobilenetv2 import mobilenet_v2


def planted(players: int, masks: int, ors: int, noise: float, games: int, order: int, design: Design) -> None:
    """How many of 20 planted terms are among the 20 strongest terms of the fit, and among all, with the right sign."""
    drawn = bq.draw_masks(players, masks, design).numpy()
    bq.fit(bq.draw_masks(6, 64), torch.rand(64), 2)  # compile
    for seed in range(games):
        generator = np.random.default_rng(seed)
        # 15 of the 20 where the order is 3.
        game = {term: v for term, v in planted_game(players, ors, generator).items() if len(term[0]) <= order}
        clean = np.asarray(sum(value * column(term, drawn) for term, value in game.items()))
        values = clean + noise * clean.std() * generator.normal(size=len(clean))
        begin, cpu = time.perf_counter(), time.process_time()
        found = bq.fit(drawn, values, order)
        assert found.certificate is not None
        took, cpu = time.perf_counter() - begin, time.process_time() - cpu
        terms = {(term.players, term.kind): term.value for term in found.terms()}
        right = [term for term, value in game.items() if terms.get(term, 0.0) * value > 0]
        strongest = set(list(terms)[: len(game)])
        print(
            f"n={players} K={masks} {design} ors={ors} noise={noise} game={seed}: {len(right)}/{len(game)}, "
            f"{len(strongest & set(right))} among the {len(game)} strongest, {len(terms)} terms, L1 error "
            f"{share_of_error(game, terms):.3f}, held-out R2 {found.r2:.3f}, "
            f"gap {found.certificate.gap:.1e}, {took:.1f} s wall, {cpu:.1f} s CPU, "
            f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB",
            flush=True,
        )


def heldout(others: bool, numbers: Sequence[int]) -> None:
    """R2 on the last 256 masks from the first 128, 256, 512, 1,022."""
    masks, values = reference()
    test = slice(1024, 1280)
    cases: dict[str, Callable[[NDArray[np.bool_], Floats, NDArray[np.bool_]], Floats]] = {
        "lasso, AND-OR, order 3": lambda x, y, new: exact_lasso(x, y, new, 3, "and-or"),
        "lasso, AND-OR, order 2": lambda x, y, new: exact_lasso(x, y, new, 2, "and-or"),
        "lasso, Walsh, order 3": lambda x, y, new: exact_lasso(x, y, new, 3, "walsh"),
        "boosted trees": lambda x, y, new: trees(x.astype(float), new.astype(float), y),
    }
    for number in numbers:
        for order in (3, 4):
            begin = time.perf_counter()
            found = bq.fit(masks[:number], values[:, :number], order)
            took = time.perf_counter() - begin
            fitted = found.reconstruct(masks[test]).numpy()
            scores = r2(values[:, test], fitted)
            print(
                f"{number} masks, bequeath.fit, order {order}: R2 {scores.mean():.3f} (by its own cross-validation "
                f"{found.r2.mean():.3f}), {took / len(values):.2f} s a table",
                flush=True,
            )
        for name, method in cases.items() if others else ():
            begin = time.perf_counter()
            fitted = np.stack([method(masks[:number], y[:number], masks[test]) for y in values])
            took = time.perf_counter() - begin
            print(
                f"{number} masks, {name}: R2 {r2(values[:, test], fitted).mean():.3f}, "
                f"{took / len(values):.2f} s a table",
                flush=True,
            )


def small() -> None:
    """Games of 9 players, known on all 512 masks: R2 on all masks that were not used."""
    bits = np.arange(512)[:, None] >> np.arange(9) & 1 == 1
    x, plain = columns(bits, 3, "and-or"), bits.astype(np.float64)
    for file in ("hymenoptera_n9", "sst2_n9"):
        data = np.load(REFERENCE / f"{file}.npz")
        values = np.concatenate([data[name][:8] for name in ("F0", "S0")]).astype(np.float64)
        for number in (64, 128, 256):
            index = bq.draw_masks(9, number).numpy() @ (1 << np.arange(9))
            out = np.setdiff1d(np.arange(512), index)
            scores = {
                f"bequeath.fit, order {order}": r2(
                    values[:, out],
                    bq.fit(bits[index], values[:, index], order).reconstruct(bits[out]).numpy(),
                )
                for order in (3, 4)
            }
            for name, (inputs, method) in {
                "lasso, AND-OR, order 3": (x, lasso),
                "trees": (plain, trees),
            }.items():
                fitted = np.stack([method(inputs[index], inputs[out], y[index]) for y in values])
                scores[name] = r2(values[:, out], fitted)
            text = ", ".join(f"{name} {np.mean(score):.3f}" for name, score in scores.items())
            print(f"{file}, {number} masks: mean R2 of {len(values)} tables: {text}", flush=True)


def rules() -> None:
    """Every family, relaxation and rule of choice: R2 on real tables, L1 error on planted ones."""
    masks, values = reference()
    for number in (128, 256):
        real = [(y[:number] - y[1], y - y[1], None) for y in values]
        _rules(f"real, {number} masks", masks, number, real)
    generator = np.random.default_rng(0)
    drawn = bq.draw_masks(16, 1024).numpy()
    for number, noise in ((256, 0.0), (256, 0.2), (512, 0.5)):
        cases = []
        for _ in range(12):
            game: dict[Term, float] = {}
            while len(game) < 20:
                members = tuple(sorted(generator.choice(16, 1 + len(game) // 7, replace=False).tolist()))
                kind = "or" if len(members) > 1 and len(game) % 2 else "and"
                game[members, kind] = float(generator.laplace())
            clean = np.asarray(sum(value * column(term, drawn) for term, value in game.items()))
            noisy = clean + noise * clean.std() * generator.normal(size=len(clean))
            noisy[0] = 0
            cases.append((noisy[:number], clean, game))
        _rules(f"planted, noise {noise}, {number} masks", drawn, number, cases)


def _rules(name: str, masks: NDArray[np.bool_], number: int, cases: Sequence[Any]) -> None:
    for sharing in (False, True):
        _rules_of(f"{name}, {'elastic net' if sharing else 'lasso'} first", masks, number, cases, sharing)
    _default(name, masks, number, cases)


def _default(name: str, masks: NDArray[np.bool_], number: int, cases: Sequence[Any]) -> None:
    """The results of `fit` itself by the same criteria, with order 3."""
    test, rows = slice(len(masks) - 256, len(masks)), []
    inner = np.flatnonzero(masks[:number].any(1))
    design = shared(masks[inner], 3, "and-or", 0, 0)
    for given, truth, game in cases:
        found = read(design, given[inner])
        terms = {
            (tuple(p[p >= 0].tolist()), "or" if kind else "and"): value
            for p, kind, value in zip(found.terms.players, found.terms.kinds, found.value, strict=True)
        }
        fitted = found.constant + sum((v * column(t, masks) for t, v in terms.items()), np.zeros(len(masks)))
        error = np.nan if game is None else share_of_error(game, terms)
        rows.append((float(r2(truth[None, test], fitted[None, test])[0]), len(terms), error))
    mean = np.mean(rows, 0)
    print(f"{name}: bequeath.fit: R2 {mean[0]:.3f}, {mean[1]:.0f} terms, L1 error {mean[2]:.3f}", flush=True)


def _rules_of(name: str, masks: NDArray[np.bool_], number: int, cases: Sequence[Any], sharing: bool) -> None:
    kept = np.flatnonzero(masks[:number].any(1))
    design = shared(masks[kept], 3, "and-or", 0, 0)
    assert design.terms is not None
    assert design.bits is not None
    weights: Floats = np.power(ORDER_WEIGHT, design.terms.orders - 1.0)
    listed = [
        (tuple(p[p >= 0].tolist()), "or" if k else "and")
        for p, k in zip(design.terms.players, design.terms.kinds, strict=True)
    ]
    scores: dict[str, list[tuple[float, ...]]] = {}
    number_of_folds = int(design.folds.max()) + 1
    test = slice(len(masks) - 256, len(masks))
    for given, truth, game in cases:
        y = np.zeros(len(design.used))
        y[: len(kept)] = given[kept]
        penalties = selection.PENALTIES[:58] * y[: len(kept)].std()
        found = validation.validate(
            [design.bits] * number_of_folds,
            [weights] * number_of_folds,
            design.used,
            design.folds,
            y,
            penalties,
            sharing,
        )
        total = found.errors.sum(-1)
        spread = found.errors.std(-1, ddof=1) * number_of_folds**0.5
        choices = {"chosen by the rule": found.choice()}
        least = np.unravel_index(int(total.argmin()), total.shape)
        choices["least error of all six"] = selection.Choice(*map(int, least))
        for family, family_name in enumerate(selection.FAMILIES):
            for relaxed, share in enumerate(selection.RELAXED):
                curve = total[family, relaxed]
                at = int(curve.argmin())
                key = f"{family_name}, {share:.0%} refit"
                choices[f"{key}, least error"] = selection.Choice(family, relaxed, at)
                within = int((curve <= curve[at] + spread[family, relaxed, at]).argmax())
                choices[f"{key}, one-SE"] = selection.Choice(family, relaxed, within)
        for key, choice in choices.items():
            members, b, _ = selection.chosen_fit(
                design.bits, weights, design.used, y, penalties, choice, found.plain, sharing
            )
            terms = dict(zip((listed[j] for j in members), b, strict=True))
            fitted = sum((v * column(t, masks) for t, v in terms.items()), np.zeros(len(masks)))
            fitted = fitted + (y[: len(kept)] - fitted[kept]).mean()
            row = [float(r2(truth[None, test], fitted[None, test])[0]), float(len(terms))]
            if game is not None:
                row.append(share_of_error(game, terms))
            scores.setdefault(key, []).append(tuple(row))
    for key, rows in scores.items():
        mean = np.mean(rows, 0)
        error = f", L1 error {mean[2]:.3f}" if len(mean) > 2 else ""
        print(f"{name}: {key}: R2 {mean[0]:.3f}, {mean[1]:.0f} terms{error}", flush=True)


def designs() -> None:
    """Designs of 128 masks on games of 9 players whose 512 values are all known: R2 on all other masks."""
    bits = np.arange(512)[:, None] >> np.arange(9) & 1 == 1
    for file in ("hymenoptera_n9", "sst2_n9"):
        data = np.load(REFERENCE / f"{file}.npz")
        values = np.concatenate([data[name] for name in ("P", "F0", "S0")]).astype(np.float64)
        for design, shown in sparse_real.DESIGNS:
            rows = []
            for seed in range(2):
                masks = bq.draw_masks(9, 128, design, shown=shown, seed=seed).numpy()
                index = masks @ (1 << np.arange(9))
                out = np.setdiff1d(np.arange(512), index)
                found = bq.fit(masks, values[:, index], 3, resamples=0)
                whole = r2(values[:, out], found.reconstruct(bits[out]).numpy())
                mostly = out[bits[out].sum(1) >= 6]
                high = r2(values[:, mostly], found.reconstruct(bits[mostly]).numpy())
                a, b = (half.values for half in found.halves)
                same = torch.minimum(a.abs(), b.abs()) * (a.sign() == b.sign())
                again = 2 * same.sum() / (a.abs().sum() + b.abs().sum())
                rows.append((np.median(whole), np.median(high), float(again)))
            mean = np.mean(rows, 0)
            print(
                f"{file}, {design}{'' if shown is None else f' {shown}'}: R2 {mean[0]:.3f}, where 6 or more of 9 are "
                f"shown {mean[1]:.3f} (medians of {len(values)} tables); halves share {mean[2]:.3f}",
                flush=True,
            )


def full() -> None:
    """The full mask left out of the fit, as one mask among others, or weighted so that v(N) is nearly exact."""
    masks, values = reference()
    test = slice(1024, 1280)
    for number in (128, 256):
        inner = np.flatnonzero(masks[:number].any(1) & ~masks[:number].all(1))
        for name, copies in (("left out", 0), ("one mask among others", 1), ("64 times", 64)):
            rows = np.concatenate((inner, np.zeros(copies, np.int64)))
            design = shared(masks[rows], 3, "and-or", 0, 0)
            scores, left = [], []
            for y in values:
                found = read(design, y[rows] - y[1])
                fitted = np.full(len(masks), y[1] + found.constant)
                for players, kind, value in zip(
                    found.terms.players, found.terms.kinds, found.value, strict=True
                ):
                    fitted += value * column((tuple(players[players >= 0]), "or" if kind else "and"), masks)
                scores.append(r2(y[None, test], fitted[None, test])[0])
                left.append(abs(y[0] - fitted[0]))
            print(
                f"{number} masks, full mask {name}: R2 {np.mean(scores):.3f}, |unexplained| {np.mean(left):.3f} of "
                f"|v(N) - v(0)| {np.abs(values[:, 0] - values[:, 1]).mean():.2f}",
                flush=True,
            )
    drawn = bq.draw_masks(16, 256).numpy()
    for noise in (0.1, 0.2):
        for copies in (0, 1, 64):
            rows, wrong = np.concatenate((np.arange(2, 256), np.ones(copies, np.int64))), []
            design = shared(drawn[rows], 3, "and-or", 0, 0)
            for seed in range(12):
                generator = np.random.default_rng(seed)
                game = {term: v for term, v in planted_game(16, 4, generator).items() if len(term[0]) < 4}
                clean = np.asarray(sum(value * column(term, drawn) for term, value in game.items()))
                noisy = clean + noise * clean.std() * generator.normal(size=len(clean))
                found = read(design, noisy[rows])
                players = [tuple(p[p >= 0].tolist()) for p in found.terms.players]
                kinds = ["or" if kind else "and" for kind in found.terms.kinds]
                terms = dict(zip(zip(players, kinds, strict=True), found.value, strict=True))
                wrong.append(share_of_error(game, terms))
            print(
                f"planted, noise {noise}, full mask {copies} times: L1 error {np.mean(wrong):.3f}", flush=True
            )


def noise() -> None:
    """The held-out R2 of pure noise, with 200 tables for each setting, and of real tables by seed."""
    for n, number, order in ((8, 60, 3), (16, 128, 3), (16, 256, 3), (16, 512, 2), (9, 128, 4)):
        values = np.random.default_rng(1).normal(size=(200, number))
        found = bq.fit(bq.draw_masks(n, number), values, order, resamples=0)
        scores, some = found.r2.numpy(), (found.by_order().sum(-1) > 0).double().mean().item()
        print(
            f"n={n}, {number} masks, order {order}: R2 mean {scores.mean():.4f}, largest {scores.max():.3f}, "
            f"over 0.05: {(scores > 0.05).mean():.1%}; terms in {some:.1%} of the tables",
            flush=True,
        )
    masks, values = reference()
    for number in (128, 256):
        fits = [bq.fit(masks[:number], values[:, :number], seed=seed, resamples=0) for seed in range(4)]
        means = [r2(values[:, 1024:], one.reconstruct(masks[1024:]).numpy()).mean() for one in fits]
        print(
            f"{number} masks, by seed of the fit: R2 {', '.join(f'{mean:.3f}' for mean in means)}",
            flush=True,
        )


def speed() -> None:
    """100 tables of 16 players, 256 masks, against LassoCV on the same terms of order 3, and against a forward pass."""
    masks, values = reference(("P", "F0", "F1", "S0", "S1"))
    values = np.concatenate((values, values, values))[:100, :256]
    ours = {}
    for order in (3, 4):
        bq.fit(masks[:256], values[:1], order)
        begin, cpu = time.perf_counter(), time.process_time()
        bq.fit(masks[:256], values, order)
        took, ours[order] = (time.perf_counter() - begin) / 100, (time.process_time() - cpu) / 100
        print(
            f"bequeath.fit, order {order}: {took * 1e3:.0f} ms a table wall, {ours[order] * 1e3:.0f} ms CPU",
            flush=True,
        )
    x = columns(masks[:256], 3, "and-or")
    cpu = time.process_time()
    for y in values[:40:8]:
        lasso(x, x, y, eps=1e-3, alphas=100, max_iter=1000)  # its defaults
    theirs = (time.process_time() - cpu) / 5
    print(f"LassoCV, order 3: {theirs * 1e3:.0f} ms CPU: {theirs / ours[3]:.1f} times", flush=True)
    model = mobilenet_v2(2).eval()
    game = bq.Game(
        model, torch.rand(3, 96, 96), bq.players.grid(4, 4), bq.baselines.mean(), bq.values.log_odds(0)
    )
    chosen = torch.from_numpy(masks[:256])
    game.values(chosen[:64])
    cpu = time.process_time()
    game.values(chosen)
    forward = time.process_time() - cpu
    print(
        f"MobileNetV2, 96 px, 256 masks: {forward * 1e3:.0f} ms CPU; the fit takes {ours[3] / forward:.1%} of that "
        f"with order 3, {ours[4] / forward:.1%} with order 4",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=[*MODES, "planted", "heldout", "real", "designs", "width"])
    parser.add_argument("--players", type=int, default=32)
    parser.add_argument("--masks", type=int, default=1344)
    parser.add_argument("--ors", type=int, default=0)
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--games", type=int, default=3)
    parser.add_argument("--order", type=int, default=4)
    parser.add_argument("--design", default="uniform", help="planted: the design of the masks")
    parser.add_argument("--others", action="store_true", help="the other methods beside")
    parser.add_argument("--only", type=int, nargs="+", default=[128, 256, 512, 1022], help="numbers of masks")
    parser.add_argument("--real", action="store_true", help="designs: on the games of real_games.py")
    parser.add_argument(
        "--check", action="store_true", help="real: shapiq's predictions on a game of order 2"
    )
    parser.add_argument(
        "--methods", nargs="+", choices=list(sparse_real.METHODS), default=list(sparse_real.METHODS)
    )
    given = parser.parse_args()
    warnings.simplefilter("ignore", bq.RepeatedMaskWarning)
    if given.what == "planted":
        planted(given.players, given.masks, given.ors, given.noise, given.games, given.order, given.design)
    elif given.what == "heldout":
        heldout(given.others, given.only)
    elif given.what == "real":
        sparse_real.check() if given.check else sparse_real.real(given.only, given.methods)
    elif given.what == "designs":
        sparse_real.designs() if given.real else designs()
    elif given.what == "width":
        sparse_width.width(given.only)
    else:
        MODES[given.what]()


MODES: dict[str, Callable[[], None]] = {
    "small": small,
    "rules": rules,
    "penalties": sparse_penalties.penalties,
    "full": full,
    "noise": noise,
    "errors": sparse_errors.errors,
    "speed": speed,
}


if __name__ == "__main__":
    main()
