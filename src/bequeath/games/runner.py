"""Masked inputs of one model's games, run in full batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError, first_line
from bequeath.games.inputs import Inputs, device_of, in_eval_mode
from bequeath.games.memory import BatchSize, PeakBytes, is_out_of_memory, memory_budget
from bequeath.games.players.features import MaskedFeatures
from bequeath.games.players.masked import MaskedInput, MaskedTensor
from bequeath.games.prefix import with_prefix
from bequeath.games.reuse import with_reuse

Autocast = Literal["bfloat16", "float16"]

# Features that are kept for reuse may take this share of the memory budget.
_REUSE_SHARE = 0.25
_COMPILED_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of `Evaluation` but the batch size, which a study file says in its own way."""

    device: str | None = None
    memory: str | int | None = None
    autocast: Autocast | None = None
    channels_last: bool | None = None
    compile: bool = False
    reuse: bool = True


@dataclass(frozen=True)
class Evaluation(Options):
    """How models are run.

    Attributes
    ----------
    batch_size : int or None
        Masked inputs in one forward pass; None: the fastest that fits, found on the work itself.
    device : str or None
        Where models are moved to and run, such as "cuda"; None: where they are.
    memory : str, int or None
        Budget for inputs and activations, such as "4GiB" or a number of bytes; None: half of what is free. With
        `compile` batches are not measured, and lowered only when memory runs out.
    autocast : "bfloat16", "float16" or None
        Lower precision for the layers that torch's autocast picks; `effect_on_values` tells what it does to v.
    channels_last : bool or None
        Whether images and the model's weights are laid out channels-last (same numbers up to rounding; faster for
        most convolutions); None: where the model has 2-d convolutions.
    compile : bool
        Run the model through `torch.compile`; partial batches are filled up, so that it compiles once.
    reuse : bool
        Compute once what does not depend on the mask: early layers of image models per local pattern, a fixed prompt.
        The numbers are the same up to rounding.
    """

    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise BequeathError(f"batch_size: {self.batch_size}; give at least 1, or None to have it found")
        if self.autocast not in (None, "bfloat16", "float16"):
            raise BequeathError(f'autocast: {self.autocast!r}; give "bfloat16", "float16" or None')
        if self.memory is not None:
            memory_budget(self.memory, torch.device("cpu"))
        if self.device is not None:
            _device(self.device)

    @classmethod
    def of(cls, options: Mapping[str, Any], *others: str) -> Evaluation:
        """From options by name.

        Raises
        ------
        BequeathError
            If one is unknown, naming it and those that there are: these, and `others` that the caller takes.
        """
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise BequeathError(f"{name}: no such option; there are {', '.join([*known, *others])}")
        return cls(**options)


@dataclass(eq=False)
class Request:
    """Values that are wanted of one game: `out[i]` for the i-th mask, `left` of them not there yet.

    `width` is how many numbers one of its inputs has, nothing of it removed.
    """

    name: str
    masked: MaskedInput
    value: Callable[[Tensor], Tensor]
    out: Tensor
    left: int
    width: int


@dataclass(frozen=True, eq=False)
class _Piece:
    request: Request
    rows: Tensor
    masks: Tensor


class Runner:
    """Collects masks of one model's games until a batch is full, runs it, and hands the values out.

    Parameters
    ----------
    model : nn.Module
        Put into eval mode, moved to the device, and laid out channels-last where that is asked for.
    how : Evaluation
    """

    def __init__(self, model: nn.Module, how: Evaluation) -> None:
        self.how = how
        self.device = _device(how.device) if how.device is not None else device_of(model)
        self.model = in_eval_mode(model).to(self.device)
        last = _has_conv(model) if how.channels_last is None else how.channels_last
        # Said outright either way, where it is asked for: pictures read from files come channels-last.
        self.layout = torch.channels_last if last else torch.contiguous_format
        if last or how.channels_last is False:
            model.to(memory_format=self.layout)  # type: ignore[call-overload]
        self.budget = memory_budget(how.memory, self.device)
        given = how.batch_size or (_COMPILED_BATCH if how.compile else None)
        self.size = BatchSize(given)
        # The widest input whose memory was measured and the widest one there is; bytes for each of its numbers.
        self._measured, self._widest, self._bytes = 0, 0, 0.0
        self._called: Any = torch.compile(self.model, dynamic=False) if how.compile else self.model
        self._pending: list[_Piece] = []
        self._waiting = 0
        self._last: tuple[MaskedInput, Callable[[Inputs], Tensor]] | None = None

    def request(
        self, name: str, masked: MaskedInput, value: Callable[[Tensor], Tensor], wanted: int
    ) -> Request:
        """A new request of so many values, its early features reused where that pays."""
        masked = masked.to(self.device)
        if self.how.compile and isinstance(masked, MaskedFeatures):
            raise BequeathError(f"{name}: compile does not go with players inside the network; leave it out")
        if self.how.reuse and not self.how.compile:
            try:
                with torch.inference_mode(), self._autocast():
                    masked = with_reuse(self.model, masked, wanted, int(self.budget * _REUSE_SHARE))
                    masked = with_prefix(self.model, masked)
            except Exception as error:  # without reuse there may be memory enough
                if not is_out_of_memory(error):
                    raise
        width = _width(masked)
        if width > self._widest:
            self._widest = width
            if self._bytes:
                self.size.fits(int(self.budget / (self._bytes * width)))
        return Request(name, masked, value, torch.empty(wanted, dtype=torch.float64), wanted, width)

    def add(self, request: Request, rows: Tensor, masks: Tensor) -> None:
        """Have `request.out[rows]` filled for masks (rows, players), now or with a later batch."""
        keys = request.masked.order(masks)
        if keys is not None:
            order = keys.argsort(descending=True, stable=True).cpu()
            rows, masks = rows[order], masks[order.to(masks.device)]
        if self._pending and self._pending[-1].request.masked.kin() != request.masked.kin():
            self.flush()
        while len(rows):
            room = max(self._batch() - self._waiting, 0)
            if room:
                self._pending.append(_Piece(request, rows[:room], masks[:room]))
                self._waiting += len(rows[:room])
                rows, masks = rows[room:], masks[room:]
            if self._waiting >= self._batch():
                self.flush()

    def _batch(self) -> int:
        """How many inputs go into the next batch: a single one until it is known how many a given budget holds."""
        known = self.how.memory is None or self.how.compile or self._measured
        return self.size.size if known else 1

    def flush(self) -> None:
        """Run what is waiting."""
        pieces, self._pending, self._waiting = self._pending, [], 0
        if not pieces:
            return
        try:
            self._run(pieces)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self.size.ran_out(sum(len(piece.rows) for piece in pieces))
        else:
            return
        # Behind the handler: the error held the tensors of the failed pass.
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        for piece in pieces:
            self.add(piece.request, piece.rows, piece.masks)
        self.flush()

    def _run(self, pieces: Sequence[_Piece]) -> None:
        count = sum(len(piece.rows) for piece in pieces)
        begin = time.perf_counter()
        width = max(piece.request.width for piece in pieces)
        peak = nullcontext() if self.how.compile or width <= self._measured else PeakBytes()
        with torch.inference_mode(), self._autocast(), peak as measured:
            inputs, work = self._joined(pieces, count)
            output = self._network(pieces[0].request.masked)(inputs)[:count]
            parts = torch.split(output, [len(piece.rows) for piece in pieces])
            values = [piece.request.value(part) for piece, part in zip(pieces, parts, strict=True)]
        # All at once: where memory runs out, none is handed out.
        for piece, found in zip(pieces, values, strict=True):
            self._hand_out(piece, found)
        if measured is not None:
            self._measured, self._bytes = width, max(measured.peak, 1) / count / width
            self.size.fits(int(self.budget / (self._bytes * self._widest)))
        else:
            self.size.took(count, work, time.perf_counter() - begin)

    def _joined(self, pieces: Sequence[_Piece], count: int) -> tuple[Inputs, float]:
        """One batch of model inputs, and how much work it is."""
        parts = [piece.request.masked.inputs(piece.masks.to(self.device)) for piece in pieces]
        if self.how.compile and count < self.size.size:
            first = pieces[0]
            more = first.masks[:1].expand(self.size.size - count, -1).to(self.device)
            parts.append(first.request.masked.inputs(more))
        inputs = parts[0] if len(parts) == 1 else pieces[0].request.masked.joined(parts)
        if not isinstance(inputs, Tensor):
            # Longer texts are more work: removed tokens leave shorter ones.
            return inputs, count * next(iter(inputs.values())).shape[1]
        # Pictures only: what comes from inside the network lies as the layer gives it.
        if inputs.ndim == 4 and type(pieces[0].request.masked) is MaskedTensor:
            inputs = inputs.contiguous(memory_format=self.layout)
        return inputs, count

    def _network(self, masked: MaskedInput) -> Callable[[Inputs], Tensor]:
        # Only the last kind is kept, with the sample that it came from: the identity of one that is gone, which can be
        # its kin, is given out again.
        if self._last is None or self._last[0].kin() != masked.kin():
            self._last = masked, masked.network(self._called)
        return self._last[1]

    def _hand_out(self, piece: _Piece, found: Any) -> None:
        request = piece.request
        if not isinstance(found, Tensor) or found.shape != piece.rows.shape:
            given = tuple(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
            raise BequeathError(
                f"{request.name}: the value function gives {given} for {len(piece.rows)} rows of logits; "
                "it must give one number a row, as a tensor"
            )
        values = found.to("cpu", torch.float64)
        bad = ~torch.isfinite(values)
        if bad.any():
            row = int(bad.nonzero()[0])
            mask = "".join("1" if kept else "0" for kept in piece.masks[row].tolist())
            raise BequeathError(
                f"{request.name}: the model's value is {values[row].item()} on mask {mask} "
                f"(1 = player shown, player 0 first)"
            )
        request.out[piece.rows] = values
        request.left -= len(values)

    def _autocast(self) -> Any:
        if self.how.autocast is None:
            return nullcontext()
        return torch.autocast(self.device.type, getattr(torch, self.how.autocast))


def values(
    model: nn.Module,
    masked: MaskedInput,
    value: Callable[[Tensor], Tensor],
    masks: Tensor,
    how: Evaluation,
    name: str,
) -> Tensor:
    """v of one sample for masks (masks, players), bool -> (masks,) float64 on the CPU."""
    runner = Runner(model, how)
    request = runner.request(name, masked, value, len(masks))
    runner.add(request, torch.arange(len(masks)), masks)
    runner.flush()
    return request.out


def _device(name: str) -> torch.device:
    try:
        # With its number, as tensors have it: "cuda" is no equal of "cuda:0".
        device = torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise BequeathError(
            f"device: {name!r} cannot be used ({first_line(error)}); give cpu, or leave it out"
        ) from None
    return device


def _width(masked: MaskedInput) -> int:
    """Numbers in one input, nothing of it removed."""
    with torch.inference_mode():
        inputs = masked.inputs(torch.ones(1, len(masked.names), dtype=torch.bool))
    return sum(part.numel() for part in ([inputs] if isinstance(inputs, Tensor) else inputs.values()))


def _has_conv(model: nn.Module) -> bool:
    return any(isinstance(module, nn.Conv2d) for module in model.modules())
