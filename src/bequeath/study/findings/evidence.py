"""What a run rests on: its arrays as read back from its folder, and what is compared of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import combinations, permutations
from pathlib import Path

import torch
from torch import Tensor

from bequeath.knowledge.alignment import align
from bequeath.knowledge.claims import LEAST_CHECKPOINTS
from bequeath.knowledge.comparison import ROLES, Comparison, Normalise, compare
from bequeath.knowledge.dynamics import Dynamics, dynamics
from bequeath.knowledge.ledger import Ledger, ledger
from bequeath.knowledge.shares import Array, Readings, Share
from bequeath.lattice.exact.decompose import decompose
from bequeath.lattice.interactions import Interactions
from bequeath.lattice.sparse.fit import halves
from bequeath.study.config import StudyConfig
from bequeath.study.findings.known import Known
from bequeath.study.findings.missing import comparable_part
from bequeath.study.findings.plain import Json
from bequeath.study.findings.retests import read_retests
from bequeath.study.loading.plan import Checkpoint
from bequeath.study.loading.readings import read
from bequeath.study.store.carry import STORE
from bequeath.study.store.store import DONE, Store


@dataclass(frozen=True, eq=False)
class Evidence:
    """The checkpoints and samples of a run that can be compared.

    Attributes
    ----------
    checkpoints : tuple of Checkpoint
        Each model's in order of step; the last is the model.
    samples, classes : tuple of str
        Ids of the samples, and their classes' names.
    places : tuple of int
        Positions of the samples in the run's arrays.
    interactions, tables, correct : tuple
        By checkpoint: interactions and values (samples, masks) of the samples; 1 or 0 for each accuracy sample.
    shown : Tensor or None
        The masks that sparse readings are of, bool (masks, players); None: all 2**n.
    full : int
        Where tables have v(N); v(0) is first.
    looks : tuple of dict
        What several numbers of masks gave, where their number was found on the way.
    bounds : dict of str to ndarray, or None
        Of the preserved share on each sample, where they were asked for and found.
    missing : dict or None
        What failed and was left out.
    states : dict
        By label of a checkpoint: what its model is (`bequeath.study.store.identity`).
    retests : dict of str to Interactions
        By name of the models that have any: readings of the equivalent game on the samples, NaN where there is none.
    """

    config: StudyConfig
    checkpoints: tuple[Checkpoint, ...]
    samples: tuple[str, ...]
    classes: tuple[str, ...]
    places: tuple[int, ...]
    interactions: tuple[Interactions, ...]
    tables: tuple[Tensor, ...]
    correct: tuple[Array, ...]
    shown: Tensor | None
    full: int
    looks: tuple[Json, ...]
    bounds: dict[str, Array] | None
    missing: Json | None
    states: Json
    retests: dict[str, Interactions]

    @classmethod
    def read(cls, config: StudyConfig, folder: Path) -> Evidence:
        """Read what can be compared of the run in a folder.

        Raises
        ------
        IncompleteRun
            If so much failed that nothing can be compared.
        """
        store = Store.open(folder / STORE, "r")
        every = tuple(
            Checkpoint.from_label(label, None if step < 0 else int(step))
            for label, step in zip(store.names("checkpoint"), store.read("step"), strict=True)
        )
        part = comparable_part(store, every, folder)
        whole = slice(None) if part.missing is None else part.samples
        ids, classes = store.names("sample"), store.names("label")
        bounds = None
        if config.bounds is not None and (store.state("bounds")[list(part.samples)] == DONE).all():
            bounds = store.bounds(part.samples)
        shown = torch.from_numpy(store.shown) if store.sparse else None
        tables = tuple(store.tables(c, whole) for c in part.checkpoints)
        interactions = (store.interactions(c, whole) for c in part.checkpoints)
        return cls(
            config,
            tuple(every[c] for c in part.checkpoints),
            tuple(ids[s] for s in part.samples),
            tuple(classes[s] for s in part.samples),
            part.samples,
            tuple(
                _with_halves(config, one, shown, table)
                for one, table in zip(interactions, tables, strict=True)
            ),
            tables,
            tuple(store.correct(c) for c in part.checkpoints),
            shown,
            store.full,
            tuple(store.looks),
            bounds,
            part.missing,
            store.identity["checkpoints"],
            read_retests(store, every, part.samples),
        )

    def of(self, model: str) -> list[int]:
        """Positions of a model's checkpoints."""
        return [i for i, checkpoint in enumerate(self.checkpoints) if checkpoint.model == model]

    def final(self, model: str) -> int:
        """Position of a model's last checkpoint."""
        return self.of(model)[-1]

    @property
    def models(self) -> tuple[str, ...]:
        """Names of all models, those with a role first."""
        return self.config.names

    def ends(self, model: str) -> tuple[Tensor, Tensor]:
        """v(0) and v(N) of a model on each sample, (samples,)."""
        table = self.tables[self.final(model)]
        return table[:, 0], table[:, self.full]

    def same_file(self) -> list[tuple[str, str]]:
        """Pairs of models that are one and the same."""
        states = {name: self.states[self.checkpoints[self.final(name)].label] for name in self.models}
        return [(a, b) for a, b in combinations(states, 2) if states[a] == states[b]]

    @cached_property
    def compared(self) -> dict[str, str]:
        """Names of the models before, after and control, by role."""
        return {role: name for role, name in self.config.roles.given() if role in ROLES}

    def _compare(
        self, interactions: Mapping[str, Interactions], normalise: Normalise | None = None
    ) -> Comparison:
        """Under the study's salience, and its normalisation unless another is given."""
        known = sorted(set(self.classes))
        return compare(
            **interactions,  # type: ignore[arg-type]
            normalise=normalise or self.config.normalise,
            salient=self.config.salience,
            labels=[known.index(name) for name in self.classes],
        )

    @cached_property
    def _finals(self) -> dict[str, Interactions]:
        return {role: self.interactions[self.final(name)] for role, name in self.compared.items()}

    @cached_property
    def comparison(self) -> Comparison:
        """Of the last checkpoints of the models before, after and control."""
        return self._compare(self._finals)

    def pairs(self) -> list[tuple[str, str, Share]]:
        """s(A, B) of all ordered pairs of models."""
        finals = {name: self.interactions[self.final(name)] for name in self.models}
        return [
            (
                first,
                second,
                self._compare({"before": finals[first], "after": finals[second]}).share("preserved"),
            )
            for first, second in permutations(finals, 2)
        ]

    @cached_property
    def courses(self) -> dict[str, Dynamics]:
        """Of the models with checkpoints enough to speak of a course."""
        found = {}
        for name in self.models:
            positions = self.of(name)
            steps = [self.checkpoints[i].step for i in positions]
            if len(positions) >= LEAST_CHECKPOINTS:
                aligned = align({str(i): self.interactions[i] for i in positions})
                effects = torch.stack(list(aligned.effects.values()))
                found[name] = dynamics(
                    effects, [step for step in steps if step is not None], aligned.orders, aligned.most
                )
        return found

    @cached_property
    def books(self) -> dict[str, Ledger]:
        """The ledgers of the models before, after and control, by role."""
        books = {}
        for role, name in self.compared.items():
            reading = self.interactions[self.final(name)]
            constant = None if reading.listed is None else reading.constant
            books[role] = ledger(self.comparison, role, *self.ends(name), constant)
        return books

    def _by_and(self, model: str) -> Interactions:
        """A model read by AND interactions alone: of all masks the unique reading, of some the sparse one."""
        table, players = self.tables[self.final(model)], self.comparison.players
        if self.shown is None:
            return decompose(table, "and", players=players)
        return read(self.config, self.shown, table, players=players, kind="and", resamples=0)

    @cached_property
    def known(self) -> Known:
        """What the run comes to, sample by sample."""
        own_scale = self.config.normalise == "l1"
        scaled = self.comparison if own_scale else self._compare(self._finals, "l1")
        by_and = self._compare({role: self._by_and(name) for role, name in self.compared.items()})
        return Known(
            self.compared,
            self.samples,
            Readings(
                self.comparison.strengths,
                by_and.strengths,
                scaled.strengths,
                self.comparison.raw.strengths,
            ),
            self.bounds,
            0.0 if self.config.bounds is None else self.config.bounds.slack,
            self.courses,
            self.books,
            {name: self.correct[self.final(name)] for name in self.models},
        )


def _with_halves(
    config: StudyConfig, interactions: Interactions, shown: Tensor | None, table: Tensor
) -> Interactions:
    """Sparse readings with the way to read halves of their masks."""
    listed = interactions.listed
    if listed is None:
        return interactions
    options = config.sparse_options(interactions.n_players)
    again = partial(halves, shown, table, players=interactions.players, **options)
    return Interactions.of_terms(
        replace(listed, again=again), interactions.offset, interactions.players, interactions.certificate
    )
