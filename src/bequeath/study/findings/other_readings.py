"""Reads the same values in other ways, to show where verdicts depend on the reading.

Source: docs/method.md, section "Claims".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from bequeath.lattice.exact.decompose import Kind, decompose
from bequeath.lattice.interactions import Interactions
from bequeath.lattice.subsets import masks
from bequeath.study.config import StudyConfig
from bequeath.study.loading.readings import read

# The largest number of players for which other readings are made; they take some seconds.
_MOST_PLAYERS = 10

Readings = dict[str, Interactions]
"""Readings of the compared models, by role."""


def other_readings(
    config: StudyConfig, shown: Tensor | None, tables: Mapping[str, Tensor], players: Sequence[str]
) -> dict[str, Readings]:
    """Read the same values exactly if the study reads sparsely, and sparsely if it reads exactly.

    A sparse study gets exact readings only if it has few players and all 2**n masks were evaluated.

    Parameters
    ----------
    config : StudyConfig
    shown : Tensor or None
        The masks of sparse readings, bool (masks, players); None means all 2**n.
    tables : mapping of str to Tensor
        Values (samples, masks) by role.
    players : sequence of str
        Names of the players.

    Returns
    -------
    dict of str to dict
        For a sparse study ``exact`` and ``paper``; for an exact one ``and``, which leaves no choice, and ``sparse``.
    """

    def exact(kind: Kind, chosen: Tensor | slice) -> Readings:
        return {role: decompose(table[:, chosen], kind, players=players) for role, table in tables.items()}

    n = len(players)
    if shown is not None:
        order = _subset_order(shown)
        return {} if order is None else {"exact": exact("and-or", order), "paper": exact("paper", order)}
    readings = {"and": exact("and", slice(None))}
    if n <= _MOST_PLAYERS:
        all_masks = masks(n)
        readings["sparse"] = {
            role: read(config, all_masks, table, players=players, resamples=0)
            for role, table in tables.items()
        }
    return readings


def _subset_order(shown: Tensor) -> Tensor | None:
    """The position of each of the 2**n masks among those shown, in the order of subsets; None if any is absent."""
    n = shown.shape[1]
    if n > _MOST_PLAYERS or len(shown) < 2**n:
        return None
    index = (shown.long() << torch.arange(n)).sum(1).numpy()
    subsets, first = np.unique(index, return_index=True)
    return torch.from_numpy(first) if len(subsets) == 2**n else None
