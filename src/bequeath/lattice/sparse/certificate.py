"""The certificate of the plain fit: a dual bound on its distance from the optimum over all terms of the stated orders.

The objective is P(b) = 1/2 |y - X b|^2 + ridge/2 |b|^2 + lam sum_j w_j |b_j|, with y and X centred. This is a lasso
with one more row for each term: sqrt(ridge) in the column of the term, 0 in y. So its residual is
r = (y - X b, -sqrt(ridge) b). Any theta with |<theta, X_j>| <= lam w_j for all j gives the lower bound
<theta, y> - 1/2 |theta|^2. The residual, scaled to satisfy these constraints, is such a theta. The scale needs the
largest |<r, X_j>| / w_j of *all* terms, including those that never were candidates; `search.strongest` finds it.
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
    """Objective and lower bound of one fit.

    Parameters
    ----------
    y, r : ndarray
        (K,): values and residuals on the masks, both with mean 0.
    penalty : float
        lam, in the units of the sum of squares.
    norm : float
        Sum of w |b|.
    largest : float
        The largest |<r, X_j> - ridge b_j| / w_j of all terms.
    shared : float
        ridge |b|^2, which the additional rows add to |r|^2.

    Returns
    -------
    Gap
    """
    rr, bound = float(r @ r) + shared, penalty / largest if largest > 0 else np.inf
    objective = 0.5 * rr + penalty * norm
    # The multiple of r with the best bound among those that satisfy the constraints.
    scale = float(np.clip(float(r @ y) / rr, -bound, bound)) if rr > 0 else 0.0
    return Gap(objective, scale * float(r @ y) - 0.5 * scale**2 * rr)
