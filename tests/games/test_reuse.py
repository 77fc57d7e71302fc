"""Features assembled from local patterns, against running each masked image through the whole network."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import bequeath as bq
from bequeath.games import reuse
from bequeath.games.from_layer import output_at
from bequeath.lattice.subsets import masks


def conv(a, b, kernel=3, stride=1, padding=1, dilation=1):
    return nn.Sequential(
        nn.Conv2d(a, b, kernel, stride, padding, dilation), nn.BatchNorm2d(b), nn.ReLU(inplace=True)
    )


class Head(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, 3)

    def forward(self, x):
        return self.fc(x.mean((2, 3)))


class Squeeze(nn.Module):
    """Squeeze and excitation: each position depends on all others."""

    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, width)

    def forward(self, x):
        return x * self.fc(x.mean((2, 3))).sigmoid()[..., None, None]


class ChannelsLast(nn.Module):
    """Layer normalisation of (batch, height, width, channels), as in ConvNeXt and Swin."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def local_net():
    return nn.Sequential(
        conv(3, 8), conv(8, 8, stride=2), ChannelsLast(8), conv(8, 12), nn.MaxPool2d(8), Head(12)
    )


def sample(model, players, size=64, baseline=None):
    torch.manual_seed(1)
    image = torch.randn(3, size, size)
    return bq.Game(model.eval(), image, players, baseline or bq.baselines.mean(), bq.values.log_odds(0))


def whole(game):
    return bq.evaluate([game], 64, reuse=False)[0]


def all_cuts(game):
    with torch.inference_mode():
        return reuse.cuts(game.model, game.masked)


@pytest.mark.parametrize(
    "players",
    [
        bq.players.grid(3, 3),
        bq.players.grid(4, 4, cells=9),
        bq.players.grid(4, 4, cells=[0, 3, 12, 15, 5, 6, 9, 10], rest="hidden"),
        bq.players.superpixels(9),
        bq.players.regions(torch.arange(64)[:, None].expand(64, 64) // 8),
    ],
    ids=str,
)
def test_every_cut_gives_the_values_of_the_whole_network(players):
    torch.manual_seed(0)
    game = sample(local_net(), players)
    expected = whole(game)
    assert expected.std() > 1e-3
    found = all_cuts(game)
    assert found
    with torch.inference_mode():
        for cut in found:
            local = reuse.local_features(game.model, game.masked, cut)
            got = [
                game.value(local.network(game.model)(local.inputs(block)))
                for block in masks(len(local.names)).split(64)
            ]
            torch.testing.assert_close(torch.cat(got), expected, atol=1e-5, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    seed=st.integers(0, 2**20),
    cells=st.integers(2, 6),
)
def test_features_of_any_local_layers_and_any_regions_are_put_together_exactly(
    kernel, stride, padding, dilation, seed, cells
):
    torch.manual_seed(seed)
    model = nn.Sequential(
        conv(3, 4, kernel, stride, padding, dilation), nn.MaxPool2d(2, 1), nn.Identity(), Head(4)
    )
    # Ragged regions: the nearest of some random points.
    points = torch.rand(cells, 2) * 30
    grid = torch.stack(torch.meshgrid(torch.arange(30.0), torch.arange(30.0), indexing="ij"), -1)
    owner = (grid[:, :, None] - points).norm(dim=-1).argmin(-1)
    if len(owner.unique()) < cells:
        return
    game = sample(model, bq.players.regions(owner), size=30)
    axis, reach, size = reuse._reaches(model, game.masked)["1"]
    cut = reuse.Cut("1", axis, reach, reuse._coloured(reach), 0.5, size)
    shown = masks(cells)
    with torch.inference_mode():
        got = reuse.local_features(model, game.masked, cut).inputs(shown)
        torch.testing.assert_close(
            got, output_at(model, "1", game.masked.inputs(shown)), atol=1e-5, rtol=1e-5
        )


def test_sixteen_pictures_do_for_a_grid_of_cells_larger_than_the_receptive_field():
    torch.manual_seed(0)
    game = sample(local_net(), bq.players.grid(4, 4))
    patterns = {cut.patterns: cut for cut in all_cuts(game)}
    assert 16 in patterns
    assert patterns[16].reach.sum(0).max() == 4


def test_layers_that_see_everything_are_no_cut_and_the_table_is_right_without():
    torch.manual_seed(0)
    model = nn.Sequential(Squeeze(3), conv(3, 8), nn.MaxPool2d(8), Head(8))
    game = sample(model, bq.players.grid(3, 3))
    assert all_cuts(game) == []
    torch.testing.assert_close(bq.evaluate([game])[0], whole(game), atol=1e-6, rtol=1e-6)


class Branch(nn.Module):
    """The branch's layers are local, but what follows needs the skip connection too."""

    def __init__(self):
        super().__init__()
        self.stem, self.branch = conv(3, 8), nn.Sequential(conv(8, 8), conv(8, 8))
        self.tail = nn.Sequential(Squeeze(8), conv(8, 16, stride=4), Head(16))

    def forward(self, x):
        x = self.stem(x)
        return self.tail(x + self.branch(x))


def test_a_cut_inside_a_branch_is_found_out():
    torch.manual_seed(0)
    game = sample(Branch(), bq.players.grid(3, 3))
    layers = {cut.layer for cut in all_cuts(game)}
    assert not any(layer.startswith("branch") for layer in layers)
    torch.testing.assert_close(bq.evaluate([game])[0], whole(game), atol=1e-5, rtol=1e-5)


def test_reuse_runs_early_layers_on_the_patterns_only_and_games_share_batches(monkeypatch):
    torch.manual_seed(0)
    model = local_net()
    games = [sample(model, bq.players.grid(3, 3)), sample(model, bq.players.grid(3, 3))]
    expected = torch.stack([whole(game) for game in games])
    # Work shares of a network with a costly early part.
    monkeypatch.setattr(
        reuse, "_work_shares", lambda model, inputs: {name: 0.8 for name, _ in model.named_modules()}
    )
    seen = {"early": 0, "late": []}
    model[0][0].register_forward_hook(lambda m, args, out: seen.update(early=seen["early"] + len(out)))
    model[4].register_forward_hook(lambda m, args, out: seen["late"].append(len(out)))
    tables = bq.evaluate(games, batch_size=96)
    torch.testing.assert_close(tables, expected, atol=1e-5, rtol=1e-5)
    assert seen["early"] < 512
    # Full batches: masks of the second game complete the last batch of the first.
    assert [size for size in seen["late"] if size > 16][:11] == [96] * 10 + [64]


def test_few_masks_and_small_gains_are_left_alone(monkeypatch):
    torch.manual_seed(0)
    game = sample(local_net(), bq.players.grid(2, 2))
    monkeypatch.setattr(reuse, "_find", lambda *a: pytest.fail("planned for 16 masks"))
    game.table()
    cut = reuse.Cut("x", 1, torch.ones(1, 1), (3,), 0.02, 1)
    assert reuse.cost(cut, 10**6) > 1
    cut = reuse.Cut("x", 1, torch.ones(1, 1), (3,), 0.5, 1)
    assert reuse.cost(cut, 10**6) == pytest.approx(0.53, abs=1e-3)


def test_pictures_are_kept_for_one_phase_at_a_time_and_made_once_each(monkeypatch):
    torch.manual_seed(0)
    game = sample(local_net(), bq.players.grid(3, 3))
    expected = whole(game)
    with torch.inference_mode():
        cut = min(all_cuts(game), key=lambda cut: cut.patterns)
        # Only the middle cell has a colour of its own: 8 of the 16 images are kept at a time.
        assert (cut.patterns, cut.alone, cut.kept_bytes) == (16, [4], 8 * cut.picture_bytes)
    monkeypatch.setattr(reuse, "_work_shares", lambda model, inputs: {cut.layer: 0.8})
    reuse._plans.clear()
    seen = []
    handle = game.model[0].register_forward_hook(lambda m, args, out: seen.append(len(out)))
    bq.evaluate([game], 50)
    seen.clear()
    table = bq.evaluate([game], 50)[0]  # the plan is cached: only the images are run
    handle.remove()
    assert sum(seen) - seen.count(1) == 16
    torch.testing.assert_close(table, expected, atol=1e-5, rtol=1e-5)


def test_features_that_do_not_fit_the_memory_are_not_kept():
    torch.manual_seed(0)
    game = sample(local_net(), bq.players.grid(3, 3))
    with torch.inference_mode():
        assert all_cuts(game)
        assert reuse.with_reuse(game.model, game.masked, 512, memory=1000) is game.masked


def test_the_models_own_weights_count_even_when_they_change_between_games():
    torch.manual_seed(0)
    model = local_net()
    game = sample(model, bq.players.grid(3, 3))
    bq.evaluate([game])
    with torch.no_grad():
        model[0][0].weight.mul_(1.5)
    torch.testing.assert_close(bq.evaluate([game])[0], whole(game), atol=1e-5, rtol=1e-5)
