"""Small models, games of them, and their tables from one forward pass for each mask."""

from __future__ import annotations

import torch
from torch import nn

import bequeath as bq
from bequeath.lattice.subsets import masks

VALUE = bq.values.log_odds(1)


class Net(nn.Module):
    """A convolutional network that records the batches it gets."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.conv, self.head = nn.Conv2d(3, 6, 3), nn.Linear(6, 3)
        self.batches = []

    def forward(self, x):
        self.batches.append(len(x))
        return self.head(self.conv(x).relu().mean((2, 3)))


class Mlp(nn.Module):
    def __init__(self, seed=0, width=8):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 3))
        self.batches = []

    def forward(self, x):
        self.batches.append(len(x))
        return self.layers(x)


def image_games(count, model=None, size=9):
    model = model or Net()
    torch.manual_seed(1)
    return [
        bq.Game(
            model, torch.randn(3, size, size), bq.players.grid(2, 2), bq.baselines.mean(), VALUE, f"image {i}"
        )
        for i in range(count)
    ]


def row_games(count, model=None, value=VALUE):
    model = model or Mlp()
    torch.manual_seed(2)
    players, baseline = bq.players.columns(), bq.baselines.given([0.1, 0.2, 0.3, 0.4])
    return [bq.Game(model, torch.randn(4), players, baseline, value, f"row {i}") for i in range(count)]


def one_by_one(games):
    """The table from each masked input in a forward pass of its own."""
    found = []
    for game in games:
        shown = masks(game.n_players)
        with torch.inference_mode():
            found.append(
                torch.cat([game.value(game.model(game.masked.inputs(mask[None]))) for mask in shown])
            )
    games[0].model.batches.clear()
    return torch.stack(found)
