"""Comparisons of two, three and more models against slow sums from the definitions in docs/method.md."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import ROLES, interactions, models, of_values, tables

import bequeath as bq
from bequeath.knowledge.regions import main_part, regions, shared
from bequeath.knowledge.summaries import ledger_rows

effects = st.floats(-10, 10, allow_nan=False)


def slow_shared(*values):
    """Shared strength, directly from its definition."""
    same = all(x > 0 for x in values) or all(x < 0 for x in values)
    return min(abs(x) for x in values) if same else 0.0


def slow_region(values, inside):
    """Length of the line from 0 that lies in the intervals of exactly these models, by stepping along all ends."""
    total = 0.0
    for sign in (1, -1):
        ends = [max(sign * x, 0.0) for x in values]
        marks = sorted({0.0, *ends})
        for low, high in pairwise(marks):
            if {i for i, end in enumerate(ends) if end >= high} == set(inside):
                total += sign * (high - low)
    return total


@settings(max_examples=200, derandomize=True)
@given(st.lists(effects, min_size=2, max_size=5))
def test_regions_are_the_layers_of_nested_intervals_for_any_number_of_models(values):
    named = {f"m{i}": torch.tensor([x], dtype=torch.float64) for i, x in enumerate(values)}
    found = regions(named)
    assert len(found) == 2 ** len(values) - 1
    for size in range(1, len(values) + 1):
        for inside in combinations(range(len(values)), size):
            got = found[tuple(f"m{i}" for i in inside)].item()
            assert got == pytest.approx(slow_region(values, inside), abs=1e-12)
    for i, x in enumerate(values):
        total = sum(part.item() for region, part in found.items() if f"m{i}" in region)
        assert total == pytest.approx(x, abs=1e-12)


@settings(max_examples=100, derandomize=True)
@given(st.lists(effects, min_size=2, max_size=5))
def test_shared_is_its_definition(values):
    got = shared(*(torch.tensor(x, dtype=torch.float64) for x in values)).item()
    assert got == pytest.approx(slow_shared(*values), abs=1e-12)


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("normalise", ["l1", "none", "output"])
def test_measures_are_slow_sums_by_definition(count, normalise):
    given_ = models(count)
    comparison = bq.compare(**given_, normalise=normalise)
    values = {name: v.flatten().tolist() for name, v in comparison.values.items()}
    before, after = values["before"], values["after"]
    preserved = [slow_shared(a, b) for a, b in zip(before, after, strict=True)]
    assert comparison.preserved.flatten().tolist() == pytest.approx(preserved)
    total = sum(map(abs, before))
    assert comparison.share("preserved").observed == pytest.approx(sum(preserved) / total)
    assert comparison.share("discarded").observed == pytest.approx(1 - sum(preserved) / total)
    assert comparison.share("new").observed == pytest.approx(1 - sum(preserved) / sum(map(abs, after)))
    if count > 2:
        all_three = [slow_shared(*t) for t in zip(before, after, values["control"], strict=True)]
        assert comparison.relearned.flatten().tolist() == pytest.approx(all_three)
        assert comparison.share("relearned").observed == pytest.approx(sum(all_three) / sum(preserved))
    for region, part in comparison.regions.items():
        inside = [list(values).index(name) for name in region]
        slow = [slow_region(row, inside) for row in zip(*values.values(), strict=True)]
        assert part.flatten().tolist() == pytest.approx(slow, abs=1e-12)
    for name, value in comparison.values.items():
        total = sum(part for region, part in comparison.regions.items() if name in region)
        torch.testing.assert_close(total, value, rtol=0, atol=1e-12)


def test_two_models_have_no_control():
    comparison = bq.compare(**models(2))
    assert comparison.measures == ("preserved", "discarded", "new")
    assert list(comparison.regions) == [("before",), ("after",), ("before", "after")]
    for ask in (lambda: comparison.relearned, lambda: comparison.share("relearned")):
        with pytest.raises(bq.BequeathError, match="relearned: needs a control"):
            ask()
    assert "relearned" not in comparison.by_order()
    assert not {"control", "relearned"} & set(comparison.to_frame().columns)


def test_five_models_by_their_roles():
    comparison = bq.compare(**models(5))
    assert list(comparison.effects) == [*ROLES, "after twin", "control twin"]
    assert len(comparison.regions) == 31
    six = bq.compare(**models(6))
    assert list(six.effects)[-2:] == ["control twin 1", "control twin 2"]


def test_the_own_scale_is_the_default_and_raw_stands_beside_it():
    given_ = models(3)
    given_["after"] = interactions(1, scale=10.0)
    comparison = bq.compare(**given_)
    for name in ROLES:
        assert comparison.values[name].abs().sum((-1, -2)).mean().item() == pytest.approx(1.0)
    by_output = bq.compare(**given_, normalise="output")
    for name in ROLES:
        assert by_output.values[name].sum((-1, -2)).abs().mean().item() == pytest.approx(1.0)
    raw = bq.compare(**given_, normalise="none")
    for name in raw.measures:
        assert comparison.raw.share(name) == raw.share(name)
        assert comparison.share(name).observed != pytest.approx(raw.share(name).observed)


def test_a_model_compared_with_itself_keeps_everything():
    same = interactions(1)
    comparison = bq.compare(before=same, after=same, control=same)
    torch.testing.assert_close(comparison.preserved, comparison.values["before"].abs())
    assert comparison.discarded.abs().max() == comparison.new.abs().max() == 0
    found = comparison.share("preserved")
    assert (found.observed, found.low, found.high) == (1, 1, 1)
    assert found.floor < 0.6


def test_a_pair_is_a_comparison_of_its_own():
    comparison = bq.compare(**models(5))
    twin = bq.compare(before=interactions(1), after=interactions(3))
    assert comparison.pair("after", "after twin") == twin.share("preserved")
    with pytest.raises(bq.BequeathError, match=r"pair: no model 'nobody'; give .*before, after"):
        comparison.pair("before", "nobody")


def test_sums_by_order_match_the_frame_and_the_totals():
    comparison = bq.compare(**models(3, n=4))
    frame = comparison.to_frame()
    assert set(frame["order"]) == {1, 2, 3, 4}
    for name in ("preserved", "new", *ROLES):
        whole = comparison.values[name].abs() if name in ROLES else getattr(comparison, name)
        assert frame[name].sum() == pytest.approx(whole.sum((-1, -2)).mean().item())


def test_permuting_the_players_permutes_the_result():
    drawn = {role: torch.randn(2, 8, dtype=torch.float64) for role in ROLES}
    swap = [sum(((s >> i) & 1) << (2 - i) for i in range(3)) for s in range(8)]  # player i becomes 2 - i
    plain = bq.compare(**{k: bq.decompose(v) for k, v in drawn.items()})
    swapped = bq.compare(**{k: bq.decompose(v[:, swap]) for k, v in drawn.items()})
    torch.testing.assert_close(swapped.preserved, plain.preserved[..., swap], atol=2e-2, rtol=0)
    total = plain.preserved.sum()
    assert (swapped.preserved.sum() - total).abs() < 1e-3 * total


def test_only_salient_interactions_count_when_asked():
    given_ = models(3, n=5)
    comparison = bq.compare(**given_, salient=0.3)
    kept = comparison.values["after"] != 0
    torch.testing.assert_close(kept, given_["after"].salient(0.3))
    assert 0 < kept.sum() < given_["after"].values.ne(0).sum()


def test_nothing_to_share_has_a_reason():
    nothing = of_values(torch.zeros(3, 8, dtype=torch.float64))
    found = bq.compare(before=nothing, after=interactions(0, samples=3)).share("preserved")
    assert np.isnan(found.observed)
    assert found.floor is None
    assert found.reason == "the model before has no interactions"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"control": interactions(0, n=4)}, "control: it has 4 players .0, 1, 2, 3"),
        (
            {"control": interactions(0, samples=5)},
            r"control: interactions of \(5,\) samples, before has \(4,\)",
        ),
        ({"normalise": "softmax"}, "normalise"),
        ({"salient": 5}, "salient"),
        ({"twins": {"nobody": interactions(0)}}, "twins: no model 'nobody'; give .*before, after"),
        ({"labels": [0, 1]}, "labels: 2 for 4 samples"),
    ],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises(bq.BequeathError, match=message):
        bq.compare(**{**models(3), **change})


def test_players_of_other_names_are_refused():
    named = bq.decompose(tables(0), "and", players=("a", "b", "c"))
    with pytest.raises(bq.BequeathError, match=r"after: it has 3 players .a, b, c"):
        bq.compare(before=interactions(0), after=named)
    with pytest.raises(bq.BequeathError, match="share: 'kept'; give one of preserved, discarded, new"):
        bq.compare(**models(2)).share("kept")


@pytest.mark.parametrize("normalise", ["none", "output", "l1"])
@pytest.mark.parametrize("kind", ["and", "or", "and-or"])
@pytest.mark.parametrize("count", [2, 3])
def test_the_ledger_adds_up_to_the_output(normalise, kind, count):
    drawn = {role: tables(i, 3, 5, 7.0) for i, role in enumerate(ROLES[:count])}
    comparison = bq.compare(**{k: bq.decompose(v, kind) for k, v in drawn.items()}, normalise=normalise)
    for role, table in drawn.items():
        book = bq.ledger(comparison, role, table[:, 0], table[:, -1])
        assert len(book.parts) == 2 ** (count - 1)
        assert book.error < 1e-9
        assert not book.constant.any()
        for effect in book.parts.values():
            assert torch.equal(book.positive_without(effect), (table[:, -1] - effect) > 0)
        assert torch.equal(book.positive_without(), table[:, -1] > 0)
    # The signed preserved and new parts add up to the model after.
    book = bq.ledger(comparison, "after", drawn["after"][:, 0], drawn["after"][:, -1])
    sign, scale = comparison.values["after"].sign(), comparison.scale["after"]
    preserved = (sign * comparison.preserved).sum((-1, -2)) * scale
    parts = [effect for region, effect in book.parts.items() if "before" in region]
    torch.testing.assert_close(sum(parts), preserved)
    new = (sign * comparison.new).sum((-1, -2)) * scale
    torch.testing.assert_close(preserved + new, drawn["after"][:, -1] - drawn["after"][:, 0])
    with pytest.raises(bq.BequeathError, match="ledger: no model 'nobody'"):
        bq.ledger(comparison, "nobody", drawn["after"][:, 0], drawn["after"][:, -1])


def test_outputs_scale_sparse_readings_by_what_the_models_give():
    masks = bq.draw_masks(8, 120)
    x = masks.double()
    value = 2 * x[:, 0] * x[:, 1] - x[:, 2] + 0.7 * x.any(1)
    readings = {
        name: bq.fit(masks, factor * value + 3, 2, resamples=0)
        for name, factor in [("before", 1), ("after", 5)]
    }
    comparison = bq.compare(**readings, normalise="output")
    assert comparison.scale == pytest.approx({"before": 1.7, "after": 8.5})
    but_full = [0, *range(2, 120)]
    unknown = bq.fit(masks[but_full], value[but_full], 2, resamples=0)
    assert unknown.total.isnan()
    with pytest.raises(bq.BequeathError, match=r'"output" needs v\(N\), which this sparse reading lacks'):
        bq.compare(before=unknown, after=unknown, normalise="output")


def test_the_ledger_of_sparse_readings_has_what_they_leave():
    masks = bq.draw_masks(8, 120)
    x = masks.double()
    noise = torch.randn(2, 3, 120, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = 2 * x[:, 0] * x[:, 1] - x[:, 2] + 0.7 * x.any(1) + 0.3 * noise
    before, after = (bq.fit(masks, one, 2, resamples=0) for one in values)
    comparison = bq.compare(before=before, after=after)
    book = bq.ledger(comparison, "after", values[1, :, 0], values[1, :, 1], after.constant)
    torch.testing.assert_close(book.unexplained, after.residual)
    rows = {row.part: row for row in ledger_rows(book)}
    assert set(rows) == {"total", "region", "constant", "unexplained"}
    assert rows["constant"].effect.mean == pytest.approx(float(after.constant.mean()))
    without = book.positive_without(book.constant)
    assert without.tolist() == (values[1, :, 1] - after.constant > 0).tolist()


def test_too_many_models_for_regions_are_refused():
    many = {str(i): torch.zeros(1) for i in range(13)}
    with pytest.raises(bq.BequeathError, match="13 models have 8,191 sets; give 12"):
        regions(many)


def test_sparse_readings_are_compared_on_the_union_of_their_terms():
    masks = bq.draw_masks(7, 128)
    x = masks.double()
    pairs = torch.stack([x[:, i] * x[:, j] for i, j in combinations(range(7), 2)])
    rng = torch.Generator().manual_seed(0)
    sparse = {}
    for role in ROLES:
        weights = torch.randn(5, len(pairs), generator=rng, dtype=torch.float64)
        weights *= torch.rand(5, len(pairs), generator=rng) < 0.3
        sparse[role] = bq.fit(masks, weights @ pairs, order=2, resamples=0)
    comparison = bq.compare(**sparse)
    dense = bq.compare(
        **{role: bq.Interactions(i.and_, i.or_, i.offset, i.players) for role, i in sparse.items()}
    )
    assert comparison.orders.max() == 2
    assert comparison.preserved.shape[-1] < 2**7
    halves = [{role: one.halves[half] for role, one in sparse.items()} for half in (0, 1)]
    dense_halves = [
        {role: bq.Interactions(i.and_, i.or_, i.offset, i.players) for role, i in half.items()}
        for half in halves
    ]
    across = bq.compare(**dense_halves[0], retests=dense_halves[1])
    for name in comparison.measures:
        got, expected = comparison.share(name), across.share(name)
        assert (got.second, expected.second) == ("split", "retest")
        for key in ("observed", "floor", "ceiling", "corrected", "low", "high", "p"):
            assert getattr(got, key) == pytest.approx(getattr(expected, key), nan_ok=True)
    for name, total in comparison.by_order().items():
        assert total.shape == (5, 2, 3)  # orders of the fit
        torch.testing.assert_close(total, dense.by_order()[name][..., :3])
    mixed = bq.compare(before=sparse["before"], after=interactions(1, samples=5, n=7))
    assert mixed.preserved.shape == (5, 2, 2**7)


def test_sparse_readings_of_many_players_are_compared():
    masks = bq.draw_masks(40, 600)
    x = masks.double()
    common = 3 * x[:, 3] * x[:, 17] - 2 * x[:, 8] * x[:, 30]
    before, after = (
        bq.fit(masks, torch.stack([common + own, 2 * common + own]), order=2, resamples=0)
        for own in (1.5 * x[:, 1], 1.5 * x[:, 2])
    )
    found = bq.compare(before=before, after=after).share("preserved")
    assert found.observed == pytest.approx(15 / 18, abs=0.02)


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [
        (1.0, 0.9, "preserved"),
        (-1.0, -0.6, "preserved"),
        (1.0, 0.5, "preserved"),
        (1.0, 0.4, "discarded"),
        (1.0, 0.0, "discarded"),
        (0.2, 0.5, "new"),
        (0.0, -0.1, "new"),
        (0.5, -0.5, "flipped"),
        (0.0, 0.0, None),
    ],
)
def test_the_largest_part_of_an_interaction(before, after, part):
    assert main_part(before, after) == part
