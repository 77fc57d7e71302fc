"""Settings of all tests on small tables: hypothesis without chance and without a clock, one thread."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import Phase, settings

# Derandomised: the same examples on every machine, so that a red run can be repeated. No deadline: machines
# are shared. No shrinking: a failing example of the solver is a slow one, and small enough as it is.
settings.register_profile(
    "lattice", derandomize=True, deadline=None, max_examples=25, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("lattice")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The tables here are small: a second thread only waits. Tests of thread counts set their own."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
