"""Chooses the most influential cells of each sample as players, if a study asks for it."""

from __future__ import annotations

from pathlib import Path

import torch

from bequeath.errors import BequeathError
from bequeath.games.influence import influences, strongest
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import Plan
from bequeath.study.status import Status
from bequeath.study.store.folder import kept


def choose_cells(parts: StudyParts, plan: Plan, folder: Path, key: str, status: Status) -> None:
    """Choose the most influential cells of each sample, the same for all models, and keep them in the run's folder.

    Parameters
    ----------
    parts : StudyParts
        Gets the choice as ``parts.games.cells``.
    plan : Plan
    folder : Path
        The run's folder.
    key : str
        Digest of everything that the choice depends on.
    status : Status

    Raises
    ------
    BequeathError
        If the file of an earlier choice is damaged.
    """
    k = parts.games.config.players.influential
    if k is None:
        return
    ids = [parts.inputs.data[index].id for index in plan.samples]

    def choose() -> dict[str, list[int]]:
        stage = status.stage("influential cells", len(plan.finals) * len(ids))
        total: dict[str, torch.Tensor] = {}
        for final in plan.finals.values():
            model = parts.models.load(plan.checkpoints[final], folder)
            for name, index in zip(ids, plan.samples, strict=True):
                sample = parts.inputs.data[index]
                masked = parts.games.players().bind(sample.x, parts.games.baseline, model)
                output = parts.outputs.label(plan.checkpoints[final], sample.label)
                influence = influences(model, masked, parts.games.value(output))
                total[name] = total.get(name, 0.0) + influence
                status.advance(stage, 1)
        return {name: strongest(row, k) for name, row in total.items()}

    cells = kept(folder, "cells", key, choose)
    for name in ids:
        chosen = cells.get(name)
        if (
            not isinstance(chosen, list)
            or len(chosen) != k
            or not all(isinstance(cell, int) for cell in chosen)
        ):
            raise BequeathError(
                f"{folder / f'cells-{key}.json'}: damaged: it does not list {k} cells of {name}; remove it and start "
                "again"
            )
    parts.games.cells = {index: cells[name] for index, name in zip(plan.samples, ids, strict=True)}
