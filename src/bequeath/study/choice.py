"""Which cells of each sample are players, where that is left to the models; and the players' names in the store."""

from __future__ import annotations

from pathlib import Path

import torch

from bequeath.games.influence import influences, strongest
from bequeath.games.players import Text
from bequeath.knowledge.regions import MODELS
from bequeath.study.config.games import GridConfig
from bequeath.study.folder import kept
from bequeath.study.loading import Materials
from bequeath.study.plan import Plan
from bequeath.study.status import Status


def player_axis(materials: Materials) -> list[str]:
    """Names of the players of all samples; numbers where each sample has its own."""
    kind = materials.players()
    names: tuple[str, ...] = () if isinstance(kind, Text) or materials.choosing else materials.names_of(kind)
    return list(names) or [f"player {i + 1}" for i in range(materials.n_players)]


def choose_cells(materials: Materials, plan: Plan, folder: Path, key: str, status: Status) -> None:
    """Find the most influential cells of each sample, the same for all three models; kept in the run's folder."""
    config = materials.config.players
    if not (isinstance(config, GridConfig) and config.influential):
        return
    assert config.k is not None
    k, entries = config.k, config.rows * config.cols
    ids = [materials.data[index].id for index in plan.samples]

    def found() -> dict[str, list[int]]:
        stage = status.stage("influential cells", len(MODELS) * len(ids))
        total = torch.zeros(len(ids), entries, dtype=torch.float64)
        for name in MODELS:
            model = materials.load(plan.checkpoints[plan.of(name)[-1]], folder)
            for place, index in enumerate(plan.samples):
                sample = materials.data[index]
                masked = materials.players().bind(sample.x, materials.baseline, model)
                total[place] += influences(model, masked, materials.value(sample.label))
                status.advance(stage, 1)
        return {name: strongest(row, k) for name, row in zip(ids, total, strict=True)}

    cells = kept(folder, "cells", key, found)
    materials.cells = {index: cells[name] for index, name in zip(plan.samples, ids, strict=True)}
