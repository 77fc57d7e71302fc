"""bounds.py: pairs of near-optimal splits from linear programmes lie within the bounds; inner bounds are reached."""

from __future__ import annotations

import lattice_oracles as oracle
import numpy as np
import pytest
import torch
from lattice_oracles import random_table
from scipy.optimize import linprog
from scipy.sparse import csr_array, hstack, vstack
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.knowledge.bounds import ShareBounds, preserved_bounds
from bequeath.lattice.exact.decompose import CertificateWarning, decompose

SLACK = 1e-2


def saturating_table(n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    present = ((torch.arange(2**n)[:, None] >> torch.arange(n)) & 1).double()
    score = present @ torch.randn(n, generator=generator, dtype=torch.float64)
    return 3 * torch.tanh(score) + 0.05 * torch.randn(2**n, generator=generator, dtype=torch.float64)


def pairs(n: int) -> list[tuple[Tensor, Tensor]]:
    a, b, c = random_table(n, seed=1), saturating_table(n, 2), saturating_table(n, 3)
    return [(a, random_table(n, seed=5)), (b, c), (b, b + 0.3 * c), (c, c)]


def share(a: np.ndarray, b: np.ndarray) -> float:
    return float((np.minimum(abs(a), abs(b)) * (a * b > 0)).sum() / abs(a).sum())


class NearOptima:
    """All splits of one table with a norm within the slack of the least, as a linear programme."""

    def __init__(self, v: Tensor, slack: float) -> None:
        n = len(v).bit_length() - 1
        effects = csr_array(oracle.effects_on_masks(2**n))
        self.both = hstack([effects, -effects]).tocsr()
        self.table = (v - v[0]).numpy()[1:]
        self.size = self.both.shape[1]
        least = linprog(np.ones(self.size), A_eq=self.both, b_eq=self.table, method="highs")
        assert least.status == 0
        self.limit = (1 + slack) * least.fun

    def kept(self, entry: np.ndarray, price: float) -> float:
        """Lower bound on `entry` over all splits within the limit, from the least norm at that price."""
        costs = np.ones(self.size) + price * np.concatenate([entry, -entry])
        found = linprog(costs, A_eq=self.both, b_eq=self.table, method="highs")
        assert found.status == 0
        return max(0.0, (found.fun - self.limit) / price)

    def farthest(self, direction: np.ndarray) -> np.ndarray:
        """The split that lies farthest in a direction."""
        found = linprog(
            -np.concatenate([direction, -direction]),
            A_ub=np.ones((1, self.size)),
            b_ub=[self.limit],
            A_eq=self.both,
            b_eq=self.table,
            method="highs",
        )
        assert found.status == 0
        positive, negative = np.split(found.x, 2)
        return positive - negative


def nearest(a: NearOptima, b: NearOptima) -> float:
    """Exact share of the pair with the least |a - b|_1."""
    half = a.size // 2
    eye = csr_array(np.eye(half))
    none = csr_array((half, half))
    rows = vstack(
        [
            hstack([a.both, 0 * b.both, csr_array((len(a.table), 2 * half))]),
            hstack([0 * a.both, b.both, csr_array((len(b.table), 2 * half))]),
            hstack([eye, -eye, -eye, eye, -eye, eye + none]),
        ]
    )
    ones, zeros = np.ones(a.size), np.zeros(a.size)
    found = linprog(
        np.concatenate([zeros, zeros, ones]),
        A_ub=np.stack([np.concatenate([ones, zeros, zeros]), np.concatenate([zeros, ones, zeros])]),
        b_ub=[a.limit, b.limit],
        A_eq=rows.tocsr(),
        b_eq=np.concatenate([a.table, b.table, np.zeros(half)]),
        method="highs",
    )
    assert found.status == 0
    p, q, r, s = np.split(found.x[: 2 * a.size], 4)
    return share(p - q, r - s)


@pytest.mark.parametrize("n", [3, 5, 6])
@pytest.mark.parametrize("which", range(4))
def test_every_near_optimal_pair_lies_inside(n: int, which: int) -> None:
    """Pairs in random directions, a pair that is driven apart, and the nearest pair."""
    a, b = pairs(n)[which]
    found = preserved_bounds(a, b, slack=SLACK)
    first, second = NearOptima(a, SLACK), NearOptima(b, SLACK)
    generator = np.random.default_rng(n)
    shares = [nearest(first, second)]
    for _ in range(12):
        direction = generator.normal(size=first.size // 2)
        x = first.farthest(direction)
        shares += [share(x, second.farthest(d)) for d in (direction, -direction, -np.sign(x))]
    assert found.least.item() - 1e-9 <= min(shares)
    assert max(shares) <= found.greatest.item() + 1e-9
    # The outer bound on the greatest share is close to the share of some pair.
    assert found.greatest.item() <= max(shares) + 0.05


def test_every_near_optimal_pair_lies_inside_at_8_players() -> None:
    a, b = pairs(8)[2]
    found = preserved_bounds(a, b, slack=SLACK)
    first, second = NearOptima(a, SLACK), NearOptima(b, SLACK)
    direction = np.random.default_rng(0).normal(size=first.size // 2)
    x = first.farthest(direction)
    for y in (second.farthest(direction), second.farthest(-np.sign(x))):
        assert found.least.item() - 1e-9 <= share(x, y) <= found.greatest.item() + 1e-9


@pytest.mark.parametrize("n", [2, 4, 5])
@pytest.mark.parametrize("which", range(3))
def test_what_every_split_keeps_is_as_a_linear_programme_has_it(n: int, which: int) -> None:
    """Entries without a positive bound stop early, or are not tried on the second model."""
    a, b = pairs(n)[which]
    first, second = NearOptima(a, SLACK), NearOptima(b, SLACK)
    x, y = (decompose(v).values.numpy().copy() for v in (a, b))
    kept = 0.0
    for index in np.argwhere(np.minimum(abs(x), abs(y)) * (x * y > 0) > 0):
        entry = np.zeros_like(x)
        entry[tuple(index)] = np.sign(x[tuple(index)])
        columns = np.concatenate([entry[0, 1:], entry[1, [t for t in range(1, 2**n) if t.bit_count() > 1]]])
        kept += min(model.kept(columns, 0.5) for model in (first, second))
    found = preserved_bounds(a, b, slack=SLACK)
    assert found.least.item() == pytest.approx(kept / first.limit, abs=2e-3)
    assert found.least.item() <= kept / first.limit + 1e-6


def test_models_that_are_each_others_opposite_share_nothing() -> None:
    a = saturating_table(5, 2)
    found = preserved_bounds(a, -a)
    assert found.least == found.share == 0
    assert found.greatest_found < 0.5


def fields(found: ShareBounds) -> list[Tensor]:
    return [found.least, found.least_found, found.share, found.greatest_found, found.greatest]


@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_they_are_in_order_and_contain_the_point_value(n: int) -> None:
    a = torch.stack([pair[0] for pair in pairs(n)]).reshape(2, 2, -1)
    b = torch.stack([pair[1] for pair in pairs(n)]).reshape(2, 2, -1)
    finished: list[int] = []
    found = preserved_bounds(a, b, progress=finished.append)
    assert finished == [1, 1, 1, 1]
    for lower, upper in zip(fields(found), fields(found)[1:], strict=False):
        assert lower.shape == (2, 2)
        assert (lower <= upper + 1e-6).all()
    for i, j in ((0, 0), (1, 0)):
        x, y = decompose(a[i, j]).values, decompose(b[i, j]).values
        assert found.share[i, j].item() == pytest.approx(oracle.shared_strength(x, y), abs=1e-3)


def test_a_model_and_itself() -> None:
    """All strength may be shared, but the tables do not determine it: other splits are as sparse."""
    a = saturating_table(6, 2)
    found = preserved_bounds(a, a)
    assert found.share.item() == pytest.approx(1, abs=1e-9)
    assert found.greatest_found.item() == pytest.approx(1, abs=1e-9)
    assert found.least_found.item() < 0.9


def test_more_slack_is_wider() -> None:
    a, b = pairs(5)[2]
    tight, wide = preserved_bounds(a, b, slack=1e-3), preserved_bounds(a, b, slack=5e-2)
    assert wide.least <= tight.least + 1e-6
    assert wide.least_found <= tight.least_found + 1e-3
    assert wide.greatest >= tight.greatest - 1e-6


def test_few_iterations_keep_the_bounds_true() -> None:
    a, b = pairs(4)[1]
    with pytest.warns(CertificateWarning, match="1 of 1 pairs: the splits did not come within"):
        rough = preserved_bounds(a, b, max_iterations=20)
    fine = preserved_bounds(a, b)
    assert rough.least_found.isnan()
    assert rough.least <= fine.least_found + 1e-6
    assert rough.greatest >= fine.greatest_found - 1e-6


def test_tables_without_effects() -> None:
    flat, a = torch.full((8,), 2.0).double(), random_table(3, seed=0)
    assert preserved_bounds(flat, a).share == 1
    assert preserved_bounds(a, flat).greatest == 0
    none = preserved_bounds(torch.zeros(0, 8), torch.zeros(0, 8))
    assert none.share.shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"slack": 0.0}, "slack: 0.0 given; give a share between 0 and 1"),
        ({"slack": float("nan")}, "slack"),
        ({"entries": 0}, "entries: 0; give a whole number of 1 or more"),
        ({"max_iterations": 0}, "max_iterations: 0; give a whole number of 1 or more"),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(BequeathError, match=message):
        preserved_bounds(random_table(3, seed=0), random_table(3, seed=1), **arguments)


def test_tables_that_do_not_belong_together() -> None:
    with pytest.raises(BequeathError, match=r"after: shape \(16,\) .* before has \(8,\)"):
        preserved_bounds(random_table(3, seed=0), random_table(4, seed=1))
    bad = random_table(3, seed=0)
    bad[3] = torch.nan
    with pytest.raises(BequeathError, match="after: nan at index"):
        preserved_bounds(random_table(3, seed=0), bad)
