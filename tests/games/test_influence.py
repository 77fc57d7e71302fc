"""The most influential players, planted."""

import pytest
import torch
from tiny_texts import byte_level, tiny
from torch import nn

import bequeath as bq
from bequeath.games.influence import influences
from bequeath.lattice.subsets import MAX_PLAYERS


class Weighted(nn.Module):
    """Two logits: a weighted sum of cells of an 8 x 8 grid, and 0."""

    def __init__(self, weights, scale=1.0):
        super().__init__()
        self.weights, self.scale = weights, scale

    def forward(self, x):
        z = sum(w * x[:, 0, 2 * (c // 8), 2 * (c % 8)] for c, w in self.weights.items()) * self.scale
        return torch.stack((z, 0 * z), 1)


IMAGE, ZERO, VALUE = torch.ones(3, 16, 16), bq.baselines.zero(), bq.values.log_odds(0)


def test_influences_are_shares_of_the_change_when_a_player_is_hidden():
    model = Weighted({3: 1.0, 9: -2.0, 63: 5.0})
    masked = bq.players.grid(8, 8).bind(IMAGE, ZERO, model)
    assert len(masked.names) > MAX_PLAYERS
    expected = torch.zeros(64, dtype=torch.float64)
    expected[[3, 9, 63]] = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64) / 8
    torch.testing.assert_close(influences(model, masked, VALUE), expected)


@pytest.mark.parametrize("rest", ["shown", "hidden"])
def test_planted_cells_are_found_and_played(rest):
    model = Weighted({3: 1.0, 9: -2.0, 63: 5.0, 20: 0.1})
    some = bq.most_influential(bq.players.grid(8, 8), 3, [model], IMAGE, ZERO, VALUE, rest)
    assert some.indices == (3, 9, 63)
    table = bq.Game(model, IMAGE, some, ZERO, VALUE).table()
    base = 0.1 if rest == "shown" else 0.0
    expected = torch.tensor([a + b + c + base for c in (0, 5) for b in (0, -2) for a in (0, 1)])
    torch.testing.assert_close(table, expected.double(), atol=1e-6, rtol=0)


def test_models_count_alike_however_loud_and_share_one_choice():
    loud, quiet = Weighted({1: 3.0, 2: 2.0}, 1000.0), Weighted({1: 3.0, 5: 6.0})
    some = bq.most_influential(bq.players.grid(8, 8), 2, [loud, quiet], IMAGE, ZERO, VALUE)
    # Shares: 1: (0.6 + 1/3) / 2, 5: (2/3) / 2, 2: 0.4 / 2.
    assert some.indices == (1, 5)
    assert bq.most_influential(bq.players.grid(8, 8), 2, [quiet, loud], IMAGE, ZERO, VALUE) == some


def test_a_model_that_nothing_moves_is_no_division_by_zero():
    some = bq.most_influential(bq.players.grid(8, 8), 2, [Weighted({0: 0.0})], IMAGE, ZERO, VALUE)
    assert some.indices == (0, 1)


def test_words_of_a_long_text():
    tokenizer = byte_level()
    model = tiny("gpt2-classifier", tokenizer)
    text = " ".join(["the movie was good"] * 7)
    removal, value = bq.baselines.removal(), bq.values.logit(1)
    some = bq.most_influential(bq.players.words(tokenizer), 4, [model], text, removal, value)
    words = text.split()
    with torch.inference_mode():
        v = [
            model(**tokenizer(" ".join(words[:i] + words[i + 1 :]), return_tensors="pt")).logits[0, 1].item()
            for i in range(29)
        ]
    change = torch.tensor([abs(v[-1] - v[i]) for i in range(28)])
    assert set(some.indices) == set(change.topk(4).indices.tolist())
    assert bq.Game(model, text, some, removal, value).player_names == tuple(words[i] for i in some.indices)


@pytest.mark.parametrize(("k", "models"), [(0, 1), (65, 1), (2, 0)])
def test_a_bad_k_or_no_models_are_named(k, models):
    with pytest.raises(bq.BequeathError, match=f"k = {k} of .*{models} models"):
        bq.most_influential(bq.players.grid(8, 8), k, [Weighted({0: 1.0})] * models, IMAGE, ZERO, VALUE)
