"""memory.py: work that would not fit is refused before it starts."""

from __future__ import annotations

import pytest
import torch

from bequeath.errors import BequeathError
from bequeath.lattice import decompose as module
from bequeath.lattice import memory
from bequeath.lattice.decompose import decompose, decompose_jointly


@pytest.mark.parametrize("kind", ["and", "or", "and-or"])
def test_tables_that_do_not_fit_are_refused_before_the_work(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda device: 1000)
    monkeypatch.setattr(module, "sparsest_split", None)  # would fail if it were called
    with pytest.raises(
        BequeathError, match=r"memory: interactions of 4 tables of 6 players need .* GiB.* fewer"
    ):
        decompose(torch.zeros(4, 64), kind)
    with pytest.raises(BequeathError, match="memory: joint interactions"):
        decompose_jointly({"a": torch.zeros(4, 64)})


def test_the_solver_is_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda device: 64 * 8 * 20)
    with pytest.raises(BequeathError, match="memory: splitting tables of 6 players"):
        decompose(torch.zeros(64))
    decompose(torch.zeros(64), "and")


def test_memory_is_what_there_is() -> None:
    assert 2**20 < memory.available_bytes(torch.device("cpu")) < 2**50
