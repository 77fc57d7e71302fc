"""How near the plain fit is to its optimum over all terms of the stated orders, proven by a dual bound.

P(b) = 1/2 |y - X b|^2 + ridge/2 |b|^2 + lam sum_j w_j |b_j|, y and X centred. It is a lasso with one more row for each
term: sqrt(ridge) in that term's column, 0 in y; so its residual is r = (y - X b, -sqrt(ridge) b). Any theta with
|<theta, X_j>| <= lam w_j for all j gives the lower bound <theta, y> - 1/2 |theta|^2. The residual, scaled until it
obeys, is such a theta; the scale needs the largest |<r, X_j>| / w_j of *all* terms, also of those that were never
candidates. `search.strongest` finds it.
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


def duality_gap(
    y: Floats, r: Floats, penalty: float, norm: float, largest: float, shared: float = 0.0
) -> Gap:
    """The gap of one fit.

    Parameters
    ----------
    y, r : (K,)
        Values and residuals on the masks, both of mean 0.
    penalty : float
        lam, for the sum of squares.
    norm : float
        sum w |b|.
    largest : float
        The largest |<r, X_j> - ridge b_j| / w_j of all terms.
    shared : float
        ridge |b|^2, which the further rows add to |r|^2.
    """
    rr, bound = float(r @ r) + shared, penalty / largest if largest > 0 else np.inf
    objective = 0.5 * rr + penalty * norm
    # The best multiple of r that obeys.
    scale = float(np.clip(float(r @ y) / rr, -bound, bound)) if rr > 0 else 0.0
    return Gap(objective, scale * float(r @ y) - 0.5 * scale**2 * rr)
