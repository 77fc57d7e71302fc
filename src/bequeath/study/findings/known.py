"""What a run comes to, sample by sample; that of several seeds as one; and the part of the findings made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bequeath.knowledge.approach import HALF_WAY
from bequeath.knowledge.claims import Readings, judge
from bequeath.knowledge.crossings import Array
from bequeath.knowledge.dynamics import Dynamics, lead
from bequeath.knowledge.identifiability import identifiability
from bequeath.knowledge.ledger import Ledger
from bequeath.knowledge.repeats import Second
from bequeath.knowledge.shares import Strengths
from bequeath.knowledge.skill import without_skill
from bequeath.knowledge.statistics import mean_estimate
from bequeath.knowledge.summaries import ledger_rows, points
from bequeath.knowledge.turnover import PARTS
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
    majority : float or None
        Share of these samples that belong to the largest class.
    """

    names: dict[str, str]
    samples: tuple[str, ...]
    readings: Readings
    bounds: dict[str, Array] | None
    slack: float
    courses: dict[str, Dynamics]
    books: dict[str, Ledger]
    correct: dict[str, Array]
    majority: float | None = None

    @classmethod
    def stacked(cls, seeds: Sequence[Known]) -> Known:
        """That of several seeds, which differ in the seed of training alone: of the same models and samples.

        Raises
        ------
        BequeathError
            If they are not of the same players and checkpoints.
        """
        first = seeds[0]
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
            first.majority,
        )


def _stack(seeds: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.stack([one[name] for one in seeds]) for name in seeds[0]}


def not_measurable(correct: Mapping[str, Array], majority: float | None) -> dict[str, str]:
    """By name: why there is nothing to be read in a model, where that is so."""
    if majority is None:
        return {}
    reasons = {name: without_skill(name, of, majority) for name, of in correct.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def shares(strengths: Strengths, second: Second | None = None) -> Json:
    """All shares that there are, by one kind of second reading."""
    return {name: plain(strengths.share(name, second)) for name in strengths.measures}


def findings_of(known: Known) -> Json:
    """``knowledge`` (but what needs single interactions), ``ledger``, ``dynamics`` and ``claims`` of the findings."""
    unskilled = not_measurable(known.correct, known.majority)
    by_role = {role: unskilled[name] for role, name in known.names.items() if name in unskilled}

    def judged(strengths: Strengths) -> Strengths:
        return replace(strengths, not_measurable=by_role)

    strengths = judged(known.readings.strengths)
    readings = Readings(strengths, {name: judged(one) for name, one in known.readings.others.items()})
    bounds = None
    if known.bounds is not None:
        bounds = identifiability(known.bounds, strengths, known.slack)
    courses = {role: known.courses[name] for role, name in known.names.items() if name in known.courses}
    by_order = [name for name in ("preserved", "relearned") if name in strengths.measures]
    return {
        "knowledge": {
            "shares": shares(strengths),
            "second": strengths.seconds[0],
            "by_second": {second: shares(strengths, second) for second in strengths.seconds[1:]},
            "by_reading": {name: shares(one) for name, one in readings.others.items()},
            "shares_by_order": {name: plain(strengths.by_orders(name)) for name in by_order},
            "fall_with_order": plain(strengths.fall_with_order()),
            "identifiability": plain(bounds),
            "not_measurable": unskilled,
        },
        "ledger": {role: plain(ledger_rows(book)) for role, book in known.books.items()},
        "dynamics": _dynamics(known.courses, courses),
        "claims": plain(judge(readings, bounds, courses, known.names)),
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
                "area": plain(run.approach.area()),
                "first_step": run.approach.first_step(),
                "first_passage": plain(run.approach.first_passage()),
                "dropped": plain(mean_estimate(run.dropped.numpy())),
                "ceiling": plain(run.approach.levels()[2]),
            }
            for name, run in courses.items()
        },
        "turnover": {
            name: {
                f"{part} {'early' if early else 'late'}": plain(run.turnover.kind(part, early))
                for part in PARTS
                for early in (True, False)
            }
            for name, run in courses.items()
            if run.turnover is not None
        },
        "lead": plain(lead(by_role["after"], by_role["control"])) if both else None,
    }
