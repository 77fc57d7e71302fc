"""Which rows of a run's arrays are retests, and which samples they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def retested(identity: Mapping[str, Any]) -> dict[int | None, NDArray[np.bool_]]:
    """The samples of each retest.

    Parameters
    ----------
    identity : mapping
        The run's identity (`bequeath.study.store.identity`).

    Returns
    -------
    dict of int to ndarray
        By position of the retest among the checkpoints, bool (samples,). Empty if the study has no retest.
    """
    retest = identity.get("retest")
    if retest is None:
        return {}
    has_retest = np.isin(list(identity["samples"]), retest["samples"])
    labels = list(identity["checkpoints"])
    return {labels.index(label): has_retest for label in retest["checkpoints"]}
