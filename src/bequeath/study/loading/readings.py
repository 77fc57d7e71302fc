"""A study's sparse readings of values on its masks."""

from __future__ import annotations

import warnings
from typing import Any

from torch import Tensor

from bequeath.lattice.interactions import Interactions
from bequeath.lattice.sparse.checks import ConstantValuesWarning
from bequeath.lattice.sparse.fit import fit
from bequeath.study.config import StudyConfig


def read(config: StudyConfig, shown: Any, tables: Tensor, **instead: Any) -> Interactions:
    """Read tables (samples, masks) on the masks shown, bool (masks, players), by the study's settings.

    `instead`: other arguments of `bequeath.fit`. Values that do not vary are told in the findings, not here.
    """
    options = config.sparse_options(shown.shape[1]) | instead
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantValuesWarning)
        return fit(shown, tables, **options)
