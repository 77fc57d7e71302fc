"""Tables of shares: each by all_shares reading that there is, and why some are not measurable."""

from __future__ import annotations

from typing import Any

from bequeath.report.text import measured, why_not

Findings = dict[str, Any]

# Second readings, in words; the last is none.
SECONDS = {
    "split": "other masks",
    "retest": "an equivalent game",
    "twin": "another seed",
    "once": "no second reading",
}
READINGS = {
    "raw": "raw units",
    "own scale": "own scale",
    "and": "AND alone",
    "sparse": "sparse",
    "exact": "exact",
    "paper": "exact, as the papers read",
}
ABOUT = {
    "retest": "By an equivalent game: each model is read again on the same inputs, cut or filled a little differently.",
    "twin": "By another seed: a model's twin, the same recipe with another seed, stands for its second reading.",
    "raw": "Raw units: a model that says the same more loudly counts as having more.",
    "own scale": "Own scale: each model's effects are divided by its mean sum of |effects|.",
    "and": "AND alone: plain AND interactions (Harsanyi dividends), which leave no choice of split.",
    "sparse": "Sparse: few terms that predict masks which were left out.",
    "exact": "Exact: the split into AND and OR with the least sum of |effects|, from all masks.",
    "paper": "As the papers read: the exact split into AND and OR with their allowance for noise, 4%.",
}


def named(reading: str) -> str:
    """The name of a reading, or of a kind of second readings, in words."""
    return READINGS.get(reading) or SECONDS.get(reading) or reading


def readings(findings: Findings) -> list[dict[str, Any]]:
    """Each share by each reading, the study's own first.

    Returns
    -------
    list of dict
        ``share`` (its name), ``rows``: list of ``reading`` (in words), ``share``, ``note`` (a number, or None): of
        `notes`.
    """
    knowledge = findings["knowledge"]
    others = [
        *((f"by {SECONDS[key]}", shares) for key, shares in knowledge["by_second"].items()),
        *((named(key), shares) for key, shares in knowledge["by_reading"].items()),
    ]
    why = notes(findings)
    groups = []
    for name, own in knowledge["shares"].items():
        rows = [("as above", own), *((words, shares[name]) for words, shares in others if name in shares)]
        groups.append(
            {
                "share": name,
                "rows": [
                    {
                        "reading": words,
                        "share": share,
                        "note": None if measured(share) else why.index(why_not(share)) + 1,
                    }
                    for words, share in rows
                ],
            }
        )
    return groups


def notes(findings: Findings) -> list[str]:
    """The reasons why shares are not measurable, each once."""
    knowledge = findings["knowledge"]
    all_shares = [knowledge["shares"], *knowledge["by_second"].values(), *knowledge["by_reading"].values()]
    return list(
        dict.fromkeys(
            why_not(share) for shares in all_shares for share in shares.values() if not measured(share)
        )
    )


def about(findings: Findings) -> list[str]:
    """What the other readings are, in words."""
    knowledge = findings["knowledge"]
    return [ABOUT[key] for key in (*knowledge["by_second"], *knowledge["by_reading"]) if key in ABOUT]
