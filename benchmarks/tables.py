"""Value tables to measure the solver on: each function gives (count, 2**n) float64."""

from __future__ import annotations

import torch
from torch import Tensor


def random_tables(n: int, count: int, generator: torch.Generator) -> Tensor:
    return torch.randn(count, 2**n, generator=generator, dtype=torch.float64)


def structured_tables(n: int, count: int, generator: torch.Generator) -> Tensor:
    present = ((torch.arange(2**n)[:, None] >> torch.arange(n)) & 1).double()
    mains = torch.randn(count, n, generator=generator, dtype=torch.float64)
    pairs = torch.randn(count, n, n, generator=generator, dtype=torch.float64) / n
    score = mains @ present.T + torch.einsum("si,cij,sj->cs", present, pairs, present)
    return 3 * torch.tanh(score) + 0.05 * random_tables(n, count, generator)


def integer_tables(n: int, count: int, generator: torch.Generator) -> Tensor:
    return torch.randint(-2, 3, (count, 2**n), generator=generator).double()
