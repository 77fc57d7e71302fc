"""The evidence of a run: its arrays, read from its folder, and the comparisons made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bequeath.knowledge.alignment import align
from bequeath.knowledge.claims import LEAST_CHECKPOINTS, Readings
from bequeath.knowledge.compare import compare
from bequeath.knowledge.comparison import Comparison
from bequeath.knowledge.crossings import Array
from bequeath.knowledge.dynamics import Dynamics, dynamics
from bequeath.knowledge.ledger import Ledger, ledger
from bequeath.knowledge.pairs import pairwise
from bequeath.knowledge.repeats import Normalise, halves_of
from bequeath.knowledge.roles import ROLES
from bequeath.knowledge.share import Share
from bequeath.lattice.interactions import Interactions
from bequeath.study.config import StudyConfig
from bequeath.study.config.study import PAPER_SALIENT
from bequeath.study.findings.half_readings import kept_halves
from bequeath.study.findings.known import Known
from bequeath.study.findings.missing import comparable_part
from bequeath.study.findings.other_readings import other_readings
from bequeath.study.findings.plain import Json
from bequeath.study.findings.retests import read_retests
from bequeath.study.loading.plan import Checkpoint
from bequeath.study.store.carry import STORE
from bequeath.study.store.store import DONE, Store


@dataclass(frozen=True, eq=False)
class Evidence:
    """The checkpoints and samples of a run that can be compared.

    Attributes
    ----------
    config : StudyConfig
    checkpoints : tuple of Checkpoint
        Each model's checkpoints in order of step; the last one is the model.
    samples, classes : tuple of str
        Ids of the samples, and the names of their classes.
    places : tuple of int
        Positions of the samples in the run's arrays.
    interactions, tables, correct : tuple
        For each checkpoint: interactions of the samples; values (samples, masks); 1 or 0 for each accuracy sample.
    shown : Tensor or None
        The masks of sparse readings, bool (masks, players); None means all 2**n.
    full : int
        Index of v(N) in a table; v(0) is first.
    looks : tuple of dict
        With masks: auto, the numbers of masks that were tried, and their results.
    bounds : dict of str to ndarray, or None
        Bounds of the preserved share on each sample, if they were requested and computed.
    missing : dict or None
        What failed and was left out.
    majority : float or None
        Share of the accuracy samples that belong to the largest class.
    states : dict
        By a checkpoint's label, the identity of its model (`bequeath.study.store.identity`).
    retests : dict of str to Interactions
        By model, readings of the equivalent game on the samples; NaN for samples without a retest.
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
    majority: float | None
    states: Json
    retests: dict[str, Interactions]

    @classmethod
    def read(cls, config: StudyConfig, folder: Path) -> Evidence:
        """Read everything of a run that can be compared.

        Raises
        ------
        IncompleteRun
            If so much failed that nothing can be compared.
        """
        store = Store.open(folder / STORE, "r")
        all_checkpoints = tuple(
            Checkpoint.from_label(label, None if step < 0 else int(step))
            for label, step in zip(store.names("checkpoint"), store.read("step"), strict=True)
        )
        part = comparable_part(store, all_checkpoints, folder)
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
            tuple(all_checkpoints[c] for c in part.checkpoints),
            tuple(ids[s] for s in part.samples),
            tuple(classes[s] for s in part.samples),
            part.samples,
            tuple(
                _with_halves(config, folder, reading, shown, table)
                for reading, table in zip(interactions, tables, strict=True)
            ),
            tables,
            tuple(store.correct(c) for c in part.checkpoints),
            shown,
            store.full,
            tuple(store.looks),
            bounds,
            part.missing,
            store.majority,
            store.identity["checkpoints"],
            read_retests(store, all_checkpoints, part.samples),
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

    def state(self, model: str) -> Json:
        """The identity of a model's last checkpoint."""
        state: Json = self.states[self.checkpoints[self.final(model)].label]
        return state

    def same_file(self) -> list[tuple[str, str]]:
        """Pairs of models with the same identity."""
        states = {name: self.state(name) for name in self.models}
        return [(a, b) for a, b in combinations(states, 2) if states[a] == states[b]]

    @cached_property
    def change(self) -> Tensor:
        """v(N) of the model after minus that of the model before, (samples,)."""
        before, after = (self.ends(self.compared[role])[1] for role in ("before", "after"))
        return after - before

    def answers(self, role: str) -> Array:
        """Whether the role's model is right on each accuracy sample: 1 or 0, (accuracy samples,)."""
        return self.correct[self.final(self.compared[role])]

    @cached_property
    def compared(self) -> dict[str, str]:
        """Names of the models before, after and control, by role."""
        return {role: name for role, name in self.config.roles.given() if role in ROLES}

    @property
    def labels(self) -> list[int]:
        """The classes of the samples as numbers."""
        known = sorted(set(self.classes))
        return [known.index(name) for name in self.classes]

    def _compare(
        self, interactions: Mapping[str, Interactions], normalise: Normalise | None = None, **options: Any
    ) -> Comparison:
        """Compare readings with the study's salience and normalisation, unless others are given."""
        return compare(
            **interactions,  # type: ignore[arg-type]
            normalise=normalise or self.config.normalise,
            labels=self.labels,
            **{"salient": self.config.salience, **options},
        )

    @cached_property
    def finals(self) -> dict[str, Interactions]:
        """Readings of the last checkpoints of the models before, after and control, by role."""
        return {role: self.interactions[self.final(name)] for role, name in self.compared.items()}

    @cached_property
    def comparison(self) -> Comparison:
        """The comparison of these readings."""
        return self._compare(self.finals)

    def with_seconds(self, others: Sequence[Evidence] = ()) -> Comparison:
        """The comparison with all second readings: retests, twins, and the models of other seeds' runs."""
        twins = {
            role: [self.interactions[self.final(name)] for name in names]
            for role, names in self.config.roles.twins.items()
        }
        for role in self.compared if others else ():
            own = self.state(self.compared[role])
            from_seeds = [other.finals[role] for other in others if other.state(other.compared[role]) != own]
            if from_seeds:  # a model that is the same for all seeds has no twin there
                twins[role] = twins.get(role, []) + from_seeds
        retests = {role: self.retests[name] for role, name in self.compared.items() if name in self.retests}
        if not twins and not retests:
            return self.comparison
        return self._compare(self.finals, twins=twins, retests=retests)

    def pairs(self, not_measurable: Mapping[str, str]) -> dict[tuple[str, str], Share]:
        """s(A, B) of all ordered pairs of models; `not_measurable` says by name why some models cannot be read."""
        return self.pairwise(
            {name: self.interactions[self.final(name)] for name in self.models}, not_measurable
        )

    def pairwise(
        self, readings: Mapping[str, Interactions], not_measurable: Mapping[str, str]
    ) -> dict[tuple[str, str], Share]:
        """s(A, B) of all ordered pairs of some readings of the samples."""
        return pairwise(
            readings,
            normalise=self.config.normalise,
            salient=self.config.salience,
            labels=self.labels,
            not_measurable=not_measurable,
        )

    @cached_property
    def courses(self) -> dict[str, Dynamics]:
        """The courses of the models that have enough checkpoints."""
        courses = {}
        for name in self.models:
            positions = self.of(name)
            steps = [self.checkpoints[i].step for i in positions]
            if len(positions) >= LEAST_CHECKPOINTS:
                readings = {str(i): self.interactions[i] for i in positions}
                halves = halves_of(readings)
                sets = [readings, *(halves or ())]
                aligned = align(
                    {
                        f"{i}-{position}": reading
                        for i, some_readings in enumerate(sets)
                        for position, reading in some_readings.items()
                    }
                )
                whole, *parts = (
                    torch.stack([aligned.effects[f"{i}-{position}"] for position in readings])
                    for i in range(len(sets))
                )
                courses[name] = dynamics(
                    whole,
                    [step for step in steps if step is not None],
                    aligned.orders,
                    aligned.most,
                    (parts[0], parts[1]) if parts else None,
                )
        return courses

    @cached_property
    def ledgers(self) -> dict[str, Ledger]:
        """The ledgers of the models before, after and control, by role."""
        ledgers = {}
        for role, name in self.compared.items():
            reading = self.interactions[self.final(name)]
            constant = None if reading.listed is None else reading.constant
            ledgers[role] = ledger(self.comparison, role, *self.ends(name), constant)
        return ledgers

    @cached_property
    def known(self) -> Known:
        """The run's numbers by sample."""
        return self.known_beside(())

    def known_beside(self, others: Sequence[Evidence]) -> Known:
        """The run's numbers by sample, with other seeds' runs as twins."""
        comparison = self.with_seconds(others)
        raw = self.config.normalise == "none"
        scaled = self._compare(self.finals, "l1") if raw else self.comparison.raw
        tables = {role: self.tables[self.final(name)] for role, name in self.compared.items()}
        others_compared = {
            name: self._compare(readings, salient=PAPER_SALIENT if name == "paper" else self.config.salience)
            for name, readings in other_readings(self.config, self.shown, tables, comparison.players).items()
        }
        return Known(
            self.compared,
            self.samples,
            Readings(
                comparison.strengths,
                {"own scale" if raw else "raw": scaled.strengths}
                | {name: other.strengths for name, other in others_compared.items()},
            ),
            self.bounds,
            0.0 if self.config.bounds is None else self.config.bounds.slack,
            self.courses,
            self.ledgers,
            {name: self.correct[self.final(name)] for name in self.models},
            self.majority,
        )


def _with_halves(
    config: StudyConfig, folder: Path, interactions: Interactions, shown: Tensor | None, table: Tensor
) -> Interactions:
    """A sparse reading that can also be read from halves of its masks; an exact reading stays as it is."""
    listed = interactions.listed
    if listed is None or shown is None:
        return interactions
    options = config.sparse_options(interactions.n_players)
    del options["resamples"]  # halves have no standard errors
    read_halves = partial(kept_halves, folder, shown, table, interactions.players, options)
    return Interactions.of_terms(
        replace(listed, read_halves=read_halves),
        interactions.offset,
        interactions.players,
        interactions.certificate,
    )
