"""Effects of autocast, memory layouts and compilation on the values."""

import shutil

import pytest
import torch
from tiny_games import Mlp, image_games, one_by_one, row_games
from torch import nn

import bequeath as bq
from bequeath.games import reuse
from bequeath.games.evaluate import effect_on_values
from bequeath.games.from_layer import output_at
from bequeath.lattice.subsets import masks


def test_autocast_changes_the_values_a_little_and_the_effect_is_told():
    game = row_games(1, Mlp(width=64))[0]
    low = bq.evaluate([game], autocast="bfloat16")[0]
    change = (low - game.table()).abs()
    assert 1e-6 < change.max() < 0.1
    effect = effect_on_values(game, masks=400, autocast="bfloat16")
    # 400 draws from 16 masks miss none.
    assert effect["max"] == pytest.approx(change.max().item(), rel=0.3)
    assert effect["relative"] == pytest.approx(
        effect["max"] / (game.table()[-1] - game.table()[0]).abs().item(), rel=1e-3
    )
    assert 0 < effect["mean"] <= effect["max"]
    none = effect_on_values(game)
    assert max(none.values()) < 1e-5
    with pytest.raises(bq.BequeathError, match="masks: 1; give at least 2"):
        effect_on_values(game, masks=1)


def test_float16_autocast_runs_and_others_are_named():
    game = row_games(1)[0]
    torch.testing.assert_close(bq.evaluate([game], autocast="float16")[0], game.table(), atol=1e-2, rtol=1e-2)
    with pytest.raises(bq.BequeathError, match=r"autocast: 'fp16'; give \"bfloat16\""):
        bq.evaluate([game], autocast="fp16")


def test_channels_last_gives_the_same_values_and_the_layout_asked_for():
    games = image_games(2)
    expected = one_by_one(games)
    layouts = []
    games[0].model.conv.register_forward_hook(
        lambda m, args, out: layouts.append(
            (args[0].is_contiguous(memory_format=torch.channels_last), m.weight.is_contiguous())
        )
    )
    for asked in (True, False, None):
        layouts.clear()
        got = bq.evaluate(games, channels_last=asked)
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
        assert all(
            layout == ((True, False) if asked in (True, None) else (False, True)) for layout in layouts
        )


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_a_compiled_model_gives_the_same_table():
    games = row_games(3)
    expected = one_by_one(games)
    got = bq.evaluate(games, 20, compile=True)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("colours", [4, 9, 12])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_patterns_are_told_apart_in_half_precision_too(colours, dtype):
    """Pattern numbers have up to twelve bits; autocast must not round them."""
    torch.manual_seed(0)
    # Each position depends on as many of the thirteen columns as there are colours.
    model = nn.Sequential(nn.Conv2d(3, 4, (1, colours)), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    players = bq.players.regions(torch.arange(13).expand(12, 13))
    masked = players.bind(torch.randn(3, 12, 13), bq.baselines.zero(), model)
    with torch.inference_mode():
        axis, reach, size = reuse._reaches(model, masked)["0"]
    cut = reuse.Cut("0", axis, reach, tuple(i % colours for i in range(13)), 0.5, size)
    shown = masks(13)[::7]
    with torch.inference_mode(), torch.autocast("cpu", dtype):
        got = reuse.local_features(model, masked, cut).inputs(shown)
        expected = output_at(model, "0", masked.inputs(shown))
    torch.testing.assert_close(got, expected, atol=0.02, rtol=0.02)
