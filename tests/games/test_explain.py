"""From games to interactions in one call."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import bequeath as bq
from bequeath.errors import BequeathError


class Pairs(nn.Module):
    """Log-odds of class 0: 2 if the first two of nine cells are bright, minus 1 if the last one is."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        cells = nn.functional.avg_pool2d(x, 2).mean(1).flatten(1)
        z = 2 * cells[:, 0] * cells[:, 1] - cells[:, 8]
        return torch.stack((z, torch.zeros_like(z)), 1)


def game(model: nn.Module, cells: int = 3) -> Any:
    image = torch.ones(3, 2 * cells, 2 * cells)
    players = bq.players.grid(cells, cells)
    return bq.Game(model, image, players, bq.baselines.zero(), bq.values.log_odds(0), name="cat.jpg")


def test_one_game() -> None:
    found = bq.explain(game(Pairs()), masks=128)
    assert found.offset.shape == ()
    terms = {(term.kind, term.players): term.value for term in found.terms() if abs(term.value) > 1e-4}
    assert terms == pytest.approx({("and", (0, 1)): 2.0, ("and", (8,)): -1.0}, abs=1e-4)
    assert found.players == game(Pairs()).player_names
    assert found.r2.item() > 0.99


def test_several_games_share_masks_and_batches() -> None:
    models = Pairs(), Pairs()
    games = [game(models[0]), game(models[0]), game(models[1])]
    told: list[int] = []
    found = bq.explain(games, 128, 2, seed=1, batch_size=50, progress=told.append)
    assert found.offset.shape == (3,)
    assert told == [1, 1, 1]
    alone = bq.explain(games[2], 128, 2, seed=1)
    assert [term.value for term in found.terms(2)] == pytest.approx([term.value for term in alone.terms()])
    fitted = bq.fit(bq.draw_masks(9, 128, seed=1), games[0].values(bq.draw_masks(9, 128, seed=1)), 2, seed=1)
    assert fitted.r2.item() == pytest.approx(found.r2[0].item(), abs=1e-6)


def test_games_that_do_not_belong_together() -> None:
    with pytest.raises(BequeathError, match="has 4 players, the first has 9"):
        bq.explain([game(Pairs()), game(Pairs(), 2)])
    with pytest.raises(BequeathError, match="none given"):
        bq.explain([])
    with pytest.raises(BequeathError, match=r'masks: .many.; give a number, or "auto"'):
        bq.explain(game(Pairs()), masks="many")  # type: ignore[arg-type]


def test_auto_takes_as_many_masks_as_pay(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[int] = []

    class Counted(Pairs):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            asked.append(len(x))
            return super().forward(x)

    caplog.set_level("INFO", "bequeath")
    one = game(Counted())
    asked.clear()
    found = bq.explain(one, masks="auto", batch_size=64)
    assert found.listed is not None
    assert found.listed.masks == 512
    assert sum(asked) <= 512 + 64, "no mask is evaluated twice"
    assert "512 masks: all 512 masks are evaluated" in caplog.text
    fixed = bq.explain(one, masks=512, batch_size=64)
    assert fixed.terms() == found.terms()
