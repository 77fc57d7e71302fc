"""The same values read in other ways, to stand beside the study's reading where verdicts differ (METHOD 6)."""

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

# Players up to which exact readings are made for the comparison's sake: some seconds.
_MOST_PLAYERS = 10

Readings = dict[str, Interactions]
"""Of the models that are compared, by role."""


def other_readings(
    config: StudyConfig, shown: Tensor | None, tables: Mapping[str, Tensor], players: Sequence[str]
) -> dict[str, Readings]:
    """Exact readings beside a sparse one, where all 2**n masks of few players were evaluated, and the other way round.

    Parameters
    ----------
    shown : Tensor or None
        The masks of sparse readings, bool (masks, players); None: all 2**n.
    tables : mapping of str to Tensor
        Values (samples, masks) by role.
    players : sequence of str
        Their names.

    Returns
    -------
    dict of str to dict
        ``exact`` and ``paper`` beside a sparse reading; ``and``, which leaves no choice, and ``sparse`` beside an exact
        one.
    """

    def exact(kind: Kind, chosen: Tensor | slice) -> Readings:
        return {role: decompose(table[:, chosen], kind, players=players) for role, table in tables.items()}

    n = len(players)
    if shown is not None:
        whole = _whole(shown)
        return {} if whole is None else {"exact": exact("and-or", whole), "paper": exact("paper", whole)}
    found = {"and": exact("and", slice(None))}
    if n <= _MOST_PLAYERS:
        every = masks(n)
        found["sparse"] = {
            role: read(config, every, table, players=players, resamples=0) for role, table in tables.items()
        }
    return found


def _whole(shown: Tensor) -> Tensor | None:
    """Where each of the 2**n masks stands among those shown, in the order of their indices; None if not all do."""
    n = shown.shape[1]
    if n > _MOST_PLAYERS or len(shown) < 2**n:
        return None
    index = (shown.long() << torch.arange(n)).sum(1).numpy()
    found, first = np.unique(index, return_index=True)
    return torch.from_numpy(first) if len(found) == 2**n else None
