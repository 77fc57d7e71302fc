"""Shares from per-sample strengths are those of the comparison, over samples and over seeds."""

import numpy as np
import pytest
import torch

import bequeath as bq
from bequeath.knowledge.measures import STRENGTHS, Measures

N = 4


def comparison(seed):
    torch.manual_seed(seed)
    tables = {
        name: torch.randn(6, 2**N, dtype=torch.float64) for name in ("pretrained", "finetuned", "scratch")
    }
    return bq.compare(**{name: bq.decompose(v, "and") for name, v in tables.items()})


def test_shares_are_ratios_of_sums_over_all_interactions():
    c = comparison(0)
    measures = Measures.of(c)
    whole = c.values["pretrained"].abs().sum().item()
    assert measures.share("preserved").mean == pytest.approx(c.preserved.sum().item() / whole)
    assert measures.share("discarded").mean == pytest.approx(c.discarded.sum().item() / whole)
    assert measures.share("new").mean == pytest.approx(
        c.new.sum().item() / c.values["finetuned"].abs().sum().item()
    )
    assert measures.share("relearned").mean == pytest.approx(
        c.relearned.sum().item() / c.preserved.sum().item()
    )
    assert measures.by_order["scratch"].shape == (6, N)


def test_seeds_are_pooled_as_sums_over_all_of_them():
    parts = [Measures.of(comparison(seed)) for seed in (0, 1, 2)]
    pooled = Measures.stacked([part.by_order for part in parts])
    assert set(pooled.by_order) == set(STRENGTHS)
    top = sum(part.total("preserved").sum() for part in parts)
    bottom = sum(part.total("pretrained").sum() for part in parts)
    got = pooled.share("preserved")
    assert got.mean == pytest.approx(top / bottom)
    assert (got.n, got.seeds) == (6, 3)
    assert got.low < got.mean < got.high
    falls = [part.fall_with_order().mean for part in parts]
    assert pooled.fall_with_order().mean == pytest.approx(np.mean(falls))


def test_the_fall_is_between_the_halves_of_the_orders():
    strength = np.tile([4.0, 2.0, 2.0, 2.0], (5, 1))
    kept = strength * [0.5, 0.5, 0.25, 0.0]
    by_order = dict.fromkeys(STRENGTHS, strength) | {"preserved": kept}
    assert Measures(by_order).fall_with_order().mean == pytest.approx(0.5 - 0.125)


def test_seeds_on_other_samples_are_refused():
    one, other = Measures.of(comparison(0)).by_order, Measures.of(comparison(1)).by_order
    with pytest.raises(bq.BequeathError, match="same samples and players"):
        Measures.stacked([one, {name: values[:5] for name, values in other.items()}])
