"""The mask-and-forward loop of the interaction papers' public code, in our words: `evaluation.py` compares with it.

Masks are a Python list of the players that are kept; each masked picture or text is filled in one player at a time; the
model is called on batches of `batch` (its default is all masks at once), without gradients.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def kept_players(masks: Tensor) -> list[list[int]]:
    """Numbers of the players that each mask keeps."""
    return [[int(i) for i in mask.nonzero().flatten()] for mask in masks]


def pictures(model: nn.Module, x: Tensor, hidden: Tensor, grid: int, masks: Tensor, batch: int) -> Tensor:
    """Logits of a picture (channels, side, side) on masks of a grid x grid of cells."""
    size = x.shape[-1] // grid
    lists, outputs = kept_players(masks), []
    with torch.no_grad():
        for first in range(0, len(lists), batch):
            some = lists[first : first + batch]
            filled = hidden[None].repeat(len(some), 1, 1, 1)
            for row, cells in enumerate(some):
                for cell in cells:
                    r, c = divmod(cell, grid)
                    part = (slice(None), slice(r * size, (r + 1) * size), slice(c * size, (c + 1) * size))
                    filled[row][part] = x[part]
            outputs.append(model(filled))
    return torch.cat(outputs)


def texts(
    model: nn.Module, tokens: dict[str, Tensor], owner: list[int], fill: int, masks: Tensor, batch: int
) -> Tensor:
    """Logits of a tokenised text; `owner` is each token's player (negative: always kept), `fill` the mask token."""
    places = [[t for t, player in enumerate(owner) if player == i] for i in range(masks.shape[1])]
    ids = tokens["input_ids"]
    empty = torch.where(torch.tensor(owner) >= 0, fill, ids)
    lists, outputs = kept_players(masks), []
    with torch.no_grad():
        for first in range(0, len(lists), batch):
            some = lists[first : first + batch]
            filled = empty.repeat(len(some), 1)
            for row, players in enumerate(some):
                for player in players:
                    for place in places[player]:
                        filled[row, place] = ids[0, place]
            others = {
                name: part.expand(len(some), -1) for name, part in tokens.items() if name != "input_ids"
            }
            outputs.append(model(input_ids=filled, **others).logits)
    return torch.cat(outputs)
