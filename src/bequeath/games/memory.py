"""Memory that a forward pass needs, memory that it may use, and the batch size that follows."""

from __future__ import annotations

import re
import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bequeath.errors import BequeathError
from bequeath.lattice.memory import available_bytes

_UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
# Texts in errors of the CPU's allocator, of GPU allocators, and of GPU libraries.
_RAN_OUT = ("can't allocate memory", "out of memory", "status_alloc_failed")
# Share of the free memory that is used without a budget.
_SHARE = 0.5
_FIRST, _MOST = 8, 4096
# A larger batch is kept only if the smaller one reaches less than this share of its speed.
_GAIN = 0.98


def memory_budget(memory: str | int | None, device: torch.device) -> int:
    """Bytes that inputs and activations may use: as given ("4GiB", "500MB", a number), else half of the free memory.

    Raises
    ------
    BequeathError
        If a text cannot be parsed, or the budget is not positive.
    """
    if memory is None:
        return int(_SHARE * available_bytes(device))
    if isinstance(memory, str):
        match = re.fullmatch(r"\s*([\d.]+)\s*([kmgt]i?|)b?\s*", memory.lower())
        try:
            budget = int(float(match[1]) * _UNITS[match[2]]) if match else 0
        except ValueError:
            budget = 0
    else:
        budget = int(memory)
    if budget <= 0:
        raise BequeathError(f'memory: {memory!r}; give bytes, or a text such as "4GiB" or "500MB"')
    return budget


class PeakBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Measures the peak memory, in bytes, of the tensors that are made within the block, on any device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._live: dict[int, int] = {}
        self._now = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Asked by PyTorch. False avoids the import of its compiler, which takes a second and is not needed here."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # Views of existing tensors, such as transposed weights, use no new memory.
        existing = {
            part.untyped_storage()._cdata for part in tree_leaves((args, kwargs)) if isinstance(part, Tensor)
        }
        made = func(*args, **(kwargs or {}))
        for part in tree_leaves(made):
            if isinstance(part, Tensor) and part.untyped_storage()._cdata not in existing:
                self._count(part.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._live:
            return
        self._live[key] = storage.nbytes()
        self._now += storage.nbytes()
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._freed, key)

    def _freed(self, key: int) -> None:
        self._now -= self._live.pop(key, 0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the CPU or on a GPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _RAN_OUT)


class BatchSize:
    """The number of inputs in one batch: as given, or the fastest of 8, 16, 32, ... that fits into memory.

    Sizes are tried during the work, two batches each, until a larger one is not faster.

    Parameters
    ----------
    given : int or None
        A fixed size, which is lowered only if memory runs out; None: search.
    """

    def __init__(self, given: int | None) -> None:
        self.size = given or _FIRST
        self._searching = given is None
        self._limit = _MOST if given is None else given
        self._rates: dict[int, list[float]] = {}

    def fits(self, limit: int) -> None:
        """Set the largest number of inputs that fits into the budget."""
        self._limit = max(1, min(self._limit, limit))
        if self.size > self._limit:
            self.size = self._limit

    def took(self, inputs: int, work: float, seconds: float) -> None:
        """Record the time of a batch: number of inputs, amount of work, seconds."""
        if not self._searching or inputs != self.size:
            return
        rates = self._rates.setdefault(self.size, [])
        rates.append(work / max(seconds, 1e-9))
        if len(rates) < 2:
            return
        best = max(self._rates, key=lambda size: max(self._rates[size]))
        smaller = [max(rates) for size, rates in self._rates.items() if size < self.size]
        grown = not smaller or max(smaller) < _GAIN * max(rates)
        if grown and self.size < self._limit:
            self.size = min(2 * self.size, self._limit)
        else:
            self.size, self._searching = min(best, self._limit), False

    def ran_out(self, inputs: int) -> None:
        """Lower the size after a batch of so many inputs did not fit into memory.

        Raises
        ------
        BequeathError
            If the batch was a single input.
        """
        if inputs <= 1:
            raise BequeathError(
                "memory: not even one masked input fits; free memory, use a smaller model or input, or another device"
            )
        self._searching = False
        self.fits(inputs // 2)
