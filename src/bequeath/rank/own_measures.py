"""Measures of the user's own, named by ``module:function``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bequeath.errors import BequeathError, first_line
from bequeath.knowledge.transferability import Score
from bequeath.models.named import call_own, own_function

Labels = NDArray[np.int64]
OwnMeasure = Callable[[NDArray[np.float64], Labels], float]
"""Features (samples, features) and labels (samples,) to a number; higher is better."""


def own_measures(names: Sequence[str]) -> dict[str, OwnMeasure]:
    """The functions of these names.

    Raises
    ------
    BequeathError
        If one is not ``module:function``, cannot be imported, or is given twice.
    """
    for name in names:
        if names.count(name) > 1:
            raise BequeathError(f"--measure {name}: given twice")
        if ":" not in name:
            raise BequeathError(
                f"--measure {name}: give module:function, of a module that can be imported from here"
            )
    return {name: own_function(f"--measure {name}", name, "module:function") for name in names}


def own_score(
    name: str,
    function: OwnMeasure,
    features: NDArray[np.float64],
    labels: Labels,
    permutations: int,
    seed: int,
) -> Score:
    """The measure's value, and its mean over so many random orders of the labels.

    Raises
    ------
    BequeathError
        If the function fails, or gives something other than a finite number.
    """

    def value(chosen: Labels) -> float:
        try:
            given: Any = call_own(function, features, chosen)
            number = float(given)
        except Exception as error:
            raise BequeathError(f"--measure {name}: {type(error).__name__}: {first_line(error)}") from error
        if not np.isfinite(number):
            raise BequeathError(f"--measure {name}: gives {number}; it must give a finite number")
        return number

    random = np.random.default_rng(seed)
    by_chance = [value(random.permutation(labels)) for _ in range(permutations)]
    return Score(value(labels), float(np.mean(by_chance)) if by_chance else np.nan)
