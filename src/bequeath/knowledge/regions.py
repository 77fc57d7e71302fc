"""Who knows what: the strength of every interaction dealt out over the sets of models that share it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice.interactions import Interactions

if TYPE_CHECKING:
    import pandas

Normalise = Literal["none", "output", "l1"]

MODELS = ("pretrained", "finetuned", "scratch")
# Region name -> the models that share it; each region is signed.
REGIONS: dict[str, tuple[str, ...]] = {
    "pretrained": ("pretrained",),
    "finetuned": ("finetuned",),
    "scratch": ("scratch",),
    "pretrained+finetuned": ("pretrained", "finetuned"),
    "pretrained+scratch": ("pretrained", "scratch"),
    "finetuned+scratch": ("finetuned", "scratch"),
    "all": MODELS,
}


def shared(*effects: Tensor) -> Tensor:
    """min |I| over models where all signs agree, else 0 (METHOD 4: same(a, b) * min(|a|, |b|))."""
    positive = torch.stack([effect.clamp(min=0) for effect in effects]).amin(0)
    negative = torch.stack([(-effect).clamp(min=0) for effect in effects]).amin(0)
    return positive + negative


def _deal_out(strengths: dict[str, Tensor]) -> list[Tensor]:
    """Nonnegative strengths of three models -> the seven regions, in the order of `REGIONS`.

    The models' strengths are nested intervals [0, s]: the part of the line inside exactly the intervals of one set
    of models is that set's region, so each model's regions add up to its strength.
    """
    p, f, s = (strengths[name] for name in MODELS)
    in_all = torch.minimum(torch.minimum(p, f), s)
    pf, ps, fs = (torch.minimum(*pair) - in_all for pair in ((p, f), (p, s), (f, s)))
    return [p - pf - ps - in_all, f - pf - fs - in_all, s - ps - fs - in_all, pf, ps, fs, in_all]


@dataclass(frozen=True)
class Comparison:
    """Interactions of the three models on the same samples, ready to be compared.

    Attributes
    ----------
    values : dict of str to Tensor
        For each of `MODELS`: shape (samples, 2, 2**n), AND first, in normalised units.
    scale : dict of str to float
        What each model's interactions were divided by; 1 for ``normalise="none"``.
    orders : Tensor
        |T|, int64, shape (2**n,).
    """

    values: dict[str, Tensor]
    scale: dict[str, float]
    orders: Tensor
    normalise: Normalise
    salient: float | None

    @cached_property
    def preserved(self) -> Tensor:
        """Strength that pre-trained and fine-tuned model share, (samples, 2, 2**n)."""
        return shared(self.values["pretrained"], self.values["finetuned"])

    @cached_property
    def discarded(self) -> Tensor:
        """The rest of the pre-trained model's strength, (samples, 2, 2**n)."""
        return self.values["pretrained"].abs() - self.preserved

    @cached_property
    def new(self) -> Tensor:
        """The rest of the fine-tuned model's strength, (samples, 2, 2**n)."""
        return self.values["finetuned"].abs() - self.preserved

    @cached_property
    def relearned(self) -> Tensor:
        """The preserved strength that training from scratch finds too, (samples, 2, 2**n)."""
        return shared(*(self.values[name] for name in MODELS))

    @cached_property
    def regions(self) -> Tensor:
        """Signed effects of the seven regions, shape (samples, 7, 2, 2**n), in the order of `REGIONS`.

        For every model, the regions it belongs to add up to its interactions exactly.
        """
        positive = _deal_out({name: value.clamp(min=0) for name, value in self.values.items()})
        negative = _deal_out({name: (-value).clamp(min=0) for name, value in self.values.items()})
        return torch.stack([a - b for a, b in zip(positive, negative, strict=True)], dim=1)

    def sum_by_order(self, x: Tensor) -> Tensor:
        """Sums of (..., 2**n) over the subsets of each order: (..., n + 1)."""
        n = int(self.orders[-1])
        return x.new_zeros(*x.shape[:-1], n + 1).index_add_(-1, self.orders, x)

    def by_order(self) -> dict[str, Tensor]:
        """Strengths by type and order: for each model and each measure, (samples, 2, n + 1)."""
        measures = {name: self.values[name].abs() for name in MODELS}
        for name in ("preserved", "discarded", "new", "relearned"):
            measures[name] = getattr(self, name)
        return {name: self.sum_by_order(measure) for name, measure in measures.items()}

    def to_frame(self) -> pandas.DataFrame:
        """Mean strengths over samples: one row per type and order, one column per measure."""
        import pandas

        sums = {name: total.mean(0) for name, total in self.by_order().items()}
        n = int(self.orders[-1])
        rows = [
            {"type": kind, "order": order}
            | {name: total[index, order].item() for name, total in sums.items()}
            for index, kind in enumerate(("and", "or"))
            for order in range(1, n + 1)
        ]
        return pandas.DataFrame(rows)


def _scale(values: Tensor, normalise: Normalise) -> float:
    if normalise == "none":
        return 1.0
    if normalise == "output":
        # AND and OR effects of all subsets add up to v(N) - v(0).
        scale = values.sum((-1, -2)).abs().mean().item()
    else:
        scale = values.abs().sum((-1, -2)).mean().item()
    return scale if scale > 0 else 1.0


def compare(
    *,
    pretrained: Interactions,
    finetuned: Interactions,
    scratch: Interactions,
    normalise: Normalise = "none",
    salient: float | None = None,
) -> Comparison:
    """Compare three models' interactions on the same samples (METHOD 4; arXiv 2410.08455, Sec. 3).

    Parameters
    ----------
    pretrained, finetuned, scratch : Interactions
        Shape (samples, 2**n) or (2**n,): same samples, players, masks, baseline.
    normalise : {"none", "output", "l1"}
        Divide each model's interactions by its mean |v(N) - v(0)|, or its mean L1 norm, over the samples.
    salient : float, optional
        Count only interactions above this share of their sample's largest; all by default.

    Raises
    ------
    BequeathError
        If shapes differ or an argument is out of range.
    """
    given = {"pretrained": pretrained, "finetuned": finetuned, "scratch": scratch}
    if normalise not in ("none", "output", "l1"):
        raise BequeathError(f'normalise: "none", "output" or "l1", not {normalise!r}')
    if salient is not None and not 0 < salient < 1:
        raise BequeathError(f"salient: a share between 0 and 1, not {salient}")
    for name, interactions in given.items():
        if interactions.and_.shape != pretrained.and_.shape:
            raise BequeathError(
                f"{name}: interactions of shape {tuple(interactions.and_.shape)}, pretrained has "
                f"{tuple(pretrained.and_.shape)}; all models need the same samples and players"
            )
        if interactions.and_.ndim > 2:
            raise BequeathError(f"{name}: (samples, 2**n) or (2**n,), not {interactions.and_.ndim} axes")
    values, scale = {}, {}
    for name, interactions in given.items():
        if salient is not None:
            interactions = interactions.restricted(interactions.salient(salient))
        raw = interactions.values.reshape(-1, 2, interactions.and_.shape[-1])
        scale[name] = _scale(raw, normalise)
        values[name] = raw / scale[name]
    return Comparison(values, scale, pretrained.orders, normalise, salient)
