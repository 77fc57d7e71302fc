"""memory.py: work that does not fit into memory is refused before it starts."""

from __future__ import annotations

import lattice_oracles as oracle
import pytest
import torch

from bequeath.errors import BequeathError
from bequeath.lattice import memory
from bequeath.lattice.exact import decompose as module
from bequeath.lattice.exact.decompose import decompose, decompose_jointly


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


def test_the_limit_itself_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda device: 1000)
    memory.check_fits(1000, torch.device("cpu"), "tables")
    with pytest.raises(BequeathError):
        memory.check_fits(1001, torch.device("cpu"), "tables")


def test_the_message_has_what_is_needed_and_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda device: 3 * 2**29)
    with pytest.raises(BequeathError, match=r"7 tables need about 4\.0 GiB, and 1\.5 GiB are free on cpu"):
        memory.check_fits(2**32, torch.device("cpu"), "7 tables")


def test_no_transform_is_begun_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the closed forms, which need no solver."""
    monkeypatch.setattr(memory, "available_bytes", lambda device: 2**20)
    for transform in ("moebius", "or_moebius"):
        monkeypatch.setattr(module.transforms, transform, None)  # would fail if it were called
    for kind in ("and", "or", "and-or"):
        with pytest.raises(BequeathError, match=r"interactions of 3 tables of 14 players need .* GiB"):
            decompose(torch.zeros(3, 2**14), kind)


def test_the_solver_is_counted_for_all_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """The results fit, but the arrays of the solver do not."""
    tables = {name: torch.zeros(2**12).double() for name in "ab"}
    monkeypatch.setattr(memory, "available_bytes", lambda device: 8 * 2 * tables["a"].nbytes)
    monkeypatch.setattr(module, "sparsest_split", None)
    with pytest.raises(BequeathError, match="memory: splitting tables of 12 players"):
        decompose_jointly(tables)


def test_many_tables_need_the_memory_of_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty tables at once do not fit; two at a time do."""
    v = oracle.random_table(4, 20)
    monkeypatch.setattr(memory, "available_bytes", lambda device: 8 * v.nbytes)
    with pytest.raises(BequeathError, match="splitting"):
        decompose(v, resolution=1e-4)
    monkeypatch.setattr(module, "_BLOCK_ENTRIES", 2 * 2**4)
    found = decompose(v, resolution=1e-4)
    torch.testing.assert_close(found.reconstruct(), v, rtol=0, atol=1e-9)
