"""Studies with known truth: models are sums of AND and OR terms, some of which are shared (docs/calibration.md)."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sparse_methods import Floats, Term, column

import bequeath as bq
from bequeath.knowledge.comparison import Comparison
from bequeath.lattice.interactions import Interactions
from bequeath.lattice.sparse.fit import halves

FOLDER = Path(__file__).resolve().parents[1] / "runs" / "calibration"
# Models of a study, by role; the last one only in studies with a control.
ROLES = ("before", "after", "control")
# How often two models' own terms coincide on a sample: never, or as often as those of two samples.
Own = Literal["apart", "chance"]
# A model's terms on a sample; if a term is drawn twice, its values are added.
Game = dict[Term, float]


@dataclass(frozen=True)
class Setting:
    """The settings of a planted study.

    Attributes
    ----------
    phi : float
        Share of the terms of before and after that both have, with the same values.
    noise : tuple of float
        Of each model, of its values' spread over the masks.
    psi : float or None
        Share of those terms that the control has, too; None means no control.
    own : {"apart", "chance"}
        Whether terms of only one model are kept different from the other models' terms of the same sample.
    samples, players, masks, order, terms : int
        Of the study. `order` is the largest of planted terms, and what readings look for.
    """

    phi: float = 0.0
    noise: tuple[float, ...] = (0.0, 0.0)
    psi: float | None = None
    own: Own = "chance"
    samples: int = 12
    players: int = 10
    masks: int = 384
    order: int = 4
    terms: int = 20

    @property
    def roles(self) -> tuple[str, ...]:
        """Of its models."""
        return ROLES if self.psi is not None else ROLES[:2]

    @property
    def name(self) -> str:
        """Of its file."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


def draw(
    setting: Setting, seed: list[int], favourite: int | None = None
) -> tuple[list[list[Game]], list[list[Game]]]:
    """The models' terms, [model][sample], and the shared ones: of before and after, and of all three.

    favourite : a player that is drawn four times as often as each other player.
    """
    chance, generators = (
        np.ones(setting.players),
        [np.random.default_rng(seed), np.random.default_rng([*seed, 1])],
    )
    if favourite is not None:
        chance[favourite] = 4
    chance = chance / chance.sum()
    games: list[list[Game]] = [[] for _ in setting.roles]
    in_common: list[list[Game]] = [[], []]
    for _ in range(setting.samples):
        taken: set[Term] = set()

        def term(avoid: set[Term], rng: np.random.Generator) -> Term:
            while True:
                order = 1 + int(rng.integers(setting.order))
                members = rng.choice(setting.players, order, replace=False, p=chance)
                kind = "or" if order > 1 and rng.random() < 0.3 else "and"
                found = (tuple(sorted(members.tolist())), kind)
                if found not in avoid:
                    return found

        def several(count: int, avoid: set[Term], rng: np.random.Generator = generators[0]) -> Game:
            game: Game = {}
            for _ in range(count):
                found = term(avoid | set(game), rng)
                game[found] = float(rng.laplace())
            return game

        count = round(setting.phi * setting.terms)
        both = several(count, set())
        taken |= set(both)
        of_control = dict(list(both.items())[: round((setting.psi or 0) * count)])
        in_common[0].append(both)
        in_common[1].append(of_control)
        for model in range(len(setting.roles)):
            shared = of_control if model == 2 else both
            # A model never has a term twice; with "apart" it also has no term of another model.
            avoid = taken if setting.own == "apart" else set(shared)
            own = several(setting.terms - len(shared), avoid, generators[model // 2])
            games[model].append(shared | own)
            if setting.own == "apart":
                taken |= set(own)
    return games, in_common


def values_on(game: Game, masks: NDArray[np.bool_]) -> Floats:
    """Values of a game on masks."""
    return np.asarray(
        sum((value * column(term, masks) for term, value in game.items()), np.zeros(len(masks)))
    )


@dataclass(frozen=True, eq=False)
class Study:
    """A planted study that has been read.

    Attributes
    ----------
    halves : dict of str to tuple
        By role, the two readings from disjoint halves of the masks.
    games : list
        The models' terms, [model][sample].
    truth : float
        Share of before's strength that after shares by design, each model on its own scale.
    relearned : float
        Share of that which the control shares by design; NaN without control.
    exact : float
        kappa of the planted terms themselves, whose ceiling is 1.
    """

    halves: dict[str, tuple[Interactions, Interactions]]
    games: list[list[Game]]
    truth: float
    relearned: float
    exact: float

    def compare(self, **options: Any) -> Comparison:
        """As `bequeath.compare` does from the whole readings, which are not needed for shares across halves."""
        return compared(self.halves, **options)


def compared(both: dict[str, tuple[Interactions, Interactions]], **options: Any) -> Comparison:
    """`bequeath.compare` for readings that are given as two halves."""
    return bq.compare(
        **{role: read_again_as(pair[0], lambda pair=pair: pair) for role, pair in both.items()}, **options
    )


def read_again_as(one: Interactions, again: Callable[[], Any] | None) -> Interactions:
    """The reading with what its `halves` are to be."""
    assert one.listed is not None
    return Interactions.of_terms(replace(one.listed, read_halves=again), one.offset, one.players)


def values_of(noise: float, games: Sequence[Game], masks: NDArray[np.bool_], seed: list[int]) -> Floats:
    """Values of a model, (samples, masks), with noise."""
    values = np.stack([values_on(game, masks) for game in games])
    rng = np.random.default_rng(seed)
    return values + noise * values.std(1, keepdims=True) * rng.normal(size=values.shape)


def study(setting: Setting, seed: int, *, order: int | None = None) -> Study:
    """Draw a study and read it from two halves of the masks; the result is kept in a file, so work can be continued."""
    games, in_common = draw(setting, [seed, int(10 * setting.phi), 0])
    found: dict[str, tuple[Interactions, Interactions]] = {}
    for model, role in enumerate(setting.roles):
        # A model does not depend on the models that are drawn after it.
        key = replace(
            setting, noise=setting.noise[model : model + 1], psi=setting.psi if model == 2 else None
        )
        file = FOLDER / "planted" / f"{key.name}-{role}-{order or setting.order}-{seed}.pkl"
        if not file.exists():
            masks = bq.draw_masks(setting.players, setting.masks, seed=seed).numpy()
            values = values_of(setting.noise[model], games[model], masks, [seed, 99, model])
            both = halves(masks, values, order or setting.order)
            write(file, pickle.dumps(tuple(read_again_as(one, None) for one in both)))
        found[role] = pickle.loads(file.read_bytes())
    return Study(found, games, *truths(games, in_common))


def write(file: Path, content: bytes) -> None:
    """Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_bytes(content)
    part.replace(file)


def truths(games: list[list[Game]], in_common: list[list[Game]]) -> tuple[float, float, float]:
    """The shares by design (preserved, relearned), and kappa of the planted terms themselves."""
    scales = [sum(abs(v) for game in of_model for v in game.values()) for of_model in games]
    strength = [sum(abs(v) for game in of_both for v in game.values()) for of_both in in_common]
    preserved = strength[0] * min(1 / scales[0], 1 / scales[1])
    relearned = np.nan
    if len(games) == 3 and strength[0]:
        relearned = strength[1] * min(1 / one for one in scales) / preserved
    return preserved, relearned, kappa_of(games[0], games[1])


def kappa_of(first: Sequence[Game], second: Sequence[Game]) -> float:
    """(s - f) / (1 - f) of known terms."""
    scales = [sum(abs(v) for game in games for v in game.values()) for games in (first, second)]

    def common(a: Game, b: Game) -> float:
        pairs = ((v / scales[0], b.get(term, 0.0) / scales[1]) for term, v in a.items())
        return sum(min(abs(x), abs(y)) for x, y in pairs if x * y > 0)

    all_pairs = np.array([[common(a, b) for b in second] for a in first])
    n = len(first)
    observed, floor = np.trace(all_pairs), (all_pairs.sum() - np.trace(all_pairs)) / (n - 1)
    return float((observed - floor) / (1 - floor))
