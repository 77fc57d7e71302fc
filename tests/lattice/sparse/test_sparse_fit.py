"""Sparse readings of games whose truth is known."""

from __future__ import annotations

import itertools
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import bequeath as bq
from bequeath.errors import BequeathError
from bequeath.lattice.interactions import Interactions
from bequeath.lattice.sparse import selection
from bequeath.lattice.sparse.design import shared
from bequeath.lattice.sparse.table import _validated
from bequeath.lattice.sparse.terms import all_terms

Game = dict[tuple[tuple[int, ...], str], float]


def column(members: tuple[int, ...], kind: str, masks: np.ndarray) -> np.ndarray:
    shown = masks[:, list(members)]
    return shown.any(1) if kind == "or" else shown.all(1)


def values_of(game: Game, masks: Any) -> np.ndarray:
    masks = np.asarray(masks)
    return sum((value * column(*term, masks) for term, value in game.items()), np.zeros(len(masks)))


def drawn_game(n: int, terms: int, seed: int, order: int = 3) -> Game:
    generator = np.random.default_rng(seed)
    game: Game = {}
    while len(game) < terms:
        members = tuple(sorted(generator.choice(n, generator.integers(1, order + 1), replace=False).tolist()))
        kind = "or" if len(members) > 1 and generator.random() < 0.4 else "and"
        game[members, kind] = float(generator.uniform(0.5, 2) * generator.choice([-1, 1]))
    return game


def listed(found: Interactions, least: float = 1e-6) -> Game:
    return {(term.players, term.kind): term.value for term in found.terms() if abs(term.value) > least}


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


GAME: Game = {((0,), "and"): 1.0, ((1, 2), "or"): -2.0, ((3, 4, 5), "and"): 1.5, ((0, 6), "and"): 0.75}


@pytest.fixture(scope="module")
def noisy() -> tuple[torch.Tensor, np.ndarray, Interactions]:
    masks = bq.draw_masks(10, 200)
    values = np.stack([values_of(drawn_game(10, 6, seed), masks) for seed in range(3)])
    values = values + 0.2 * values.std(1, keepdims=True) * noise(values.shape) + 5
    return masks, values, bq.fit(masks, values)


def test_a_game_is_found_exactly() -> None:
    masks = bq.draw_masks(12, 200)
    found = bq.fit(masks, values_of(GAME, masks) + 3)
    assert listed(found) == pytest.approx(GAME, abs=1e-5)
    assert found.offset.item() == 3
    assert found.r2.item() == pytest.approx(1, abs=1e-6)
    assert abs(found.residual.item()) < 1e-5
    assert abs(found.constant.item()) < 1e-5
    others = bq.draw_masks(12, 300, seed=1)
    np.testing.assert_allclose(found.reconstruct(others), values_of(GAME, others) + 3, atol=1e-5)
    assert all(term.chosen == 1 for term in found.top(4))
    assert found.certificate is not None
    assert found.certificate.gap.item() < 1e-2


@pytest.mark.parametrize("kind", ["and", "or"])
def test_one_kind_alone(kind: str) -> None:
    game: Game = {((2,), "and"): 1.0, ((0, 1), kind): 2.0, ((3, 4, 5), kind): -1.0}
    masks = bq.draw_masks(8, 128)
    found = bq.fit(masks, values_of(game, masks), kind=kind)  # type: ignore[arg-type]
    assert listed(found) == pytest.approx(game, abs=1e-5)


def test_many_players_are_read_without_listing_their_terms() -> None:
    game: Game = {
        ((3, 17, 30), "and"): 2.0,
        ((5, 38), "or"): -1.5,
        ((0,), "and"): 1.0,
        ((8, 9, 10), "or"): 1.0,
    }
    masks = bq.draw_masks(40, 400)
    found = bq.fit(masks, values_of(game, masks))
    assert listed(found, 1e-4) == pytest.approx(game, abs=1e-3)
    assert found.certificate is not None
    assert found.certificate.gap.item() < 1e-2
    with pytest.raises(BequeathError, match="2\\*\\*40 entries"):
        _ = found.and_
    assert found.top(1)[0].subset == 2**3 + 2**17 + 2**30
    back = Interactions.from_shapiq(found.to_shapiq())
    np.testing.assert_allclose(
        back.reconstruct(masks), found.reconstruct(masks) + found.constant * ~masks.any(1), atol=1e-9
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_strongest_terms_are_the_best_subset(seed: int) -> None:
    masks = bq.draw_masks(6, 50, seed=seed)
    shown = masks.numpy()
    game = drawn_game(6, 3, seed, order=2)
    v = values_of(game, shown)
    v = v + 0.1 * v.std() * noise(v.shape, seed)
    terms = [
        (members, kind)
        for size in (1, 2)
        for members in itertools.combinations(range(6), size)
        for kind in ("and", "or")[:size]
    ]
    inner = shown.any(1)
    x = np.stack([column(*term, shown[inner]) for term in terms], 1).astype(float)
    x -= x.mean(0)
    y = v[inner] - v[inner].mean()

    def left(subset: tuple[int, ...]) -> float:
        some = x[:, list(subset)]
        return float(((y - some @ np.linalg.lstsq(some, y, rcond=None)[0]) ** 2).sum())

    best = min(itertools.combinations(range(len(terms)), 3), key=left)
    found = bq.fit(masks, v, 2)
    # {i} + {j} = AND{i, j} + OR{i, j}: other terms fit equally well, so the fitted values are compared, too.
    top = tuple(terms.index((term.players, term.kind)) for term in found.top(3))
    assert set(top) == set(best) or left(top) <= 1.05 * left(best)


@pytest.mark.parametrize(("n", "order", "count"), [(8, 3, 60), (16, 3, 128), (16, 2, 256), (40, 3, 256)])
def test_noise_is_not_explained(n: int, order: int, count: int) -> None:
    tables = 12 if n < 40 else 3
    found = bq.fit(bq.draw_masks(n, count), noise((tables, count)), order, resamples=0)
    assert found.r2.mean().item() <= 0.02
    assert found.r2.max().item() <= 0.05
    assert found.r2.min().item() >= -0.25


def test_r2_is_that_of_masks_never_seen(noisy: tuple[torch.Tensor, np.ndarray, Interactions]) -> None:
    _, _, found = noisy
    others = bq.draw_masks(10, 1000, seed=5)
    for i in range(3):
        clean = values_of(drawn_game(10, 6, i), others) + 5
        seen = clean + 0.2 * clean.std() * noise(clean.shape, 9)
        left = ((seen - found[i].reconstruct(others).numpy()) ** 2).sum()
        honest = 1 - left / ((seen - seen.mean()) ** 2).sum()
        assert found.r2[i].item() == pytest.approx(honest, abs=0.05)


def test_errors_are_as_large_as_what_is_wrong() -> None:
    masks = bq.draw_masks(10, 300)
    ratios = []
    for seed in range(6):
        game = drawn_game(10, 5, seed)
        clean = values_of(game, masks)
        found = bq.fit(masks, clean + 0.2 * clean.std() * noise(clean.shape, seed))
        for term in found.terms():
            true = game.get((term.players, term.kind))
            if true is not None and term.error is not None:
                ratios.append((term.value - true) / term.error)
    # Not all: {i} + {j} = AND{i, j} + OR{i, j}, so a game may get other terms than it was made of.
    assert np.mean(np.abs(ratios) < 2) > 0.8
    assert 0.3 < np.median(np.abs(ratios)) < 1.2
    assert all(np.isnan(term.error) for term in bq.fit(masks, clean, resamples=0).terms())


def test_tables_are_fitted_each_by_itself(noisy: tuple[torch.Tensor, np.ndarray, Interactions]) -> None:
    masks, values, found = noisy
    alone = bq.fit(masks, values[1])
    assert listed(alone, 0) == pytest.approx(listed(found[1], 0), rel=1e-12)
    turned = bq.fit(masks, values[::-1].copy())
    assert listed(turned[2], 0) == listed(found[0], 0)
    torch.set_num_threads(2)
    threads = bq.fit(masks, np.concatenate([values] * 3))
    assert torch.equal(threads.listed.value[3:6], found.listed.value)  # type: ignore[union-attr]
    assert torch.equal(threads.r2[6:], found.r2)


@given(st.permutations(range(7)), st.integers(0, 3))
def test_names_of_players_change_nothing(names: list[int], seed: int) -> None:
    masks = bq.draw_masks(7, 70, seed=seed)
    game = drawn_game(7, 5, seed)
    v = values_of(game, masks)
    v = v + 0.1 * v.std() * noise(v.shape, seed)
    first, second = bq.fit(masks, v, resamples=2), bq.fit(masks[:, names], v, resamples=2)
    new = {old: place for place, old in enumerate(names)}
    renamed = {(tuple(sorted(new[i] for i in m)), kind): value for (m, kind), value in listed(first).items()}
    assert listed(second) == pytest.approx(renamed, abs=1e-6)
    assert second.r2.item() == pytest.approx(first.r2.item(), abs=1e-6)


@given(st.floats(-1e3, 1e3).filter(lambda x: abs(x) > 1e-3), st.floats(-10, 10), st.integers(0, 3))
def test_scaled_and_shifted_values_give_scaled_terms(scale: float, shift: float, seed: int) -> None:
    masks = bq.draw_masks(7, 70, seed=seed)
    v = values_of(drawn_game(7, 5, seed), masks)
    v = v + 0.1 * v.std() * noise(v.shape, seed)
    first, second = bq.fit(masks, v, resamples=0), bq.fit(masks, scale * v + shift, resamples=0)
    expected = {term: scale * value for term, value in listed(first, 0).items()}
    assert listed(second, 0) == pytest.approx(expected, rel=1e-5, abs=1e-7 * abs(scale))
    assert second.offset.item() == pytest.approx(scale * v[0] + shift)
    assert second.r2.item() == pytest.approx(first.r2.item(), abs=1e-6)


@given(st.integers(0, 5))
def test_a_player_that_does_nothing_is_in_no_term(seed: int) -> None:
    masks = bq.draw_masks(9, 150, seed=seed)
    game = drawn_game(8, 4, seed)
    found = bq.fit(masks, values_of(game, masks), resamples=0)
    assert not any(8 in members for members, _ in listed(found, 1e-4))


def test_halves_share_no_mask_but_the_empty_and_the_full(
    noisy: tuple[torch.Tensor, np.ndarray, Interactions],
) -> None:
    masks, values, found = noisy
    first, second = found.halves
    assert first.offset.shape == second.offset.shape == (3,)
    one, other = found[1].halves
    assert listed(one, 0) == listed(first[1], 0)
    assert listed(other, 0) == listed(second[1], 0)
    changed = values.copy()
    changed[:, 2:] += 100 * (np.arange(198) == 7)  # one mask is in one half only
    third, fourth = bq.fit(masks, changed).halves
    same = [torch.equal(a.r2, b.r2) for a, b in ((first, third), (second, fourth))]
    assert sorted(same) == [False, True]


def test_results_go_to_other_forms_and_back(noisy: tuple[torch.Tensor, np.ndarray, Interactions]) -> None:
    masks, _, found = noisy
    array = found.to_xarray(("sample",))
    back = Interactions.from_xarray(array.isel(sample=[2, 0]))
    assert listed(back[1], 0) == listed(found[0], 0)
    assert torch.equal(back.r2, found.r2[[2, 0]])
    assert back.certificate is not None
    torch.testing.assert_close(back.reconstruct(masks), found[[2, 0]].reconstruct(masks))
    with pytest.raises(BequeathError, match="no longer has its masks"):
        _ = back.halves
    with pytest.raises(BequeathError, match="dims"):
        found.to_xarray(("term",))
    frame = found.to_frame()
    assert len(frame) == sum(len(found.terms(i)) for i in range(3))
    assert list(frame["axis_0"].unique()) == [0, 1, 2]
    again = pickle.loads(pickle.dumps(found))
    assert listed(again[0].halves[0], 0) == listed(found[0].halves[0], 0)
    one = found[0]
    game = one.to_shapiq()
    shown = masks[1:]
    and_ = Interactions.from_shapiq(game).reconstruct(shown)
    torch.testing.assert_close(and_, one.reconstruct(shown))


def test_few_players_have_arrays_too(noisy: tuple[torch.Tensor, np.ndarray, Interactions]) -> None:
    masks, _, found = noisy
    assert found.and_.shape == found.or_.shape == (3, 2**10)
    assert found.values.shape == (3, 2, 2**10)
    torch.testing.assert_close(found.values.abs().sum((-1, -2)), found.by_order().sum(-1))
    dense = Interactions(found.and_, found.or_, found.offset + found.constant, found.players)
    torch.testing.assert_close(dense.reconstruct(masks)[:, 1:], found.reconstruct(masks)[:, 1:])
    torch.testing.assert_close(dense.strength_by_order(), found.strength_by_order())
    for exact, sparse in zip(dense[1].top(5), found[1].top(5), strict=True):
        assert exact[:4] == sparse[:4]
    torch.testing.assert_close(found.reconstruct()[:, 0], found.offset)
    everything = found.salient(0.5)
    assert found.restricted(everything).values.count_nonzero() == everything.count_nonzero()
    with pytest.raises(BequeathError, match="r2: this reading is exact"):
        _ = dense.r2
    with pytest.raises(BequeathError, match="index the interactions to give one table"):
        found.top()


def test_ledgers_add_up(noisy: tuple[torch.Tensor, np.ndarray, Interactions]) -> None:
    _, values, found = noisy
    assert found.listed is not None
    total = found.offset + found.constant + found.listed.value.sum(-1) + found.residual
    np.testing.assert_allclose(total, values[:, 1], atol=1e-9)
    np.testing.assert_allclose(found.offset, values[:, 0])


def test_constant_values_have_no_terms() -> None:
    masks = bq.draw_masks(8, 64)
    v = torch.full((2, 64), 2.5)
    v[:, 0] = 1.0
    with pytest.warns(bq.ConstantValuesWarning, match="those of 2 of 2 tables do not vary"):
        found = bq.fit(masks, v)
    assert found.terms(0) == []
    assert torch.isnan(found.r2).all()
    assert found.constant.tolist() == [1.5, 1.5]
    assert found.residual.tolist() == [0, 0]
    torch.testing.assert_close(found.reconstruct(masks).float(), v)


def test_repeated_masks_are_averaged_and_told() -> None:
    masks = bq.draw_masks(8, 64)
    v = values_of(GAME, masks)
    twice = torch.cat((masks, masks[10:12]))
    with pytest.warns(bq.RepeatedMaskWarning, match="2 of 66 repeat others, with values up to 0.5 from"):
        found = bq.fit(twice, np.concatenate((v, v[10:12] + 1)))
    mean = v.copy()
    mean[10:12] += 0.5
    assert listed(found, 0) == listed(bq.fit(masks, mean), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bq.fit(twice, np.concatenate((v, v[10:12])), resamples=0)


MASKS = bq.draw_masks(8, 64)
VALUES = torch.rand(64, generator=torch.Generator().manual_seed(0))


def stuck(player: int, shown: bool) -> torch.Tensor:
    masks = MASKS.clone()
    masks[2:, player] = shown
    return torch.tensor(np.unique(masks.numpy(), axis=0))


@pytest.mark.parametrize(
    ("masks", "values", "options", "message"),
    [
        (
            MASKS[:20],
            VALUES[:20],
            {"order": 4},
            "20 different ones given; terms up to order 4 of 8 players need 32",
        ),
        (MASKS, torch.where(torch.arange(64) == 5, torch.nan, VALUES), {}, r"nan at index \(5,\)"),
        (stuck(3, True), VALUES[: len(stuck(3, True))], {"order": 2}, "none hides player 3"),
        (stuck(3, False), VALUES[: len(stuck(3, False))], {"order": 2}, "none shows player 3"),
        (MASKS[1:], VALUES[1:], {}, "the empty mask is missing"),
        (
            torch.zeros(600, 257, dtype=torch.bool),
            torch.rand(600),
            {},
            "257 players; sparse readings take 1 to 256",
        ),
        (MASKS, VALUES, {"order": 9}, "order for 8 players: 9; give a whole number from 1 to 8"),
        (MASKS, VALUES, {"order": 0}, "order for 8 players: 0"),
        (MASKS, VALUES, {"kind": "xor"}, "kind"),
        (MASKS, VALUES[:63], {}, "for 64 masks"),
        (2 * MASKS.int(), VALUES, {}, "2 given; give true and false, or 1 and 0"),
        (MASKS, VALUES, {"players": ["a"]}, "1 names for 8 players"),
        (MASKS, VALUES, {"resamples": 3}, "even number"),
    ],
)
def test_bad_input(masks: torch.Tensor, values: torch.Tensor, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BequeathError, match=message):
        bq.fit(masks, values, **options)


def test_small_games_from_all_their_masks() -> None:
    for n in (1, 2, 3):
        masks = bq.draw_masks(n, 64)
        game: Game = {((n - 1,), "and"): 2.0}
        found = bq.fit(masks, values_of(game, masks), min(n, 2))
        np.testing.assert_allclose(found.reconstruct(masks), values_of(game, masks), atol=0.8)
        assert len(all_terms(n, min(n, 2))) >= n


@pytest.mark.parametrize(
    ("n", "count", "order"), [(16, 128, 4), (17, 128, 3), (5, 32, 4), (5, 20, 3), (2, 4, 2), (1, 2, 1)]
)
def test_the_order_is_as_large_as_can_be_afforded(n: int, count: int, order: int) -> None:
    masks = bq.draw_masks(n, count)
    values = noise((count,)) + 3.0 * masks[:, 0].numpy()
    first, second = bq.fit(masks, values, resamples=0), bq.fit(masks, values, order, resamples=0)
    assert listed(first, 0) == listed(second, 0)
    assert first.r2.item() == pytest.approx(second.r2.item(), nan_ok=True)


def test_columns_that_are_alike_share_unless_few_terms_explain_all() -> None:
    masks = bq.draw_masks(10, 200).numpy()[1:]
    design = shared(masks, 3, "and-or", 0, 0)
    assert design.terms is not None
    assert design.bits is not None
    folds = int(design.folds.max()) + 1
    # Many small terms: a random game of all orders; few strong ones.
    many = noise((len(masks),)) + masks @ noise((10,), 1) + 2 * np.tanh(masks @ noise((10, 40), 2)).sum(1)
    for values, sharing in ((many, True), (values_of(drawn_game(10, 5, 0), masks), False)):
        y = np.zeros(len(design.used))
        y[: len(masks)] = values
        weights = [design.weights[design.terms.orders]] * folds
        penalties = selection.PENALTIES * values.std()
        assert _validated(design, [design.bits] * folds, weights, y, penalties).sharing == sharing


def test_no_tables() -> None:
    found = bq.fit(MASKS, torch.zeros(0, 64), 2)
    assert found.offset.shape == (0,)
    assert found.reconstruct(MASKS).shape == (0, 64)
