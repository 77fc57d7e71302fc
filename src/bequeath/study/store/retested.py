"""Which rows of a run's arrays are retests, and of which samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def retested(identity: Mapping[str, Any]) -> dict[int | None, NDArray[np.bool_]]:
    """By position of a checkpoint that is a retest: which samples it is asked for, bool, (samples,).

    `identity` names them (`bequeath.study.store.identity`); none where the study has no retest.
    """
    retest = identity.get("retest")
    if retest is None:
        return {}
    asked = np.isin(list(identity["samples"]), retest["samples"])
    labels = list(identity["checkpoints"])
    return {labels.index(label): asked for label in retest["checkpoints"]}
