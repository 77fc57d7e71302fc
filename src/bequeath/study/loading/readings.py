"""Sparse readings with a study's settings."""

from __future__ import annotations

import warnings
from typing import Any

from torch import Tensor

from bequeath.lattice.interactions import Interactions
from bequeath.lattice.sparse.checks import ConstantValuesWarning
from bequeath.lattice.sparse.fit import fit
from bequeath.study.config import StudyConfig


def read(config: StudyConfig, shown: Any, tables: Tensor, **overrides: Any) -> Interactions:
    """Read interactions sparsely, with a study's settings.

    Parameters
    ----------
    config : StudyConfig
    shown : ndarray or Tensor
        Masks, bool (masks, players).
    tables : Tensor
        Values (samples, masks).
    **overrides
        Arguments of `bequeath.fit` that replace the study's settings.

    Returns
    -------
    Interactions
        The warning about constant values is suppressed here, because the findings report it.
    """
    options = config.sparse_options(shown.shape[1]) | overrides
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantValuesWarning)
        return fit(shown, tables, **options)
