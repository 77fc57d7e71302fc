"""What a run comes to, sample by sample; that of several seeds as one; and the part of the findings made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bequeath.errors import BequeathError
from bequeath.knowledge.bounds import identifiability
from bequeath.knowledge.claims import judge
from bequeath.knowledge.dynamics import HALF_WAY, Dynamics, lead
from bequeath.knowledge.ledger import Ledger
from bequeath.knowledge.shares import Array, Readings, Strengths
from bequeath.knowledge.statistics import mean_estimate
from bequeath.knowledge.summaries import ledger_rows, points
from bequeath.study.findings.plain import Json, plain


@dataclass(frozen=True, eq=False)
class Known:
    """Numbers of one run by sample, or of several seeds by seed and sample.

    Attributes
    ----------
    names : dict of str to str
        The models' names by role.
    samples : tuple of str
        Ids.
    readings : Readings
    bounds : dict of str to ndarray, or None
        Bounds of the samples' preserved share, where they were asked for.
    slack : float
        That they were found with.
    courses : dict of str to Dynamics
        Of each model that was followed, by name.
    books : dict of str to Ledger
        By role.
    correct : dict of str to ndarray
        By name: 1 for each accuracy sample that is classified correctly.
    """

    names: dict[str, str]
    samples: tuple[str, ...]
    readings: Readings
    bounds: dict[str, Array] | None
    slack: float
    courses: dict[str, Dynamics]
    books: dict[str, Ledger]
    correct: dict[str, Array]

    @classmethod
    def stacked(cls, seeds: Sequence[Known]) -> Known:
        """That of several seeds, which differ in the seed of training alone.

        Raises
        ------
        BequeathError
            If there are none, or they are not of the same models, samples, players and checkpoints.
        """
        if not seeds:
            raise BequeathError("seeds: none given")
        first = seeds[0]
        if any(one.names != first.names for one in seeds):
            raise BequeathError("seeds: runs of other models or roles; all need the same")
        if any(one.samples != first.samples for one in seeds):
            raise BequeathError("seeds: runs on other samples; all need the same")
        bounds = [one.bounds for one in seeds if one.bounds is not None]
        return cls(
            first.names,
            first.samples,
            Readings.stacked([one.readings for one in seeds]),
            _stack(bounds) if len(bounds) == len(seeds) else None,
            first.slack,
            {
                name: Dynamics.stacked([one.courses[name] for one in seeds])
                for name in first.courses
                if all(name in one.courses for one in seeds)
            },
            {role: Ledger.stacked([one.books[role] for one in seeds]) for role in first.books},
            _stack([one.correct for one in seeds]),
        )


def _stack(seeds: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.stack([one[name] for one in seeds]) for name in seeds[0]}


def shares(strengths: Strengths) -> Json:
    """All shares that there are, with their chance levels."""
    return {name: plain(strengths.share(name)) for name in strengths.measures}


def findings_of(known: Known) -> Json:
    """``knowledge`` (but what needs single interactions), ``ledger``, ``dynamics`` and ``claims`` of the findings."""
    readings = known.readings
    bounds = None
    if known.bounds is not None:
        bounds = identifiability(known.bounds, readings.strengths, known.slack)
    by_role = {role: known.courses[name] for role, name in known.names.items() if name in known.courses}
    return {
        "knowledge": {
            "shares": shares(readings.strengths),
            "by_and": shares(readings.by_and),
            "scaled": shares(readings.scaled),
            "raw": shares(readings.raw),
            "identifiability": plain(bounds),
        },
        "ledger": {role: plain(ledger_rows(book)) for role, book in known.books.items()},
        "dynamics": _dynamics(known.courses, by_role),
        "claims": plain(judge(readings, bounds, by_role, known.names)),
    }


def _dynamics(courses: Mapping[str, Dynamics], by_role: Mapping[str, Dynamics]) -> Json | None:
    if not courses:
        return None
    both = {"after", "control"} <= by_role.keys()
    return {
        "level": HALF_WAY,
        "runs": {name: plain(points(run)) for name, run in courses.items()},
        "courses": {
            name: {
                "area": plain(mean_estimate(run.area())),
                "first_step": run.first_step(HALF_WAY),
                "first_passage": plain(run.first_passage(HALF_WAY)),
                "dropped": plain(mean_estimate(run.dropped.numpy())),
            }
            for name, run in courses.items()
        },
        "lead": plain(lead(by_role["after"], by_role["control"])) if both else None,
    }
