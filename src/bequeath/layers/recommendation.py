"""What to freeze next time, in the words of a study's training section, why, and how sure that is."""

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
        Train the last layer alone.
    sure : bool or None
        Whether, by the interval, no more than the margin is lost; None where nothing is recommended.
    snippet : list of str or None
        The lines for a study file.
    reason : str or None
        Why there is no recommendation.
    text : list of str
        In sentences.
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
    """The recommendation from swaps.

    Parameters
    ----------
    name : str
        Of the model after, as a study file would call it.
    blocks : sequence of str
        All, in order.
    swaps : Swaps
    skill : Estimate
        Accuracy of the model after less that of naming the largest class.
    accuracy : Estimate
        Of the model after.
    unchanged : sequence of str
        Blocks that are the same in both models.
    gradients : mapping
        Of each block, as `layers.gradients` gives them.
    margin : float
        As for `knowledge.layerwise.judge`.
    """
    text = [_needed(swaps, unchanged, accuracy)]
    if skill.low <= 0:
        reason = (
            f"AFTER is not clearly better than naming the largest class ({_apart(skill)}): what its layers needed "
            "cannot be told"
        )
        return Advice(None, False, None, None, reason, [*text, f"Nothing is recommended: {reason}."])
    frozen = swaps.frozen
    whole = frozen == blocks[-1]
    if frozen is None:
        first = swaps.up_to[blocks[0]]
        text.append(
            f"Freeze nothing: with {blocks[0]} put back, and new heads on both, accuracy changes by {_apart(first)}; a "
            f"loss of {_size(margin)} points is accepted, and no deeper swap stays within it."
        )
        text.append(_gradients(gradients))
        return Advice(None, False, None, None, None, [*text, _CAVEAT])
    found = swaps.up_to[frozen]
    sure = found.low >= -margin
    done = "Train the head alone" if whole else f"Freeze all layers up to {frozen}"
    back = "all blocks" if whole else f"all blocks up to {frozen}"
    text.append(
        f"{done}: with {back} put back, and new heads on both, accuracy changes by {_apart(found)}; a loss of "
        f"{_size(margin)} points is accepted."
    )
    text.append(_how_sure(found, sure))
    text.append(_gradients(gradients))
    line = "head_only: true" if whole else f"freeze: {frozen}"
    snippet = ["training:", f"  {name}:", f"    {line}"]
    return Advice(None if whole else frozen, whole, sure, snippet, None, [*text, _CAVEAT])


_CAVEAT = (
    "Swaps do not train: layers that come after a frozen part can adapt to it, so that really freezing mostly loses "
    "less than its swap; it can lose more (docs/layers.md). The intervals are 95%, over these samples, for all such "
    "swaps together; another run of the same fine-tuning would give other weights."
)


def _apart(difference: Estimate) -> str:
    ends = f"[{points(difference.low)}, {points(difference.high)}]"
    return f"{points(difference.mean)} points {ends} on the same {difference.n} samples"


def _needed(swaps: Swaps, unchanged: Sequence[str], accuracy: Estimate) -> str:
    right = f"AFTER is right in {percent(accuracy.mean)} of {accuracy.n} held-out samples."
    same = f" The same in both models: {few(unchanged)}." if unchanged else ""
    if not swaps.needed:
        return f"{right} No block's change is clearly needed: put back alone, none makes AFTER clearly worse.{same}"
    told = [
        f"{name} ({points(swaps.alone[name].mean)} points [{points(swaps.alone[name].low)}, "
        f"{points(swaps.alone[name].high)}])"
        for name in swaps.needed
    ]
    return f"{right} It needs the change of these: put back alone, each makes it clearly worse: {few(told, 16)}.{same}"


def _how_sure(found: Estimate, sure: bool) -> str:
    if sure:
        return "That is sure: the whole interval lies within it."
    loss = f"by the interval the loss may be {_size(-found.low)} points"
    return f"That is not sure: {loss}. More held-out samples narrow it."


def _size(share: float) -> str:
    return points(share).lstrip("+")


def _gradients(rows: Mapping[str, Any]) -> str:
    known = {name: row for name, row in rows.items() if row["value"]["mean"] is not None}
    if not known:
        return "No relative gradient norm could be had."
    top = max(known, key=lambda name: float(known[name]["value"]["mean"]))
    own, shuffled = known[top]["part"], known[top]["part_shuffled"]
    return (
        f"The relative gradient norm at BEFORE (Auto-RGN) is largest in {top}: {percent(own['mean'])} "
        f"[{percent(own['low'])}, {percent(own['high'])}] of the sum over blocks, and {percent(shuffled['mean'])} with "
        "shuffled labels."
    )
