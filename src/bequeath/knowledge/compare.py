"""Compares the interactions of models on the same samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bequeath.errors import BequeathError
from bequeath.knowledge.alignment import align, check_alike
from bequeath.knowledge.comparison import Comparison
from bequeath.knowledge.repeats import Normalise, salient_part, scale_of
from bequeath.lattice.interactions import Interactions


def compare(
    *,
    before: Interactions,
    after: Interactions,
    control: Interactions | None = None,
    twins: Mapping[str, Interactions | Sequence[Interactions]] | None = None,
    normalise: Normalise = "l1",
    salient: float | None = None,
    labels: Sequence[int] | None = None,
    retests: Mapping[str, Interactions] | None = None,
    not_measurable: Mapping[str, str] | None = None,
) -> Comparison:
    """Compare the interactions of models on the same samples.

    Source: arXiv 2410.08455, Sec. 3; docs/method.md, sections "Measures with a zero and a one" and "Any number of
    models".

    Parameters
    ----------
    before, after : Interactions
        Readings of two models, such as before and after fine-tuning, two checkpoints or two seeds. They have the same
        samples (or one sample), players, masks and baseline. Exact (`decompose`) or sparse (`fit`, `explain`).
    control : Interactions, optional
        Reading of a model that did not start from `before`, such as one whose weights started at random.
    twins : mapping of str to Interactions or sequences of them, optional
        By role, readings of other training seeds of the same recipe. They give ceilings of what the recipe knows, not
        only one run of it.
    normalise : {"l1", "output", "none"}
        ``"l1"``: divide the interactions of each model by its mean L1 norm over the samples. ``"output"``: divide them
        by the mean |v(N) - v(0)|. ``"none"``: keep the units of the value function (as `Comparison.raw` always does).
    salient : float, optional
        Count only interactions above this share of the largest one of their sample; by default all.
    labels : sequence of int, optional
        Classes of the samples. With them, chance levels within classes are also computed.
    retests : mapping of str to Interactions, optional
        By role, readings of the same models and samples on an equivalent game: a shifted grid, another baseline. NaN
        for samples that were not read again.
    not_measurable : mapping of str to str, optional
        By role, the reason why a model has no meaningful interactions, such as a head that was never trained. Shares of
        this model get this reason.

    Returns
    -------
    Comparison

    Raises
    ------
    BequeathError
        If players or samples differ, a role is unknown, or an argument is out of range.

    Examples
    --------
    >>> import torch
    >>> import bequeath as bq
    >>> masks = bq.draw_masks(6, 64)
    >>> x = masks.double()
    >>> before = torch.stack([(1 + i) * x[:, i % 6] * x[:, (i + 1) % 6] for i in range(10)])
    >>> after = before + torch.stack([(1 + i) * x[:, (i + 3) % 6] for i in range(10)])
    >>> fits = [bq.fit(masks, values, order=2, resamples=0) for values in (before, after)]
    >>> share = bq.compare(before=fits[0], after=fits[1]).share("preserved")
    >>> round(share.observed, 2), round(share.ceiling, 2), share.n
    (0.5, 1.0, 10)
    """
    readings = {"before": before, "after": after} | ({} if control is None else {"control": control})
    for role, of_role in (twins or {}).items():
        if role not in readings:
            raise BequeathError(f"twins: no model {role!r}; give {', '.join(readings)}")
        several = [of_role] if isinstance(of_role, Interactions) else list(of_role)
        for number, twin in enumerate(several, 1):
            readings[f"{role} twin" + (f" {number}" if len(several) > 1 else "")] = twin
    if normalise not in ("none", "output", "l1"):
        raise BequeathError(f'normalise: {normalise!r}; give "l1", "output" or "none"')
    if salient is not None and not 0 < salient < 1:
        raise BequeathError(f"salient: {salient}; give a share between 0 and 1")
    repeated = dict(retests or {})
    for name, by_role in (("retests", repeated), ("not_measurable", not_measurable or {})):
        for role in by_role:
            if role not in readings:
                raise BequeathError(f"{name}: no model {role!r}; give {', '.join(readings)}")
    for name, interactions in (
        readings | {f"retests.{role}": reading for role, reading in repeated.items()}
    ).items():
        check_alike(name, interactions, before)
    samples = before.offset.numel()
    if labels is not None and len(labels) != samples:
        raise BequeathError(f"labels: {len(labels)} for {samples} samples; give one for each")
    aligned = align(readings)
    effects = {name: salient_part(values, salient) for name, values in aligned.effects.items()}
    scale = {name: scale_of(values, readings[name], normalise) for name, values in effects.items()}
    return Comparison(
        effects,
        scale,
        aligned.orders,
        aligned.most,
        before.players,
        normalise,
        salient,
        None if labels is None else tuple(int(label) for label in labels),
        aligned.subsets,
        readings,
        repeated,
        dict(not_measurable or {}),
    )
