"""The linear maps against their definitions by sums."""

from __future__ import annotations

from collections.abc import Callable

import lattice_oracles as oracle
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from bequeath.errors import BequeathError
from bequeath.lattice import transforms

Map = Callable[[Tensor], Tensor]
MAPS: dict[str, tuple[Map, Map, Callable[[np.ndarray], np.ndarray]]] = {
    "zeta": (transforms.zeta, transforms.zeta_adjoint, oracle.zeta),
    "moebius": (transforms.moebius, transforms.moebius_adjoint, oracle.moebius),
    "or_zeta": (transforms.or_zeta, transforms.or_zeta_adjoint, oracle.or_zeta),
    "or_moebius": (transforms.or_moebius, transforms.or_moebius_adjoint, oracle.or_moebius),
}
NAMES = sorted(MAPS)
each_map = pytest.mark.parametrize("name", NAMES)
VALUES = st.floats(-100, 100, allow_subnormal=False)
tables = st.integers(1, 6).flatmap(lambda n: arrays(np.float64, 2**n, elements=VALUES))
pairs = st.integers(1, 6).flatmap(lambda n: st.tuples(*[arrays(np.float64, 2**n, elements=VALUES)] * 2))
# 2**6 terms of size 100, added in another order
TOLERANCE = {"rtol": 0, "atol": 1e-10}


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@each_map
@given(table=tables)
def test_definition_by_sums(name: str, table: np.ndarray) -> None:
    fast, _, slow = MAPS[name]
    given_table = torch.from_numpy(table.copy())
    np.testing.assert_allclose(fast(given_table).numpy(), slow(table), **TOLERANCE)
    assert torch.equal(given_table, torch.from_numpy(table)), "the input was changed"


@given(table=tables)
def test_inverses(table: np.ndarray) -> None:
    v = torch.from_numpy(table)
    torch.testing.assert_close(transforms.moebius(transforms.zeta(v)), v, **TOLERANCE)
    torch.testing.assert_close(transforms.zeta(transforms.moebius(v)), v, **TOLERANCE)
    grounded = v - v[0]
    torch.testing.assert_close(transforms.or_zeta(transforms.or_moebius(grounded)), grounded, **TOLERANCE)
    effects = v.clone()
    effects[0] = 0
    torch.testing.assert_close(transforms.or_moebius(transforms.or_zeta(effects)), effects, **TOLERANCE)


@each_map
@given(pair=pairs)
def test_adjoint_identity(name: str, pair: tuple[np.ndarray, np.ndarray]) -> None:
    fast, adjoint, _ = MAPS[name]
    x, y = map(torch.from_numpy, pair)
    torch.testing.assert_close(fast(x) @ y, x @ adjoint(y), rtol=1e-10, atol=1e-6)


@each_map
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_adjoint_is_the_transposed_matrix(name: str, n: int) -> None:
    _, adjoint, slow = MAPS[name]
    matrix = np.stack([slow(unit) for unit in np.eye(2**n)], axis=1)
    rows = adjoint(torch.eye(2**n, dtype=torch.float64))  # row i: the adjoint of unit vector i
    np.testing.assert_allclose(rows.numpy(), matrix, atol=1e-12)


@each_map
@given(pair=pairs, factor=st.floats(-10, 10))
def test_linear(name: str, pair: tuple[np.ndarray, np.ndarray], factor: float) -> None:
    fast = MAPS[name][0]
    x, y = map(torch.from_numpy, pair)
    torch.testing.assert_close(fast(factor * x + y), factor * fast(x) + fast(y), rtol=0, atol=1e-8)


@each_map
@given(table=tables, data=st.data())
def test_renamed_players_rename_the_result(name: str, table: np.ndarray, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(table).bit_length() - 1)))
    for fast in MAPS[name][:2]:
        v = torch.from_numpy(table)
        torch.testing.assert_close(
            fast(oracle.permute(v, order)), oracle.permute(fast(v), order), **TOLERANCE
        )


@each_map
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batches_dtypes_and_strides(name: str, dtype: torch.dtype) -> None:
    slow = MAPS[name][2]
    v = random(3, 2, 32, dtype=dtype)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-12
    for fast in (MAPS[name][0], MAPS[name][1]):
        out = fast(v)
        assert out.dtype == dtype
        assert out.shape == v.shape
        alone = torch.stack([torch.stack([fast(t) for t in row]) for row in v])
        torch.testing.assert_close(out, alone, rtol=0, atol=tolerance)
        strided = v.movedim(-1, 0).contiguous().movedim(0, -1)
        torch.testing.assert_close(fast(strided), out, rtol=0, atol=tolerance)
        torch.testing.assert_close(fast(v[0, 0].expand(4, 32))[3], out[0, 0], rtol=0, atol=tolerance)
        assert fast(v[:0]).shape == (0, 2, 32)
    np.testing.assert_allclose(
        MAPS[name][0](v)[1, 1].double().numpy(), slow(v[1, 1].double().numpy()), atol=tolerance
    )


@each_map
@pytest.mark.parametrize("length", [0, 1, 3, 12])
def test_bad_lengths(name: str, length: int) -> None:
    for fast in MAPS[name][:2]:
        with pytest.raises(BequeathError, match="2\\*\\*n"):
            fast(torch.zeros(2, length))


@pytest.mark.parametrize("n", [2, 5, 8])
def test_moebius_is_shapiqs(n: int) -> None:
    shapiq = pytest.importorskip("shapiq", reason="shapiq, the outside oracle, is a development extra")
    v = random(2**n, seed=n)

    def game(coalitions: np.ndarray) -> np.ndarray:
        return v[torch.from_numpy(np.asarray(coalitions) @ (1 << np.arange(n)))].numpy()

    theirs = shapiq.ExactComputer(game, n_players=n)("Moebius", order=n)
    ours = transforms.moebius(v)
    for subset in range(2**n):
        players = tuple(i for i in range(n) if subset >> i & 1)
        if players:  # shapiq keeps v(0) apart, as its baseline
            assert theirs[players] == pytest.approx(ours[subset].item(), abs=1e-9)
