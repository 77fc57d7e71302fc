"""decompose_jointly: tables of several models split together, against linear programmes and `decompose`."""

from __future__ import annotations

import itertools
import math
import threading
import warnings
from collections.abc import Mapping

import lattice_oracles as oracle
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice import kronecker
from bequeath.lattice.exact import decompose as decompose_module
from bequeath.lattice.exact import iteration
from bequeath.lattice.exact.decompose import CertificateWarning, decompose, decompose_jointly
from bequeath.lattice.exact.split import sparsest_split
from bequeath.lattice.interactions import Interactions

# Enough for the objective and its certificate, which need no unique solution.
ROUGH = {"resolution": 1e-4}
# Strength that answers to one problem share at the default resolution (docs/decomposition.md).
UNIQUE = 1 - 1e-4
NOISE = 0.04


def named(tables: list[Tensor]) -> dict[str, Tensor]:
    return dict(zip("abcde", tables, strict=False))


def related(n: int, models: int, seed: int = 0) -> list[Tensor]:
    """One saturating game, plus interactions of each model alone."""
    base = oracle.structured_table(n, seed=seed)
    return [base + 0.3 * oracle.random_table(n, seed=100 + 10 * seed + i) for i in range(models)]


def tables_of(source: str, n: int, models: int) -> list[Tensor]:
    if source == "related":
        return related(n, models, seed=n)
    return [oracle.random_table(n, seed=10 * n + i) for i in range(models)]


def joint_norm(found: Mapping[str, Interactions], coupling: float) -> float:
    """The objective, straight from its definition."""
    values = [interactions.values.numpy() for interactions in found.values()]
    apart = sum(np.abs(a - b).sum() for a, b in itertools.combinations(values, 2))
    return float(sum(np.abs(x).sum() for x in values) + coupling * apart)


def check(
    tables: Mapping[str, Tensor],
    found: Mapping[str, Interactions],
    *,
    coupling: float,
    noise: float = 0.0,
    tol: float = 1e-3,
) -> None:
    """The certificate against HiGHS, and what every model's interactions add up to."""
    assert list(found) == list(tables)
    bounds = [noise * abs((v[-1] - v[0]).item()) for v in tables.values()]
    optimum = oracle.least_joint([v.numpy() for v in tables.values()], coupling, bounds)
    certificate = found[next(iter(tables))].certificate
    objective, low = certificate.objective.item(), certificate.lower_bound.item()
    assert joint_norm(found, coupling) == pytest.approx(objective, rel=1e-9, abs=1e-12)
    oracle.check_bounds(objective, low, optimum, tol)
    for (name, v), bound in zip(tables.items(), bounds, strict=True):
        change = (found[name].reconstruct() - v).abs()
        assert change.max() <= bound + 1e-9
        assert change[0] == 0
        assert found[name].certificate is certificate, "the models share one"


# ---- optima and bounds ---------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["random", "related"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("models", [2, 3])
@pytest.mark.parametrize("coupling", [0.1, 1.0, 4.0])
def test_certificate_against_a_linear_programme(coupling: float, models: int, n: int, source: str) -> None:
    tables = named(tables_of(source, n, models))
    check(tables, decompose_jointly(tables, coupling=coupling, **ROUGH), coupling=coupling)


@pytest.mark.parametrize(
    "options", [{}, {"resolution": math.inf}, {"tol": 1e-6}, {"precision": "float32"}], ids=str
)
def test_certificate_under_other_options(options: dict[str, object]) -> None:
    tables = named(related(4, 3))
    found = decompose_jointly(tables, coupling=1.0, **options)
    check(tables, found, coupling=1.0, tol=options.get("tol", 1e-3))
    assert found["a"].and_.dtype == found["a"].certificate.objective.dtype == torch.float64


@pytest.mark.parametrize(("n", "models"), [(4, 4), (3, 5)])
def test_certificate_of_many_models(n: int, models: int) -> None:
    tables = named(related(n, models))
    check(tables, decompose_jointly(tables, coupling=0.5, tol=1e-4), coupling=0.5, tol=1e-4)


@pytest.mark.parametrize("noise", [None, 0.1])
@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.parametrize("ridge_tol", [1e-3, math.inf])
def test_singletons_are_halved(ridge_tol: float, models: int, noise: float | None) -> None:
    """AND and OR effects of a single player are the same function. If they differed, they could cancel between types
    and models, and the objective would not be the norm of the merged answer."""
    v = oracle.random_table(3, 20, models)
    v -= v[..., :1]
    bound = None if noise is None else noise * v[..., -1].abs()
    options = {"noise": bound, "coupling": 1.0, "tol": 1e-3, "ridge_tol": ridge_tol, "max_iterations": 50_000}
    singletons = [1, 2, 4]
    for start in (None, oracle.random_table(4, 20, models, seed=1).view(20, models, 2, 8)):
        x = sparsest_split(v, start=start, **options).x[..., singletons]
        torch.testing.assert_close(x[..., 0, :], x[..., 1, :], rtol=0, atol=1e-10)


@given(data=st.data(), n=st.integers(1, 3), models=st.integers(2, 3))
@settings(max_examples=30)
def test_certificate_on_degenerate_tables(models: int, n: int, data: st.DataObject) -> None:
    """Few small integers: ties between models and interactions, models without any effect."""
    grid = data.draw(arrays(np.int64, (models, 2**n), elements=st.integers(-2, 2)))
    tables = named(list(torch.from_numpy(grid).double()))
    check(tables, decompose_jointly(tables, **ROUGH), coupling=1.0)


@pytest.mark.parametrize("models", [2, 3])
@pytest.mark.parametrize("n", [1, 3, 5])
@pytest.mark.parametrize("options", [{}, {"resolution": 1e-5}, {"precision": "float32"}], ids=str)
def test_certificate_with_noise(options: dict[str, object], n: int, models: int) -> None:
    """The values of each model may change within a bound of its own."""
    tables = named(tables_of("related", n, models))
    tables["a"] = 3 * tables["a"]
    check(tables, decompose_jointly(tables, noise=NOISE, **options), coupling=1.0, noise=NOISE)


def test_noise_above_all_effects_leaves_nothing() -> None:
    """For all models: if one has effects beyond its noise, the other may be zero or follow it."""
    v = oracle.random_table(3, 2).abs()
    v[:, 0], v[:, -1] = 0, v.amax(-1)
    quiet = decompose_jointly(named(list(v)), noise=1.5)
    assert not any(x.values.any() for x in quiet.values())
    assert quiet["a"].certificate.gap == 0
    v[1, -1] = 0.3 * v[1].max()
    one = named(list(v))
    check(one, decompose_jointly(one, noise=1.5), coupling=1.0, noise=1.5)


def test_too_few_iterations_are_said() -> None:
    """There is a warning, and the result is a split of each table with a valid bound."""
    tables = named(related(4, 2))
    with pytest.warns(
        CertificateWarning, match="1 of 1 decompositions stopped above the requested gap 0.001"
    ):
        found = decompose_jointly(tables, max_iterations=3)
    certificate = found["a"].certificate
    optimum = oracle.least_joint([v.numpy() for v in tables.values()], 1.0)
    assert certificate.lower_bound <= optimum * (1 + 1e-9)
    assert certificate.objective >= optimum * (1 - 1e-9)
    for name, v in tables.items():
        torch.testing.assert_close(found[name].reconstruct(), v, rtol=0, atol=1e-9)


@pytest.mark.parametrize("n", [2, 6, 8])
def test_universal_matching_of_every_model(n: int) -> None:
    """In a batch, with different offsets, and however far the solver gets."""
    tables = {name: oracle.random_table(n, 2, 3, seed=i) + 5 * i for i, name in enumerate("abc")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CertificateWarning)
        found = decompose_jointly(tables, max_iterations=100, **ROUGH)
    for name, v in tables.items():
        torch.testing.assert_close(found[name].reconstruct(), v, rtol=0, atol=1e-9)
        assert torch.equal(found[name].offset, v[..., 0])
        assert found[name].certificate.gap.shape == (2, 3)


# ---- what the coupling does ----------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 4, 6])
def test_without_coupling_every_model_is_by_itself(n: int) -> None:
    tables = named(related(n, 3))
    found = decompose_jointly(tables, coupling=0.0)
    alone = {name: decompose(v) for name, v in tables.items()}
    for name in tables:
        assert oracle.least_shared(found[name].values, alone[name].values) >= UNIQUE
    total = sum(x.certificate.objective for x in alone.values())
    torch.testing.assert_close(found["a"].certificate.objective, total, rtol=1e-6, atol=0)


@pytest.mark.parametrize("n", [2, 4, 6])
def test_one_model_is_decomposed_as_ever(n: int) -> None:
    v = oracle.random_table(n, seed=n)
    found, alone = decompose_jointly({"only": v}, coupling=7.0)["only"], decompose(v)
    assert torch.equal(found.values, alone.values)
    assert torch.equal(found.certificate.objective, alone.certificate.objective)


@pytest.mark.parametrize("source", ["random", "structured"])
@pytest.mark.parametrize("n", [2, 4, 6])
@pytest.mark.parametrize("models", [2, 3])
@pytest.mark.parametrize("coupling", [0.1, 1.0, 4.0])
def test_a_model_compared_with_itself_shares_everything(
    coupling: float, models: int, n: int, source: str
) -> None:
    """Identical tables get identical interactions, equal to those of one table alone up to the resolution: the ridge of
    the joint problem is in units of its own norm. (Two optima of one table may share only 54% to 77%.)"""
    v = oracle.random_table(n, seed=n) if source == "random" else oracle.structured_table(n, seed=n)
    found = decompose_jointly(named([v.clone() for _ in range(models)]), coupling=coupling)
    alone = decompose(v)
    for interactions in found.values():
        assert oracle.least_shared(found["a"].values, interactions.values) >= 1 - 1e-9
        assert oracle.least_shared(alone.values, interactions.values) >= UNIQUE
    objective = found["a"].certificate.objective
    torch.testing.assert_close(objective, models * alone.certificate.objective, rtol=1e-6, atol=0)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_joint_interactions_share_more_than_separate_ones(n: int) -> None:
    """On average over ten pairs of related models: interactions that can be shared are not exclusive."""
    pairs = [related(n, 2, seed) for seed in range(10)]
    first, second = (torch.stack(models) for models in zip(*pairs, strict=True))
    joint = decompose_jointly({"a": first, "b": second})
    separate = {"a": decompose(first), "b": decompose(second)}

    def share(found: Mapping[str, Interactions]) -> float:
        a, b = found["a"].values, found["b"].values
        return float(np.mean([oracle.shared_strength(x, y) for x, y in zip(a, b, strict=True)]))

    assert share(joint) > share(separate) + 0.02


@pytest.mark.parametrize("source", ["random", "related"])
def test_a_stronger_coupling_moves_models_together(source: str) -> None:
    """With coupling, their distance falls and the sum of their norms grows, as for any weighted sum of two goals."""
    tables = named(tables_of(source, 4, 3))
    found = [decompose_jointly(tables, coupling=c) for c in (0.0, 0.05, 0.3, 1.0, 5.0, 50.0)]
    costs = [joint_norm(x, 0.0) for x in found]
    distances = [joint_norm(x, 1.0) - cost for x, cost in zip(found, costs, strict=True)]
    for (far, near), (cheap, dear) in zip(
        itertools.pairwise(distances), itertools.pairwise(costs), strict=True
    ):
        assert near <= far * (1 + 1e-6)
        assert cheap <= dear * (1 + 1e-6)
    assert distances[-1] < 0.97 * distances[0]
    # Even a strong coupling cannot make them more similar than their tables are.
    assert distances[-1] > 0


# ---- one answer ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 4, 5])
@pytest.mark.parametrize("source", ["random", "related"])
def test_order_and_names_of_models_do_not_matter(source: str, n: int) -> None:
    a, b, c = tables_of(source, n, 3)
    found = decompose_jointly({"a": a, "b": b, "c": c})
    renamed = decompose_jointly({"z": c, "x": a, "y": b})
    for old, new in zip("abc", "xyz", strict=True):
        assert oracle.least_shared(found[old].values, renamed[new].values) >= UNIQUE
    torch.testing.assert_close(
        found["a"].certificate.objective, renamed["z"].certificate.objective, rtol=1e-6, atol=0
    )


def starts_of(tables: Mapping[str, Tensor], seed: int = 3) -> dict[str, Interactions]:
    """Random interactions of the size of the even split's largest."""
    generator = torch.Generator().manual_seed(seed)
    starts = {}
    for name, v in tables.items():
        even = iteration.even_split(v - v[..., :1])
        x = torch.randn(even.shape, generator=generator, dtype=v.dtype) * even.abs().max()
        names = tuple(str(i) for i in range(v.shape[-1].bit_length() - 1))
        starts[name] = Interactions(x[..., 0, :], x[..., 1, :], torch.zeros_like(v[..., 0]), names)
    return starts


@pytest.mark.parametrize("source", ["random", "related"])
@pytest.mark.parametrize("n", [1, 3, 4, 5])
def test_one_answer_from_every_start(n: int, source: str) -> None:
    tables = named(tables_of(source, n, 2))
    alone = decompose_jointly(tables)
    assert alone["a"].certificate.resolution <= 1e-12
    for start in (starts_of(tables), {name: alone[name] for name in ("b", "a")}):
        found = decompose_jointly(tables, start=start)
        for name in tables:
            assert oracle.least_shared(alone[name].values, found[name].values) >= UNIQUE


def test_every_model_starts_at_its_own_start() -> None:
    """Without a resolution, the answer is near the start; starts in another order are assigned to the right model."""
    tables = named(related(5, 2))
    settled = decompose_jointly(tables)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CertificateWarning)
        rough = {"resolution": math.inf, "tol": 1e-9, "max_iterations": 1}
        right = decompose_jointly(tables, start={"b": settled["b"], "a": settled["a"]}, **rough)
        wrong = decompose_jointly(tables, start={"b": settled["a"], "a": settled["b"]}, **rough)
    best = settled["a"].certificate.objective
    assert right["a"].certificate.objective <= best * (1 + 1e-6)
    assert wrong["a"].certificate.objective > best * 1.01


def test_one_answer_in_any_batch_and_block(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [related(4, 2, seed) for seed in range(5)]
    tables = {"a": torch.stack([p[0] for p in pairs]), "b": torch.stack([p[1] for p in pairs])}
    whole = decompose_jointly(tables)
    monkeypatch.setattr(decompose_module, "_BLOCK_ENTRIES", 2 * 2 * 2**4)
    finished: list[int] = []
    blocks = decompose_jointly(tables, progress=finished.append)
    assert finished == [4, 4, 2], "both models of two samples at a time"
    for name in tables:
        assert oracle.least_shared(whole[name].values, blocks[name].values) >= UNIQUE
        alone = decompose_jointly({other: v[3] for other, v in tables.items()})[name]
        assert oracle.least_shared(whole[name][3].values, alone.values) >= UNIQUE


@pytest.mark.parametrize("noise", [0.0, NOISE])
def test_threads_change_rounding_alone(noise: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads share the samples, and rounding depends on the batch; a single sample gives the same bits."""
    tables = {name: oracle.random_table(4, 5, seed=i) for i, name in enumerate("abc")}
    one = {name: v[2] for name, v in tables.items()}
    solve, threads = decompose_module.sparsest_split, set()

    def watched(*arguments: object, **options: object) -> object:
        threads.add(threading.get_ident())
        return solve(*arguments, **options)

    monkeypatch.setattr(decompose_module, "sparsest_split", watched)
    single, single_one = (decompose_jointly(v, noise=noise, **ROUGH) for v in (tables, one))
    assert threads == {threading.get_ident()}
    torch.set_num_threads(2)
    double, double_one = (decompose_jointly(v, noise=noise, **ROUGH) for v in (tables, one))
    assert threads != {threading.get_ident()}, "the second run should have had threads of its own"
    assert torch.equal(single["a"].certificate.iterations, double["a"].certificate.iterations)
    for name in tables:
        torch.testing.assert_close(double[name].values, single[name].values, rtol=0, atol=1e-9)
        assert torch.equal(double_one[name].values, single_one[name].values)


@pytest.mark.parametrize("noise", [0.0, NOISE])
def test_one_answer_without_compiled_kernels(noise: float, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = named(related(3, 3))
    compiled = decompose_jointly(tables, noise=noise, resolution=1e-3)
    monkeypatch.setattr(kronecker, "kernels", lambda module: None)
    in_torch = decompose_jointly(tables, noise=noise, resolution=1e-3)
    assert torch.equal(in_torch["a"].certificate.iterations, compiled["a"].certificate.iterations)
    for name in tables:
        torch.testing.assert_close(in_torch[name].values, compiled[name].values, rtol=0, atol=1e-9)


def test_a_rerun_is_identical() -> None:
    tables = named(related(4, 3))
    first, second = decompose_jointly(tables), decompose_jointly(tables)
    assert all(torch.equal(first[name].values, second[name].values) for name in tables)


# ---- edges and bad input -------------------------------------------------------------------------


def test_models_without_effects() -> None:
    """A constant model among others has no interactions; constant models alone have a certificate of 0."""
    v = oracle.structured_table(4)
    tables = {"dead": torch.full((16,), 2.0).double(), "live": v}
    found = decompose_jointly(tables)
    assert found["dead"].values.abs().max() <= 1e-12
    assert found["dead"].offset == 2
    # The distance of the two is the norm of the other model, so it is decomposed as if alone.
    assert oracle.least_shared(found["live"].values, decompose(v).values) >= UNIQUE
    nothing = decompose_jointly({"a": torch.zeros(3, 8), "b": torch.full((3, 8), 1.5)})
    assert not any(x.values.any() for x in nothing.values())
    assert not nothing["a"].certificate.gap.any()


def test_units_do_not_matter() -> None:
    tables = named(related(4, 2))
    plain = decompose_jointly(tables, **ROUGH)
    scaled = decompose_jointly({name: 1e6 * v for name, v in tables.items()}, **ROUGH)
    for name in tables:
        torch.testing.assert_close(scaled[name].values / 1e6, plain[name].values, rtol=0, atol=1e-9)


def test_no_samples() -> None:
    found = decompose_jointly({"a": torch.zeros(0, 8), "b": torch.zeros(0, 8)})
    assert found["b"].values.shape == (0, 2, 8)
    assert found["b"].certificate.gap.shape == (0,)


def test_dtypes_may_differ_and_players_are_kept() -> None:
    v = torch.tensor([0, 1, 1, 3])
    found = decompose_jointly({"a": v, "b": v.float()}, players=["good", "film"])
    assert found["a"].players == found["b"].players == ("good", "film")
    torch.testing.assert_close(found["a"].values, found["b"].values, rtol=0, atol=1e-12)
    assert found["a"].and_.dtype == torch.float64


V = oracle.random_table(3)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({}, "tables: none given"),
        ({"a": V, "b": oracle.random_table(4)}, r"tables: 'b' has shape \(16,\) .* 'a' \(8,\)"),
        ({"a": V, "b": V[None]}, r"'b' has shape \(1, 8\) .* give tables of the same samples and players"),
        ({"a": V, "b": V.new_full((8,), math.nan)}, r"tables\['b'\]: nan at index \(0,\)"),
        ({"a": V, "b": V[:5]}, r"give 2\*\*n values"),
        ({"a": V, "b": V.to(torch.complex128)}, r"tables\['b'\]: complex numbers"),
    ],
    ids=["none", "players", "samples", "nan", "length", "complex"],
)
def test_tables_that_do_not_belong_together(tables: dict[str, Tensor], message: str) -> None:
    with pytest.raises(BequeathError, match=message):
        decompose_jointly(tables)


def labels(**values: Tensor) -> dict[str, Interactions]:
    """Starts: interactions of the given AND values."""
    names = {8: ("x", "y", "z"), 16: ("x", "y", "z", "w")}
    return {
        name: Interactions(v, torch.zeros_like(v), v.new_zeros(v.shape[:-1]), names[v.shape[-1]])
        for name, v in values.items()
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"coupling": -0.1}, "coupling: -0.1; give a number of 0 or more"),
        ({"coupling": math.nan}, "coupling: nan; give"),
        ({"coupling": math.inf}, "coupling: inf; give"),
        ({"noise": -1.0}, "noise: .* give a share"),
        ({"tol": 0.0}, "tol"),
        ({"precision": "float16"}, "precision: 'float16'; give"),
        ({"players": ["x"]}, "players: 1 names for 3 players"),
        ({"start": {}}, r"start: models \[\] for tables of \['a', 'b'\]"),
        ({"start": labels(a=V)}, r"start: models \['a'\] for tables of \['a', 'b'\]"),
        ({"start": labels(a=V, b=V, c=V)}, r"start: models \['a', 'b', 'c'\] for tables of \['a', 'b'\]"),
        ({"start": labels(a=V, c=V)}, r"start: models \['a', 'c'\] for tables of \['a', 'b'\]"),
        (
            {"start": labels(a=V, b=oracle.random_table(4))},
            r"start\['b'\]: shape \(16,\) for tables of shape \(8,\)",
        ),
        (
            {"start": labels(a=V, b=V * math.nan)},
            r"start\['b'\]: interactions that are not finite; give finite ones",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_arguments_out_of_range(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(BequeathError, match=message):
        decompose_jointly({"a": V, "b": V + 1}, **arguments)
