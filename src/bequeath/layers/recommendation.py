"""Recommends what to freeze next time, in terms of a study's training section, with the reason and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bequeath.errors import few
from bequeath.knowledge.layerwise import Swaps
from bequeath.knowledge.statistics import Estimate
from bequeath.report.text import percent, points


@dataclass(frozen=True)
class Advice:
    """A recommendation.

    Attributes
    ----------
    freeze : str or None
        Freeze all layers up to this one.
    head_only : bool
        Train only the last layer.
    sure : bool or None
        Whether the whole interval of the loss lies within the margin; None if nothing is recommended.
    snippet : list of str or None
        The lines for a study file.
    reason : str or None
        Why there is no recommendation.
    text : list of str
        The recommendation in sentences.
    """

    freeze: str | None
    head_only: bool
    sure: bool | None
    snippet: list[str] | None
    reason: str | None
    text: list[str]


def advise(
    name: str,
    blocks: Sequence[str],
    swaps: Swaps,
    skill: Estimate,
    accuracy: Estimate,
    unchanged: Sequence[str],
    gradients: Mapping[str, Any],
    margin: float,
) -> Advice:
    """Derive a recommendation from the swaps.

    Parameters
    ----------
    name : str
        Name of the model after in a study file.
    blocks : sequence of str
        Names of all blocks, in order.
    swaps : Swaps
    skill : Estimate
        Accuracy of the model after, minus that of always naming the largest class.
    accuracy : Estimate
        Of the model after.
    unchanged : sequence of str
        Blocks that are the same in both models.
    gradients : mapping
        Relative gradient norms of each block, from `layers.gradients`.
    margin : float
        The loss of accuracy that is accepted, as for `knowledge.layerwise.judge`.
    """
    text = [_needed(swaps, unchanged, accuracy)]
    if skill.low <= 0:
        reason = (
            f"AFTER is not clearly better than always naming the largest class ({_difference(skill)}), so its layers' "
            "changes cannot be judged"
        )
        return Advice(None, False, None, None, reason, [*text, f"Nothing is recommended: {reason}."])
    frozen = swaps.frozen
    whole = frozen == blocks[-1]
    if frozen is None:
        first = swaps.up_to[blocks[0]]
        text.append(
            f"Freeze nothing: with {blocks[0]} put back, and new heads on both models, accuracy changes by "
            f"{_difference(first)}. A loss of {_size(margin)} points is accepted, and no deeper swap stays within it."
        )
        text.append(_gradients(gradients))
        return Advice(None, False, None, None, None, [*text, _CAVEAT])
    change = swaps.up_to[frozen]
    sure = change.low >= -margin
    action = "Train only the head" if whole else f"Freeze all layers up to {frozen}"
    back = "all blocks" if whole else f"all blocks up to {frozen}"
    text.append(
        f"{action}: with {back} put back, and new heads on both models, accuracy changes by {_difference(change)}. A "
        f"loss of {_size(margin)} points is accepted."
    )
    text.append(_how_sure(change, sure))
    text.append(_gradients(gradients))
    line = "head_only: true" if whole else f"freeze: {frozen}"
    snippet = ["training:", f"  {name}:", f"    {line}"]
    return Advice(None if whole else frozen, whole, sure, snippet, None, [*text, _CAVEAT])


_CAVEAT = (
    "A swap does not train. In real training, the layers after a frozen part adapt to it, so freezing usually loses "
    "less than its swap, but it can lose more (docs/layers.md). Intervals are 95% intervals over these samples that "
    "hold jointly for all such swaps. Another run of the same fine-tuning would give other weights."
)


def _difference(difference: Estimate) -> str:
    ends = f"[{points(difference.low)}, {points(difference.high)}]"
    return f"{points(difference.mean)} points {ends} on the same {difference.n} samples"


def _needed(swaps: Swaps, unchanged: Sequence[str], accuracy: Estimate) -> str:
    right = f"AFTER is right in {percent(accuracy.mean)} of {accuracy.n} held-out samples."
    same = f" These are the same in both models: {few(unchanged)}." if unchanged else ""
    if not swaps.needed:
        return f"{right} No block's change is clearly needed: put back alone, none makes AFTER clearly worse.{same}"
    needed = [
        f"{name} ({points(swaps.alone[name].mean)} points [{points(swaps.alone[name].low)}, "
        f"{points(swaps.alone[name].high)}])"
        for name in swaps.needed
    ]
    return (
        f"{right} The changes of these blocks are needed, since each block put back alone makes AFTER clearly worse: "
        f"{few(needed, 16)}.{same}"
    )


def _how_sure(change: Estimate, sure: bool) -> str:
    if sure:
        return "This is sure: the whole interval lies within that loss."
    return (
        f"This is not sure: by the interval, the loss may be {_size(-change.low)} points. More held-out samples narrow "
        "the interval."
    )


def _size(share: float) -> str:
    return points(share).lstrip("+")


def _gradients(rows: Mapping[str, Any]) -> str:
    known = {name: row for name, row in rows.items() if row["value"]["mean"] is not None}
    if not known:
        return "No relative gradient norm could be measured."
    top = max(known, key=lambda name: float(known[name]["value"]["mean"]))
    part, shuffled = known[top]["part"], known[top]["part_shuffled"]
    return (
        f"The relative gradient norm at BEFORE (Auto-RGN) is largest in {top}: {percent(part['mean'])} "
        f"[{percent(part['low'])}, {percent(part['high'])}] of the sum over blocks, and {percent(shuffled['mean'])} "
        "with shuffled labels."
    )
