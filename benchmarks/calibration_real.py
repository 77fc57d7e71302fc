"""Tests of kappa on real models: identity, interpolation, dose, stability."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import torch
from calibration_models import PAIRS, Pair, View, pair
from measure import REFERENCE
from numpy.typing import NDArray
from planted_studies import FOLDER, compared, read_again_as, write
from scipy import stats

import bequeath as bq
from bequeath.knowledge.share import Share
from bequeath.lattice.interactions import Interactions
from bequeath.lattice.sparse.fit import halves

Halves = tuple[Interactions, Interactions]
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
DOSES = {"mobilenet": (0, 2, 5, 10, 19), "resnet20": (0, 1, 3, 6, 10), "minilm": (0, 1, 2, 4, 6)}
# Mask seeds of the identity check.
SEEDS = {"mobilenet": 4, "resnet20": 4, "minilm": 3}
GAMES = ("hymenoptera_n16", "hymenoptera_n9", "sst2_n9")


def told(share: Share) -> str:
    """kappa with its interval."""
    if share.corrected is None:
        return f"not measurable: {share.reason}"
    return f"{share.corrected:.3f} [{share.low:.3f}, {share.high:.3f}]" + ("*" if share.reason else "")


def levels(share: Share) -> str:
    """Observed, floor, ceiling."""
    return " / ".join("-" if x is None else f"{x:.3f}" for x in (share.observed, share.floor, share.ceiling))


def preserved(before: Halves, after: Halves, labels: Sequence[int] | None = None) -> Share:
    """The share across halves."""
    return compared({"before": before, "after": after}, labels=labels).share("preserved")


def _of_states(name: str, before: str, after: str, view: View | None = None) -> Share:
    model = pair(name)
    return preserved(
        model.reading(before, view), model.reading(after, view), [label for _, label in model.tests]
    )


def identity(names: Sequence[str], quick: bool) -> None:
    """A model against its own second reading: from other masks, or on a grid shifted by 1/32 of a side."""
    print("| model | second reading | s / f / c | kappa | within 0.05 |\n|---|---|---|---|---|")
    for name in names:
        if name == "games":
            _identity_of_games(quick)
            continue
        model = pair(name)
        for state, seeds in (("w0", 2 if quick else SEEDS[name]), ("d0", 2)):
            _identity_of_masks(model, state, seeds)
        if model.tokenizer is None:
            # Corners of a square: before and after lie along one pair of sides, their retests along the other.
            side = model.tests[0][0].shape[-1]
            by = side // 32
            games = [replace(model.view, shift=corner) for corner in ((0, 0), (0, by), (by, by), (by, 0))]
            what = f"grid shifted by {by} of {side} pixels"
            ways = {"retest sideways, before to after down": (0, 1, 2, 3)}
            ways |= {"retest down, before to after sideways": (0, 3, 2, 1)}
        else:
            # Texts have no grid that could be shifted, so their retests use other fillers.
            fillers = ("mask_token", "pad", "removal", "mean")
            games = [replace(model.view, baseline=baseline) for baseline in fillers]
            what = "fillers"
            ways = {"retests mask, padding; removal, mean": (0, 1, 2, 3)}
            ways |= {"retests mask, mean; padding, removal": (0, 3, 2, 1)}
        found = []
        for way, corners in ways.items():
            one, again, other, other_again = (model.reading("w0", games[corner])[0] for corner in corners)
            retested = bq.compare(before=one, after=other, retests={"before": again, "after": other_again})
            found.append(retested.share("preserved", "retest"))
            _identity_row(f"{name} w0", f"{what}: {way}", found[-1])
        if model.tokenizer is None:
            _identity_mean(f"{name} w0", f"{what}: mean of both", found)


def _identity_of_masks(model: Pair, state: str, seeds: int) -> None:
    """Draws of masks against each other."""
    name = f"{model.name} {state}"
    views = [replace(model.view, seed=seed) for seed in range(seeds)]
    both = {view.seed: model.reading(state, view) for view in views}
    found = []
    for first, second in combinations(both, 2):
        found.append(preserved(both[first], both[second]))
        _identity_row(name, f"masks of seeds {first}, {second} (split)", found[-1])
    if len(found) == 1:
        return
    _identity_mean(name, "mean of these", found)
    _regrouped(name, [half for halves in both.values() for half in halves])


def _regrouped(name: str, readings: Sequence[Interactions]) -> None:
    """kappa over all ways to make two models, with two readings each, of readings of one model.

    All readings are drawn in the same way, so it is arbitrary which of them are called before and after. The mean over
    all ways is more precise than a single way with few draws.
    """
    pairs = list(combinations(range(len(readings)), 2))
    ways = [(one, two) for one, two in combinations(pairs, 2) if not set(one) & set(two)]
    halves = [[(readings[first], readings[second]) for first, second in way] for way in ways]
    found = [preserved(before, after) for before, after in halves]
    low, high = np.quantile([one.corrected for one in found if one.corrected is not None], [0.025, 0.975])
    what = f"all {len(ways)} ways to pair the {len(readings)} halves: 95% of them in {low:.2f} to {high:.2f}"
    _identity_mean(name, what, found)


def _identity_mean(name: str, what: str, found: Sequence[Share]) -> None:
    kappa = [one.corrected for one in found if one.corrected is not None]
    mean = float(np.mean(kappa)) if kappa else None
    print(f"| {name} | {what} | | {'-' if mean is None else f'{mean:.3f}'} | {_near(mean)} |", flush=True)


def _identity_of_games(quick: bool) -> None:
    """Models of the reference game of 16 cells, read from four parts of the 1,280 masks, each part with its halves."""
    game, parts = GAMES[0], 2 if quick else 4
    masks, models = reference(game)
    ends = drawn(masks, 2, 0)
    order = np.random.default_rng(5).permutation(np.setdiff1d(np.arange(len(masks)), ends))
    size = (len(order) - 1) // 8
    for model, values in models.items():
        readings = []
        for part in range(2 * parts):
            rows = np.concatenate((ends, np.sort(order[part * size : (part + 1) * size])))
            readings.append(read_again_as(bq.fit(masks[rows], values[:, rows], 3, resamples=0), None))
        both = [(readings[2 * part], readings[2 * part + 1]) for part in range(parts)]
        found = [preserved(*two) for two in combinations(both, 2)]
        kappa = [one.corrected for one in found if one.corrected is not None]
        covered = sum(one.low <= 1 <= one.high for one in found)
        what = f"{len(found)} pairs of parts of {2 * size} masks: {min(kappa):.2f} to {max(kappa):.2f}, "
        what += f"the interval holds 1 in {covered}; mean"
        _identity_mean(f"{game} {model}", what, found)
        _regrouped(f"{game} {model}", readings)


def _identity_row(name: str, what: str, share: Share) -> None:
    print(f"| {name} | {what} | {levels(share)} | {told(share)} | {_near(share.corrected)} |", flush=True)


def _near(kappa: float | None) -> str:
    return "-" if kappa is None else "yes" if abs(kappa - 1) <= 0.05 else "no"


def interpolation(names: Sequence[str], quick: bool) -> None:
    """Weights between before and after."""
    shares = SHARES[::4] if quick else SHARES
    print(
        "| pair | a | accuracy on the samples | s / f / c | kappa to the model before | p |\n|---|---|---|---|---|---|"
    )
    for name in names:
        found = [_of_states(name, "w0", "w0" if a == 0 else "d0" if a == 1 else f"w{a}") for a in shares]
        for a, share in zip(shares, found, strict=True):
            state = "w0" if a == 0 else "d0" if a == 1 else f"w{a}"
            print(_row(f"{name} | {a}", pair(name).accuracy(state), share), flush=True)
        _falls(name, shares, found)


def dose(names: Sequence[str], quick: bool) -> None:
    """Kappa with more and more blocks, from the last on, at random weights before the same fine-tuning."""
    print("| pair | blocks put back | accuracy on the samples | s / f / c | kappa to the model before | p |")
    print("|---|---|---|---|---|---|")
    for name in names:
        doses = DOSES[name][:2] if quick else DOSES[name]
        found = [_of_states(name, "w0", f"d{count}") for count in doses]
        for count, share in zip(doses, found, strict=True):
            print(_row(f"{name} | {count}", pair(name).accuracy(f"d{count}"), share), flush=True)
        _falls(name, doses, found)


def _row(name: str, accuracy: float, share: Share) -> str:
    p = "-" if share.p is None else f"{share.p:.4f}"
    return f"| {name} | {accuracy:.2f} | {levels(share)} | {told(share)} | {p} |"


def _falls(name: str, at: Sequence[float], found: Sequence[Share]) -> None:
    kappa = [np.nan if one.corrected is None else one.corrected for one in found]
    rho = float(stats.spearmanr(at, kappa, nan_policy="omit").statistic)
    print(f"| {name} | Spearman | | | {rho:+.2f} | |", flush=True)


def reference(game: str) -> tuple[NDArray[np.bool_], dict[str, NDArray[np.float64]]]:
    """Masks and values of the five models of a reference game."""
    data = np.load(REFERENCE / f"{game}.npz")
    models = {name: data[name].astype(np.float64) for name in ("P", "F0", "F1", "S0", "S1")}
    n = int(game.rpartition("_n")[2])
    masks = data["masks"] if "masks" in data else np.arange(2**n)[:, None] >> np.arange(n) & 1 == 1
    return masks, models


def read(
    game: str, model: str, rows: NDArray[np.int64], what: str, order: int = 3, samples: int = 16
) -> Halves:
    """Halves of a model of a reference game on some of its masks; kept by the name of those."""
    file = FOLDER / "readings" / f"{game}-{model}-{what}-{order}-{samples}.pkl"
    if not file.exists():
        masks, models = reference(game)
        both = halves(masks[rows], models[model][:samples, rows], order)
        write(file, pickle.dumps(tuple(read_again_as(one, None) for one in both)))
    found: Halves = pickle.loads(file.read_bytes())
    return found


def drawn(masks: NDArray[np.bool_], number: int, seed: int) -> NDArray[np.int64]:
    """Rows of the empty and the full mask, and of others at random."""
    ends = [int(np.flatnonzero(~masks.any(1))[0]), int(np.flatnonzero(masks.all(1))[0])]
    others = np.setdiff1d(np.arange(len(masks)), ends)
    chosen = np.random.default_rng(seed).permutation(others)[: number - 2]
    return np.concatenate((ends, np.sort(chosen)))


def references(quick: bool) -> None:
    """kappa of all pairs of the reference games' models."""
    print("| game | pair | s / f / c | kappa | p |\n|---|---|---|---|---|")
    for game in GAMES[1:2] if quick else GAMES:
        masks, models = reference(game)
        rows = drawn(masks, 512, 0)
        both = {name: read(game, name, rows, "512-0") for name in models}
        for a, b in combinations(models, 2):
            share = preserved(both[a], both[b])
            p = "-" if share.p is None else f"{share.p:.4f}"
            print(f"| {game} | {a}, {b} | {levels(share)} | {told(share)} | {p} |", flush=True)


def stability(names: Sequence[str], quick: bool) -> None:
    """The same pair read in other ways: whether kappa changes by less than its interval."""
    print("| pair | read by | s / f / c | kappa | inside the first interval |\n|---|---|---|---|---|")
    if "games" in names:
        _stability_of_games(quick)
    for name in [] if quick else names:
        if name == "games":
            continue
        model = pair(name)
        views = {"as elsewhere": model.view, "other masks": replace(model.view, seed=1)}
        views |= {"half the masks": replace(model.view, masks=model.view.masks // 2)}
        if model.tokenizer is None:
            views |= {f"{side} x {side} cells": replace(model.view, side=side) for side in (3, 6)}
        else:
            views |= {f"{side} runs of words": replace(model.view, side=side) for side in (9, 11)}
        fillers = ("zero", "blur") if model.tokenizer is None else ("pad", "removal")
        views |= {f"baseline {one}": replace(model.view, baseline=one) for one in fillers}
        views |= {f"masks {one}": replace(model.view, design=one) for one in ("mostly", "size")}
        views |= {f"order {order}": replace(model.view, order=order) for order in (2, 4)}
        _moves(
            f"{name} before, after",
            {what: _of_states(name, "w0", "d0", view) for what, view in views.items()},
        )


def _stability_of_games(quick: bool) -> None:
    ways = {"256 masks": (256, 0), "other 256 masks": (256, 1), "128 masks": (128, 0), "512 masks": (512, 0)}
    for game, after in [*((game, "F0") for game in GAMES), (GAMES[0], "F1"), (GAMES[0], "S0")][
        : 1 if quick else 5
    ]:
        masks, _ = reference(game)
        found: dict[str, Share] = {}
        for what, (number, seed) in ways.items():
            rows = drawn(masks, number, seed)
            found[what] = preserved(*(read(game, model, rows, f"{number}-{seed}") for model in ("P", after)))
        _moves(f"{game} P, {after}", found)
    print("\n| game | masks | strength by order | kappa of order 1 | 2 | 3 |\n|---|---|---|---|---|---|")
    for game in GAMES[: 1 if quick else 3]:
        for number in (128, 256, 512):
            rows = drawn(reference(game)[0], number, 0)
            both = {
                role: read(game, model, rows, f"{number}-0")
                for role, model in (("before", "P"), ("after", "F0"))
            }
            strengths = compared(both).strengths
            strength = strengths.crossed["split"]["preserved"].whole.sum(0)
            sizes = ", ".join(f"{one:.2f}" for one in strength / strength.sum())
            kappas = [
                "not measurable" if one.corrected is None else told(one)
                for one in strengths.by_orders("preserved")
            ]
            print(f"| {game} P, F0 | {number} | {sizes} | {' | '.join(kappas)} |", flush=True)


def _moves(name: str, found: dict[str, Share]) -> None:
    first = next(iter(found.values()))
    for what, share in found.items():
        inside = share.corrected is not None and first.low <= share.corrected <= first.high
        print(
            f"| {name} | {what} | {levels(share)} | {told(share)} | {'yes' if inside else 'no'} |", flush=True
        )


def run(command: str, names: Sequence[str], quick: bool, threads: int) -> None:
    """One of the above."""
    torch.set_num_threads(threads)
    commands: dict[str, Any] = {
        "interpolation": interpolation,
        "dose": dose,
        "identity": identity,
        "stability": stability,
    }
    if command == "references":
        references(quick)
    else:
        both = command in ("identity", "stability")
        commands[command](names or [*(["games"] if both else []), *PAIRS], quick)
