"""decompose_jointly: against a linear programme, against separate solves, and that it is one answer."""

from __future__ import annotations

import lattice_oracles as oracle
import pytest
import torch
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice import kronecker
from bequeath.lattice.decompose import decompose, decompose_jointly
from bequeath.lattice.interactions import Interactions


def related(n: int, models: int, seed: int = 0) -> dict[str, Tensor]:
    """Tables of models that have something in common."""
    common = oracle.structured_table(n, seed=seed)
    return {f"model {m}": common + oracle.structured_table(n, seed=100 * seed + m + 1) for m in range(models)}


def share(a: Interactions, b: Interactions) -> float:
    return oracle.shared_strength(a.values, b.values)


@pytest.mark.parametrize("coupling", [0.1, 1.0, 4.0])
@pytest.mark.parametrize(("n", "models"), [(2, 2), (3, 3), (4, 2), (4, 4), (5, 3)])
def test_against_a_linear_programme(n: int, models: int, coupling: float) -> None:
    tables = related(n, models)
    found = decompose_jointly(tables, coupling=coupling, tol=1e-4)
    optimum = oracle.least_joint([v.numpy() for v in tables.values()], coupling)
    certificates = [x.certificate for x in found.values()]
    assert all(c is certificates[0] for c in certificates)
    objective, bound = certificates[0].objective.item(), certificates[0].lower_bound.item()
    assert bound <= optimum * (1 + 1e-7)
    assert optimum * (1 - 1e-7) <= objective <= optimum * (1 + 1e-4)
    assert objective - bound <= 1e-4 * objective
    x = torch.stack([x.values for x in found.values()])
    pairs = (x[:, None] - x[None]).abs().sum() / 2
    assert objective == pytest.approx((x.abs().sum() + coupling * pairs).item(), rel=1e-9)


@pytest.mark.parametrize("n", [1, 3, 6])
def test_universal_matching_for_every_model(n: int) -> None:
    tables = {name: torch.stack((v, v + 1)) for name, v in related(n, 3).items()}
    for name, found in decompose_jointly(tables, players=[f"p{i}" for i in range(n)]).items():
        torch.testing.assert_close(found.reconstruct(), tables[name], rtol=0, atol=1e-9)
        assert found.players == tuple(f"p{i}" for i in range(n))
        assert found.certificate.gap.shape == (2,)
        assert (found.certificate.gap <= 1e-3).all()


def test_without_coupling_every_model_by_itself() -> None:
    tables = related(5, 3)
    for name, found in decompose_jointly(tables, coupling=0.0).items():
        torch.testing.assert_close(found.values, decompose(tables[name]).values, rtol=0, atol=1e-4)


@pytest.mark.parametrize("n", [2, 5, 7])
def test_a_model_and_itself_share_everything(n: int) -> None:
    v = oracle.structured_table(n, seed=3)
    found = decompose_jointly({"a": v, "b": v, "c": v})
    assert share(found["a"], found["b"]) >= 1 - 1e-6
    torch.testing.assert_close(found["a"].values, decompose(v).values, rtol=0, atol=1e-3)


def test_more_is_shared_than_separately() -> None:
    for seed in range(4):
        tables = related(6, 2, seed=seed)
        a, b = tables.values()
        together = decompose_jointly(tables)
        assert share(*together.values()) > share(decompose(a), decompose(b))


def test_the_order_of_models_does_not_matter() -> None:
    tables = related(5, 3)
    found = decompose_jointly(tables)
    for name, again in decompose_jointly(dict(reversed(tables.items()))).items():
        assert share(found[name], again) >= 1 - 1e-4


def test_one_answer_from_other_starts() -> None:
    tables = related(5, 3)
    found = decompose_jointly(tables)
    starts = {
        name: Interactions(*torch.randn(2, 32).double(), torch.zeros(()).double(), tuple("01234"))
        for name in tables
    }
    for name, again in decompose_jointly(tables, start=starts).items():
        assert share(found[name], again) >= 1 - 1e-4


@pytest.mark.parametrize("coupling", [0.5, 2.0])
def test_in_torch_as_compiled(coupling: float, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = related(4, 3)
    compiled = decompose_jointly(tables, coupling=coupling)
    monkeypatch.setattr(kronecker, "kernels", lambda module: None)
    for name, found in decompose_jointly(tables, coupling=coupling).items():
        torch.testing.assert_close(found.values, compiled[name].values, rtol=0, atol=1e-6)


def test_threads_and_batches_change_rounding_alone() -> None:
    tables = {name: torch.stack([v + i * v.roll(i) for i in range(5)]) for name, v in related(5, 2).items()}
    single = decompose_jointly(tables)
    torch.set_num_threads(2)
    alone = {name: v[3] for name, v in tables.items()}
    for name, found in decompose_jointly(tables).items():
        torch.testing.assert_close(found.values, single[name].values, rtol=0, atol=1e-9)
        torch.testing.assert_close(decompose_jointly(alone)[name].values, found.values[3], rtol=0, atol=1e-4)


def test_with_noise() -> None:
    tables = related(4, 2)
    found = decompose_jointly(tables, noise=0.05)
    bounds = [0.05 * (v[-1] - v[0]).abs().item() for v in tables.values()]
    optimum = oracle.least_joint([v.numpy() for v in tables.values()], 1.0, bounds)
    for (name, v), bound in zip(tables.items(), bounds, strict=True):
        changed = (found[name].reconstruct() - v).abs()
        assert changed.max() <= bound + 1e-9
        assert changed[0] == 0
        certificate = found[name].certificate
        assert certificate.lower_bound.item() <= optimum * (1 + 1e-7)
        assert optimum * (1 - 1e-7) <= certificate.objective.item() <= optimum * (1 + 1.1e-3)


def test_progress_counts_tables() -> None:
    finished: list[int] = []
    decompose_jointly({"a": torch.zeros(3, 8), "b": torch.zeros(3, 8)}, progress=finished.append)
    assert sum(finished) == 6


@pytest.mark.parametrize(
    ("tables", "arguments", "message"),
    [
        ({}, {}, "tables: none given"),
        ({"a": torch.zeros(8), "b": torch.zeros(16)}, {}, r"'b' has shape \(16,\).*same samples"),
        ({"a": torch.zeros(8), "b": torch.full((8,), torch.nan)}, {}, r"tables\['b'\]: nan at index"),
        ({"a": torch.zeros(8)}, {"coupling": -1.0}, "coupling: a number of 0 or more"),
        ({"a": torch.zeros(8)}, {"coupling": float("nan")}, "coupling"),
        ({"a": torch.zeros(8)}, {"start": {}}, r"start: models \[\] for tables of \['a'\]"),
        ({"a": torch.zeros(8)}, {"players": ["x"]}, "players: 1 names for 3 players"),
        ({"a": torch.zeros(8)}, {"tol": 0.0}, "tol"),
    ],
)
def test_bad_input(tables: dict[str, Tensor], arguments: dict[str, object], message: str) -> None:
    with pytest.raises(BequeathError, match=message):
        decompose_jointly(tables, **arguments)
