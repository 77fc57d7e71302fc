"""Both engines, compiled kernels and matrix products, against NumPy's Kronecker powers."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest
import torch

from bequeath.errors import BequeathError
from bequeath.lattice import kronecker, transforms
from bequeath.lattice.kronecker import kronecker_power

MATRIX = ((0.3, -1.2), (0.8, 0.5))
MOEBIUS = ((1.0, 0.0), (-1.0, 1.0))
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def tolerance(dtype: torch.dtype) -> float:
    return 1e-4 if dtype == torch.float32 else 1e-12


@pytest.fixture(params=["compiled", "products"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "products":
        monkeypatch.setattr(kronecker, "kernels", lambda module: None)
    else:
        assert kronecker.kernels("bequeath.lattice.exact.kernels") is not None, (
            "numba is a dependency: it must import"
        )
    return request.param


@DTYPES
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 9])
def test_is_numpys_kronecker_power(engine: str, n: int, dtype: torch.dtype) -> None:
    x = random(3, 2**n, dtype=dtype)
    dense = np.ones((1, 1))
    for _ in range(n):
        dense = np.kron(np.array(MATRIX), dense)
    out = kronecker_power(x, MATRIX)
    assert out.dtype == dtype
    np.testing.assert_allclose(out.double().numpy(), x.double().numpy() @ dense.T, atol=tolerance(dtype))
    torch.testing.assert_close(kronecker_power(x[1], MATRIX), out[1], rtol=0, atol=tolerance(dtype))
    assert kronecker_power(x[:0], MATRIX).shape == (0, 2**n)


def slow_moebius(v: torch.Tensor) -> torch.Tensor:
    out = v.clone()
    for bit in range(v.shape[-1].bit_length() - 1):
        pairs = out.view(-1, 2, 1 << bit)
        pairs[:, 1] -= pairs[:, 0]
    return out


@DTYPES
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("n", [12, 14, 15, 16, 19, 20, 21, 23])
def test_long_tables(n: int, threads: int, dtype: torch.dtype) -> None:
    """Tables larger than a cache: blocks of low bits, then tiles of high bits. Integers make all sums exact."""
    v = torch.randint(-1, 2, (2**n,), generator=torch.Generator().manual_seed(n)).to(dtype)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        result = kronecker_power(v, MOEBIUS)
        assert torch.equal(result, slow_moebius(v))
        assert kronecker_power(v, MOEBIUS, out=v) is v
        assert torch.equal(v, result)
    finally:
        torch.set_num_threads(before)


@DTYPES
@pytest.mark.parametrize("n", [1, 2, 3, 7, 8])
def test_in_place_and_into_another(engine: str, n: int, dtype: torch.dtype) -> None:
    x = random(2, 3, 2**n, dtype=dtype)
    kept, expected = x.clone(), kronecker_power(x, MATRIX)
    assert torch.equal(x, kept)
    elsewhere = torch.full_like(x, torch.nan)
    assert kronecker_power(x, MATRIX, out=elsewhere) is elsewhere
    assert torch.equal(elsewhere, expected)
    strided = torch.full((2, 2**n, 3), torch.nan, dtype=dtype).movedim(1, 2)
    assert kronecker_power(x, MATRIX, out=strided) is strided
    assert torch.equal(strided, expected)
    strided.copy_(x)
    kronecker_power(strided, MATRIX, out=strided)
    assert torch.equal(strided, expected)
    assert kronecker_power(x, MATRIX, out=x) is x
    assert torch.equal(x, expected)


def test_threads_and_batches_change_no_bit() -> None:
    x = random(64, 2**12)
    alone = torch.stack([kronecker_power(row, MATRIX) for row in x])
    for threads in (1, 2):
        torch.set_num_threads(threads)
        assert torch.equal(kronecker_power(x, MATRIX), alone)


def test_gradients_flow() -> None:
    v = random(2, 16).requires_grad_()
    transforms.moebius(v).square().sum().backward()
    assert v.grad is not None
    expected = 2 * transforms.moebius_adjoint(transforms.moebius(v.detach()))
    torch.testing.assert_close(v.grad, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "out", [torch.zeros(2, 8), torch.zeros(3, 16), torch.zeros(2, 16, dtype=torch.float64)]
)
def test_out_that_does_not_fit(out: torch.Tensor) -> None:
    with pytest.raises(BequeathError, match=r"out: .*float.*give a tensor like the table"):
        kronecker_power(torch.zeros(2, 16), MATRIX, out=out)


@pytest.mark.parametrize("length", [0, 1, 3, 12])
def test_bad_lengths(length: int) -> None:
    with pytest.raises(BequeathError, match="2\\*\\*n"):
        kronecker_power(torch.zeros(2, length), MATRIX)


def _in_child(x: torch.Tensor, results: multiprocessing.Queue) -> None:
    # Nothing else of torch, because its threads do not survive a fork.
    results.put(kronecker_power(x, MATRIX).numpy()[12345])


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
def test_works_after_a_fork() -> None:
    """The child inherits a pool without threads and must not wait for them."""
    torch.set_num_threads(2)
    x = random(2**18)
    expected = kronecker_power(x, MATRIX)
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue = context.Queue()
    child = context.Process(target=_in_child, args=(x, results))
    child.start()
    try:
        assert results.get(timeout=60) == expected[12345].item()
    finally:
        child.terminate()
        child.join()


@pytest.mark.parametrize("error", [ImportError("no numba"), RuntimeError("no locator available")])
def test_without_numba_it_is_said_and_goes_on(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(module: str) -> None:
        raise error

    expected = kronecker_power(random(2**5), MATRIX)
    monkeypatch.setattr(kronecker, "import_module", failing)
    kronecker.kernels.cache_clear()
    try:
        with pytest.warns(UserWarning, match=f"{error}.*many times slower"):
            found = kronecker_power(random(2**5), MATRIX)
    finally:
        kronecker.kernels.cache_clear()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
