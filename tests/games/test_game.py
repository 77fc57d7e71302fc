"""Image games of models whose tables are known exactly."""

import numpy as np
import pytest
import torch
from torch import nn

import bequeath as bq
from bequeath.lattice.subsets import masks


class CellSum(nn.Module):
    """Two logits: a weighted sum of the four quarters' brightness, and 0; so the log-odds of class 0 are the sum."""

    weights = (1.0, -2.0, 4.0, 0.5)

    def forward(self, x):
        h, w = x.shape[-2] // 2, x.shape[-1] // 2
        quarters = [x[..., :h, :w], x[..., :h, w:], x[..., h:, :w], x[..., h:, w:]]
        z = sum(c * q.mean((1, 2, 3)) for c, q in zip(self.weights, quarters, strict=True))
        return torch.stack((z, torch.zeros_like(z)), 1)


def image_game(model=None, image=None, baseline=None, players=None):
    image = torch.ones(3, 8, 8) if image is None else image
    baseline = bq.baselines.zero() if baseline is None else baseline
    players = players or bq.players.grid(2, 2)
    return bq.Game(model or CellSum(), image, players, baseline, bq.values.log_odds(0), name="cat.jpg")


def test_bit_i_of_the_index_is_player_i():
    expected = masks(4).double() @ torch.tensor(CellSum.weights, dtype=torch.float64)
    torch.testing.assert_close(image_game().table(), expected)


def test_small_and_uneven_batches_give_the_same_table():
    game = image_game(image=torch.randn(3, 8, 8))
    torch.testing.assert_close(game.table(batch_size=3), game.table(batch_size=16))


def test_the_mean_baseline_is_each_channels_mean():
    image = torch.randn(3, 8, 8)
    hidden = image_game(image=image, baseline=bq.baselines.mean()).masked.inputs(
        torch.zeros(1, 4, dtype=torch.bool)
    )
    torch.testing.assert_close(hidden[0], image.mean((1, 2), keepdim=True).expand(3, 8, 8))


def test_cells_cover_the_image_once_where_sides_do_not_divide():
    grid = bq.players.grid(3, 2)
    bound = grid.bind(torch.randn(1, 8, 7), bq.baselines.zero(), nn.Identity())
    alone = bound.inputs(torch.eye(6, dtype=torch.bool))
    torch.testing.assert_close(alone.sum(0), bound.x)
    assert bound.names == ("r1c1", "r1c2", "r2c1", "r2c2", "r3c1", "r3c2")
    assert grid.boxes()[3] == (0.5, 1 / 3, 1.0, 2 / 3)


def test_a_game_is_callable_on_coalitions_like_a_shapiq_game():
    game = image_game()
    got = game(np.array([[True, False, False, True], [False, True, True, False]]))
    assert isinstance(got, np.ndarray)
    np.testing.assert_allclose(got, [1.5, 2.0])
    with pytest.raises(bq.BequeathError, match="3 columns for 4 players"):
        game(np.zeros((1, 3), dtype=bool))


def test_a_model_in_training_mode_is_put_into_eval_mode():
    model = nn.Sequential(nn.Dropout(0.9), CellSum())
    torch.testing.assert_close(image_game(model).table(), image_game().table())


class NanWhenThirdIsAlone(nn.Module):
    def forward(self, x):
        out = CellSum()(x)
        alone = (x[:, 0, 4, 0] == 1) & (x.sum((1, 2, 3)) == 48)
        return torch.where(alone[:, None], torch.nan, out)


def test_a_nan_names_sample_and_mask():
    with pytest.raises(bq.BequeathError, match=r"cat\.jpg: the model's value is nan on mask 0010"):
        image_game(NanWhenThirdIsAlone()).table()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bq.players.grid(0, 3), "0 x 3"),
        (
            lambda: image_game(players=bq.players.grid(5, 5)).table(),
            r"33,554,432 model evaluations and 268,435,456 bytes",
        ),
        (lambda: image_game(image=torch.zeros(8, 8)), r"\(8, 8\) given; give an image tensor"),
        (lambda: image_game(image=torch.zeros(3, 1, 8)), "2 x 2 cells on 1 x 8 pixels"),
        (lambda: image_game(baseline=bq.baselines.mask_token()), "mask_token: does not fit image players"),
        (lambda: image_game(nn.Flatten(2)).table(), "output has shape"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(bq.BequeathError, match=message):
        make()


def test_evaluate_stacks_tables_and_reports_progress():
    games = [image_game(), image_game(image=torch.randn(3, 8, 8))]
    done = []
    tables = bq.evaluate((g for g in games), progress=done.append)
    assert done == [1, 1]
    torch.testing.assert_close(tables, torch.stack([g.table() for g in games]))


def test_evaluate_refuses_games_of_different_sizes():
    other = bq.Game(
        CellSum(), torch.ones(3, 8, 8), bq.players.grid(1, 2), bq.baselines.zero(), bq.values.log_odds(0)
    )
    with pytest.raises(bq.BequeathError, match="2 players, the first has 4"):
        bq.evaluate([image_game(), other])
    with pytest.raises(bq.BequeathError, match="none given"):
        bq.evaluate([])


def test_players_names_reach_the_interactions():
    game = image_game()
    top = bq.decompose(game.table(), "and", players=game.player_names).top(1)
    assert (top[0].name, top[0].value) == ("{r2c1}", 4.0)
