"""Memory of a forward pass, memory budgets, and the batch size that follows."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import bequeath as bq
from bequeath.games.memory import BatchSize, PeakBytes, is_out_of_memory, memory_budget

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GiB", 4 * 2**30),
        ("500MB", 500 * 10**6),
        (" 1.5 kib ", 1536),
        ("2k", 2000),
        ("0.5T", 5 * 10**11),
        ("123", 123),
        ("7b", 7),
        (456, 456),
    ],
)
def test_budgets_are_read(text, size):
    assert memory_budget(text, CPU) == size


@pytest.mark.parametrize("text", ["", "GiB", "4 GiBs", "1.2.3MB", "-5MB", "1e9", "0", 0, -1, "0.4"])
def test_budgets_that_are_none_are_named(text):
    with pytest.raises(bq.BequeathError, match='give bytes, or a text such as "4GiB"'):
        memory_budget(text, CPU)


def test_half_of_what_is_free_is_the_default(monkeypatch):
    monkeypatch.setattr("bequeath.games.memory.available_bytes", lambda device: 1000)
    assert memory_budget(None, CPU) == 500


MADE = {
    # name: (function, bytes at the worst moment)
    "one": (lambda: torch.ones(100), 400),
    "two at a time": (lambda: torch.ones(100) + 1, 800),
    "the first is let go": (lambda: torch.ones(100).add(1).add(1), 800),
    "in place": (lambda: torch.ones(100).add_(1).relu_(), 400),
    "views": (lambda: torch.ones(10, 10).T[1:], 400),
    "doubles": (lambda: torch.ones(100, dtype=torch.float64), 800),
    "joined": (lambda: torch.cat((torch.ones(50), torch.ones(50))), 800),
    "parts": (lambda: torch.ones(100).split(10), 400),
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_the_peak_is_what_tensors_hold_at_the_worst_moment(name, mode):
    function, size = MADE[name]
    with mode(), PeakBytes() as measured:
        function()
    assert measured.peak == size


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_weights_and_inputs_that_were_there_before_do_not_count(mode):
    net, x = nn.Sequential(nn.Linear(1000, 500), nn.Linear(500, 10)), torch.randn(3, 1000)
    with mode(), PeakBytes() as measured:
        net(x.view(3, 1000))
    assert measured.peak == 4 * 3 * (500 + 10)


def test_a_tensor_made_at_the_place_of_one_that_is_gone_counts():
    with torch.inference_mode(), PeakBytes() as measured:
        for size in range(1, 50):
            torch.ones(size * 1000)
    assert measured.peak == 4 * 49_000


def found(seconds, limit=None, given=None, calls=200):
    """The size at the end of a search, if a batch of b inputs takes seconds(b)."""
    size = BatchSize(given)
    if limit is not None:
        size.fits(limit)
    for _ in range(calls):
        size.took(size.size, size.size, seconds(size.size))
        assert limit is None or size.size <= limit
    return size.size


@pytest.mark.parametrize(
    ("seconds", "limit", "size"),
    [
        (lambda b: 1.0, None, 4096),  # a call costs the same whatever it holds
        (lambda b: 1.0, 100, 100),
        (lambda b: 1.0, 5, 5),
        (lambda b: b / 10, None, 8),  # an input costs the same in any batch
        (lambda b: 10 + b, None, 512),  # 1,024 would be less than 2 % faster
        (lambda b: b if b <= 64 else 2 * b, None, 8),
        (lambda b: 100 / b + b, None, 128),
    ],
)
def test_larger_batches_are_taken_while_they_are_faster(seconds, limit, size):
    assert found(seconds, limit) == size


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_a_given_size_is_kept_but_for_the_limit(size, limit):
    assert found(lambda b: 1.0, limit, size, 10) == min(size, limit)


def test_a_limit_that_comes_later_holds_for_the_best_size_so_far_too():
    size = BatchSize(None)
    for _ in range(10):
        size.took(size.size, size.size, 1.0)
    assert size.size > 100
    size.fits(20)
    for _ in range(10):
        size.took(size.size, size.size, 1.0)
        assert size.size <= 20


def test_running_out_halves_and_stops_the_search():
    size = BatchSize(None)
    for _ in range(8):
        size.took(size.size, size.size, 1.0)
    assert size.size == 128
    size.ran_out(128)
    for _ in range(10):
        size.took(size.size, size.size, 1.0)
    assert size.size == 64
    size.ran_out(3)
    assert size.size == 1
    with pytest.raises(bq.BequeathError, match="not even one masked input fits"):
        size.ran_out(1)


@pytest.mark.parametrize(
    ("error", "ran_out"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("x"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_that_say_that_memory_ran_out(error, ran_out):
    assert is_out_of_memory(error) is ran_out
