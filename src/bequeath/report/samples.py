"""What the page's script needs to let people explore the samples."""

from __future__ import annotations

from typing import Any

from bequeath.errors import BequeathError
from bequeath.report.models import Model, short

# Verdicts of the findings, as people read them: of the models before and after.
VERDICTS = {
    "both": "right in both",
    "forgotten": "forgotten",
    "learned": "learned",
    "neither": "wrong in both",
    None: "not tested",
}


def explored(findings: dict[str, Any], called: dict[str, Model]) -> dict[str, Any]:
    """The samples as the script draws them, in few bytes.

    Parameters
    ----------
    findings
        A findings document.
    called
        The models compared, by role.

    Returns
    -------
    dict
        Plain values for JSON: ``models``, ``verdicts``, ``names`` and ``boxes`` of the players, ``samples``.

    Raises
    ------
    BequeathError
        If a picture is not a data URI: the page must open without any other file.
    """
    changes = {one["sample"]: one["change"] for one in findings["forgotten"]["samples"] if one["change"]}
    for sample in findings["samples"]:
        _check_picture(sample)
    return {
        "modality": findings["study"]["modality"],
        "names": findings["study"]["player_names"],
        "boxes": findings["study"]["boxes"],
        "verdicts": {str(key): words for key, words in VERDICTS.items()},
        "models": [
            {"role": role, "name": model.name, "short": short(model.name, 18), "colour": model.colour}
            for role, model in called.items()
        ],
        "samples": [
            {
                "id": sample["id"],
                "class": sample["class"],
                "verdict": str(sample["verdict"]),
                "full": [_rounded(sample["v_full"][model.name]) for model in called.values()],
                "strength": {part: _rounded(value) for part, value in sample["strength"].items()},
                "scene": sample["scene"],
                "terms": [
                    [
                        term["type"],
                        term["players"],
                        term["part"],
                        [_rounded(term[role]) for role in called],
                    ]
                    for term in sample["terms"]
                ],
                "change": _change(changes.get(sample["id"])),
            }
            for sample in findings["samples"]
        ],
    }


def _check_picture(sample: dict[str, Any]) -> None:
    picture = None if sample["scene"] is None else sample["scene"]["picture"]
    if picture is not None and not picture.startswith("data:image/"):
        raise BequeathError(
            f"findings: samples: {sample['id']}: picture: expected a data URI such as data:image/png;base64,..., got "
            f"{picture[:40]!r}"
        )


def _change(change: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a flipped sample's change is made of, and what hiding its players did."""
    if change is None:
        return None
    hidden = change["hidden"]
    return {key: _rounded(change[key]) for key in ("total", "lost", "came", "turned", "rest")} | {
        "hidden": hidden and {
            "players": hidden["players"],
            "measured": _rounded(change["total"] + hidden["measured"]),
            "said": _rounded(change["total"] + hidden["said"]),
            "random": None if hidden["at_random"] is None else _rounded(change["total"] + hidden["at_random"]),
        }
    }  # fmt: skip


def _rounded(value: float | None) -> float | None:
    """Four significant digits: more cannot be seen."""
    return None if value is None else float(f"{value:.4g}")
