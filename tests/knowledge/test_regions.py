import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import bequeath as bq
from bequeath.knowledge.regions import MODELS, REGIONS


def interactions(seed, samples=4, n=3, scale=1.0):
    g = torch.Generator().manual_seed(seed)
    return bq.decompose(scale * torch.randn(samples, 2**n, generator=g, dtype=torch.float64), "and")


def three(seed=0, **kwargs):
    return {name: interactions(seed + i, **kwargs) for i, name in enumerate(MODELS)}


def slow_split(p, f, s):
    """One interaction of three models, by the words of METHOD 4."""
    same = lambda *xs: all(x > 0 for x in xs) or all(x < 0 for x in xs)  # noqa: E731
    preserved = min(abs(p), abs(f)) if same(p, f) else 0.0
    relearned = min(preserved, abs(s)) if same(f, s) else 0.0
    return preserved, abs(p) - preserved, abs(f) - preserved, relearned


def test_measures_follow_the_definitions_entry_by_entry():
    comparison = bq.compare(**three())
    stacked = [comparison.values[name].flatten().tolist() for name in MODELS]
    expected = torch.tensor(
        [slow_split(*triple) for triple in zip(*stacked, strict=True)], dtype=torch.float64
    )
    for column, name in enumerate(("preserved", "discarded", "new", "relearned")):
        torch.testing.assert_close(getattr(comparison, name).flatten(), expected[:, column])


effects = st.floats(-10, 10, allow_nan=False)


@settings(max_examples=200, derandomize=True)
@given(effects, effects, effects)
def test_regions_add_up_to_every_model_and_to_every_measure(p, f, s):
    def one(x):
        and_ = torch.tensor([0.0, x], dtype=torch.float64)
        return bq.Interactions(and_, torch.zeros_like(and_), torch.zeros((), dtype=torch.float64), ("a",))

    comparison = bq.compare(pretrained=one(p), finetuned=one(f), scratch=one(s))
    region = {name: comparison.regions[0, i, 0, 1].item() for i, name in enumerate(REGIONS)}
    for model, value in zip(MODELS, (p, f, s), strict=True):
        total = sum(region[name] for name, models in REGIONS.items() if model in models)
        assert total == pytest.approx(value, abs=1e-12)
    assert abs(region["pretrained+finetuned"] + region["all"]) == pytest.approx(
        comparison.preserved[0, 0, 1].item(), abs=1e-12
    )
    assert abs(region["all"]) == pytest.approx(comparison.relearned[0, 0, 1].item(), abs=1e-12)
    # No region says more than its weakest member.
    for name, models in REGIONS.items():
        weakest = min(abs(v) for m, v in zip(MODELS, (p, f, s), strict=True) if m in models)
        assert abs(region[name]) <= weakest + 1e-12


def test_a_model_compared_with_itself_keeps_everything():
    same = interactions(1)
    comparison = bq.compare(pretrained=same, finetuned=same, scratch=same)
    torch.testing.assert_close(comparison.preserved, same.values.abs())
    assert comparison.discarded.abs().max() == 0
    assert comparison.new.abs().max() == 0
    torch.testing.assert_close(comparison.relearned, comparison.preserved)


def test_sums_by_order_match_the_frame_and_the_totals():
    comparison = bq.compare(**three(n=4))
    frame = comparison.to_frame()
    assert set(frame["order"]) == {1, 2, 3, 4}
    for name in ("preserved", "new", *MODELS):
        whole = comparison.values[name].abs() if name in MODELS else getattr(comparison, name)
        assert frame[name].sum() == pytest.approx(whole.sum((-1, -2)).mean().item())


def test_permuting_the_players_permutes_the_result():
    tables = {name: torch.randn(2, 8, dtype=torch.float64) for name in MODELS}
    swap = [sum(((s >> i) & 1) << (2 - i) for i in range(3)) for s in range(8)]  # player i becomes 2 - i
    plain = bq.compare(**{k: bq.decompose(v) for k, v in tables.items()})
    swapped = bq.compare(**{k: bq.decompose(v[:, swap]) for k, v in tables.items()})
    torch.testing.assert_close(swapped.preserved, plain.preserved[..., swap], atol=2e-2, rtol=0)
    total = plain.preserved.sum()
    assert (swapped.preserved.sum() - total).abs() < 1e-3 * total


def test_normalising_makes_scales_equal():
    given_ = three()
    given_["finetuned"] = interactions(1, scale=10.0)
    comparison = bq.compare(**given_, normalise="l1")
    for name in MODELS:
        assert comparison.values[name].abs().sum((-1, -2)).mean().item() == pytest.approx(1.0)
    by_output = bq.compare(**given_, normalise="output")
    for name in MODELS:
        assert by_output.values[name].sum((-1, -2)).abs().mean().item() == pytest.approx(1.0)


def test_only_salient_interactions_count_when_asked():
    given_ = three(n=5)
    comparison = bq.compare(**given_, salient=0.3)
    kept = comparison.values["finetuned"] != 0
    torch.testing.assert_close(kept, given_["finetuned"].salient(0.3))
    assert 0 < kept.sum() < given_["finetuned"].values.ne(0).sum()


def test_bad_arguments_are_named():
    with pytest.raises(bq.BequeathError, match="scratch: interactions of shape"):
        bq.compare(**{**three(), "scratch": interactions(0, n=4)})
    with pytest.raises(bq.BequeathError, match="normalise"):
        bq.compare(**three(), normalise="softmax")
    with pytest.raises(bq.BequeathError, match="salient"):
        bq.compare(**three(), salient=5)


@pytest.mark.parametrize("normalise", ["none", "output", "l1"])
@pytest.mark.parametrize("kind", ["and", "or", "and-or"])
def test_the_ledger_adds_up_to_the_output(normalise, kind):
    g = torch.Generator().manual_seed(5)
    tables = {name: 7 * torch.randn(3, 32, generator=g, dtype=torch.float64) for name in MODELS}
    comparison = bq.compare(**{k: bq.decompose(v, kind) for k, v in tables.items()}, normalise=normalise)
    for name, table in tables.items():
        book = bq.ledger(comparison, name, table[:, 0], table[:, -1])
        assert len(book.parts) == 4
        assert book.error < 1e-9
        for part, effect in book.parts.items():
            expected = (table[:, -1] - effect) > 0
            assert torch.equal(book.positive_without(part), expected)
        assert torch.equal(book.positive_without(), table[:, -1] > 0)
    # Preserved and new of METHOD 4, signed, are the fine-tuned model's parts taken together.
    book = bq.ledger(comparison, "finetuned", tables["finetuned"][:, 0], tables["finetuned"][:, -1])
    sign = comparison.values["finetuned"].sign()
    preserved = (sign * comparison.preserved).sum((-1, -2)) * comparison.scale["finetuned"]
    torch.testing.assert_close(book.parts["pretrained+finetuned"] + book.parts["all"], preserved)
    np.testing.assert_allclose(
        (preserved + (sign * comparison.new).sum((-1, -2)) * comparison.scale["finetuned"]).numpy(),
        (tables["finetuned"][:, -1] - tables["finetuned"][:, 0]).numpy(),
        atol=1e-9,
    )
