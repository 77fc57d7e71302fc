"""The numbers of a run by sample, those of several seeds together, and the findings that are made from them."""

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
    """The numbers of one run by sample, or of several seeds by seed and sample.

    Attributes
    ----------
    names : dict of str to str
        The models' names, by role.
    samples : tuple of str
        Ids.
    readings : Readings
    bounds : dict of str to ndarray, or None
        Bounds of the preserved share on each sample, if they were requested.
    slack : float
        The slack of these bounds.
    courses : dict of str to Dynamics
        Of each model with enough checkpoints, by name.
    ledgers : dict of str to Ledger
        By role.
    correct : dict of str to ndarray
        By name, 1 or 0 for each accuracy sample: whether it is classified correctly.
    majority : float or None
        Share of the accuracy samples that belong to the largest class.
    """

    names: dict[str, str]
    samples: tuple[str, ...]
    readings: Readings
    bounds: dict[str, Array] | None
    slack: float
    courses: dict[str, Dynamics]
    ledgers: dict[str, Ledger]
    correct: dict[str, Array]
    majority: float | None = None

    @classmethod
    def stacked(cls, seeds: Sequence[Known]) -> Known:
        """The numbers of several seeds together. The runs must have the same models and samples.

        Raises
        ------
        BequeathError
            If their players or checkpoints differ.
        """
        first = seeds[0]
        bounds = [seed.bounds for seed in seeds if seed.bounds is not None]
        return cls(
            first.names,
            first.samples,
            Readings.stacked([seed.readings for seed in seeds]),
            _stack(bounds) if len(bounds) == len(seeds) else None,
            first.slack,
            {
                name: Dynamics.stacked([seed.courses[name] for seed in seeds])
                for name in first.courses
                if all(name in seed.courses for seed in seeds)
            },
            {role: Ledger.stacked([seed.ledgers[role] for seed in seeds]) for role in first.ledgers},
            _stack([seed.correct for seed in seeds]),
            first.majority,
        )


def _stack(seeds: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.stack([seed[name] for seed in seeds]) for name in seeds[0]}


def not_measurable(correct: Mapping[str, Array], majority: float | None) -> dict[str, str]:
    """By name of a model that is not measurable, the reason: it has no skill beyond the majority class."""
    if majority is None:
        return {}
    reasons = {name: without_skill(name, answers, majority) for name, answers in correct.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def shares(strengths: Strengths, second: Second | None = None) -> Json:
    """All shares, with one kind of second reading as the ceiling."""
    return {name: plain(strengths.share(name, second)) for name in strengths.measures}


def findings_of(known: Known) -> Json:
    """The entries ``knowledge`` (without what needs single interactions), ``ledger``, ``dynamics`` and ``claims``."""
    unskilled = not_measurable(known.correct, known.majority)
    by_role = {role: unskilled[name] for role, name in known.names.items() if name in unskilled}

    def with_reasons(strengths: Strengths) -> Strengths:
        return replace(strengths, not_measurable=by_role)

    strengths = with_reasons(known.readings.strengths)
    others = {name: with_reasons(other) for name, other in known.readings.others.items()}
    readings = Readings(strengths, others)
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
            "by_reading": {name: shares(other) for name, other in readings.others.items()},
            "shares_by_order": {name: plain(strengths.by_orders(name)) for name in by_order},
            "fall_with_order": plain(strengths.fall_with_order()),
            "identifiability": plain(bounds),
            "not_measurable": unskilled,
        },
        "ledger": {role: plain(ledger_rows(ledger)) for role, ledger in known.ledgers.items()},
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
