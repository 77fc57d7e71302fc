"""Examples made ready for the page: where each interaction's players lie, and how long its bars are."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from bequeath.errors import BequeathError
from bequeath.report.models import Model

GROUPS = ("preserved", "discarded", "new", "flipped")
# What happened to an interaction of a flipped sample, and the colour of the part of the knowledge that it belongs to.
CHANGES = {"lost": "discarded", "came": "new", "turned": "flipped"}
# More than this many a group crowd the page; the findings hold the rest.
SHOWN = 3
# Width of a drawn picture in its own SVG units; its height follows from its shape.
WIDTH = 120

Example = dict[str, Any]


def _shape(picture: str) -> tuple[int, int]:
    """Width and height from a PNG's header; square where it cannot be told."""
    try:
        head = base64.b64decode(picture.split(",", 1)[1][:44])
    except (IndexError, binascii.Error):
        return 1, 1
    width, height = (int.from_bytes(head[i : i + 4], "big") for i in (16, 20))
    return (width, height) if head[:8] == b"\x89PNG\r\n\x1a\n" and width and height else (1, 1)


def _effects(interaction: dict[str, Any], called: dict[str, Model], largest: float) -> list[dict[str, Any]]:
    """One row a model: its effect, and its bar as left end and width in percent, with zero in the middle."""
    rows = []
    for role, model in called.items():
        effect = interaction[role]
        width = 50 * min(abs(effect or 0) / largest, 1) if largest else 0.0
        left = 50 - width if (effect or 0) < 0 else 50.0
        rows.append({"model": model, "effect": effect, "left": f"{left:.1f}", "width": f"{width:.1f}"})
    return rows


def prepare(
    example: Example, place: int, samples: dict[Any, dict[str, Any]], called: dict[str, Model]
) -> Example:
    """One of `findings["examples"]` as the template draws it: as `drawn`, in the groups of what became of knowledge."""
    titles = {group: "flipped sign" if group == "flipped" else group for group in GROUPS}
    groups = [(titles[group], group, example[group]) for group in GROUPS]
    return drawn(example, f"examples[{place}]", str(place), groups, samples, called)


def prepare_flipped(
    sample: Example, place: int, samples: dict[Any, dict[str, Any]], called: dict[str, Model]
) -> Example:
    """One of `findings["forgotten"]["samples"]` that has a scene, in the groups of what happened to interactions."""
    pair = {role: called[role] for role in ("before", "after")}
    groups = [
        (what, colour, [one for one in sample["change"]["terms"] if one["what"] == what])
        for what, colour in CHANGES.items()
    ]
    found = drawn(
        {**sample["scene"], "sample": sample["sample"], "class": sample["class"]},
        f"forgotten.samples: {sample['sample']}",
        f"f{place}",
        [group for group in groups if group[2]],
        samples,
        pair,
    )
    return {**found, "flip": sample["flip"], "change": sample["change"]}


def drawn(
    example: Example,
    where: str,
    place: str,
    groups: Sequence[tuple[str, str, list[dict[str, Any]]]],
    samples: dict[Any, dict[str, Any]],
    called: dict[str, Model],
) -> Example:
    """One sample as the template draws it.

    Parameters
    ----------
    example
        Its ``sample``, ``class``, ``picture``, ``words``, ``boxes`` and ``shapes``.
    where
        Its place in the findings, for errors.
    place
        Names its picture on the page.
    groups
        Title, colour and interactions of each group.
    samples
        The findings' samples by id, for the outputs v(N).
    called
        The models compared, by role.

    Raises
    ------
    BequeathError
        If the picture is not a data URI: the page must open without any other file.
    """
    picture = example["picture"]
    if picture is not None and not picture.startswith("data:image/"):
        raise BequeathError(
            f"findings: {where}.picture: expected a data URI such as data:image/png;base64,..., got {picture[:40]!r}"
        )
    width, height = _shape(picture) if picture else (1, 1)
    tall = round(WIDTH * height / width, 1)
    boxes = [
        {"x": x0 * WIDTH, "y": y0 * tall, "w": (x1 - x0) * WIDTH, "h": (y1 - y0) * tall}
        for x0, y0, x1, y1 in example["boxes"] or []
    ]
    shown = [(title, colour, chosen[:SHOWN]) for title, colour, chosen in groups]
    every = [abs(i[role] or 0) for *_, chosen in shown for i in chosen for role in called]
    largest = max(every, default=0.0)
    return {
        "place": place,
        "id": example["sample"],
        "class": example["class"],
        "v_full": samples.get(example["sample"], {}).get("v_full"),
        "picture": picture,
        "words": example["words"],
        "height": tall,
        "boxes": boxes,
        "shapes": example["shapes"],
        "groups": [
            {
                "title": title,
                "colour": colour,
                "interactions": [{**one, "effects": _effects(one, called, largest)} for one in chosen],
            }
            for title, colour, chosen in shown
        ],
    }
