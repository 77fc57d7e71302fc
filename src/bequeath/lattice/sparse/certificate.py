"""How near the lasso is to its optimum over all terms of the stated orders, proven by a dual bound.

P(b) = 1/2 |y - X b|^2 + lam sum_j w_j |b_j|, y and X centred. Any theta with |<theta, X_j>| <= lam w_j for all j gives
the lower bound <theta, y> - 1/2 |theta|^2. The residual, scaled until it obeys, is such a theta; the scale needs the
largest |<r, X_j>| / w_j of *all* terms, also of those that were never candidates. `search.strongest` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bequeath.lattice.sparse.terms import Floats


@dataclass(frozen=True)
class Gap:
    """Objective and its lower bound, in squared units of the values."""

    objective: float
    lower_bound: float


def duality_gap(y: Floats, r: Floats, penalty: float, norm: float, largest: float) -> Gap:
    """The gap of one fit.

    Parameters
    ----------
    y, r : (K,)
        Values and residuals, both of mean 0.
    penalty : float
        lam, for the sum of squares.
    norm : float
        sum w |b|.
    largest : float
        The largest |<r, X_j>| / w_j of all terms.
    """
    objective = 0.5 * float(r @ r) + penalty * norm
    rr, bound = float(r @ r), penalty / largest if largest > 0 else np.inf
    # The best multiple of r that obeys.
    scale = float(np.clip(float(r @ y) / rr, -bound, bound)) if rr > 0 else 0.0
    theta = scale * r
    return Gap(objective, float(theta @ y) - 0.5 * float(theta @ theta))
