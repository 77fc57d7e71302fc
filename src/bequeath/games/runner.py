"""Runs masked inputs of games of one model in full batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bequeath.errors import BequeathError
from bequeath.games.inputs import Inputs, device_of, in_eval_mode
from bequeath.games.memory import BatchSize, PeakBytes, is_out_of_memory, memory_budget
from bequeath.games.options import Evaluation, device_named
from bequeath.games.players.features import MaskedFeatures
from bequeath.games.players.masked import MaskedInput, MaskedTensor
from bequeath.games.prefix import with_prefix
from bequeath.games.reuse import with_reuse

# Share of the memory budget for features that are kept for reuse.
_REUSE_SHARE = 0.25
_COMPILED_BATCH = 32


@dataclass(eq=False)
class Request:
    """Values of one game to be computed.

    Attributes
    ----------
    name, masked, value
        Name of the sample, sample with players and baseline, value function.
    out : Tensor
        Value of each mask, float64 (masks,).
    left : int
        Number of values that are still missing.
    width : int
        Numbers in one input with all players shown.
    """

    name: str
    masked: MaskedInput
    value: Callable[[Tensor], Tensor]
    out: Tensor
    left: int
    width: int


@dataclass(frozen=True, eq=False)
class _Piece:
    """Some masks of a request, and the rows of `Request.out` for their values."""

    request: Request
    rows: Tensor
    masks: Tensor


class Runner:
    """Collects masks of games of one model, runs them in full batches, and writes the values to the requests.

    Parameters
    ----------
    model : nn.Module
        It is put into eval mode, moved to the device, and brought to the layout that the options ask for.
    how : Evaluation
        Options.
    """

    def __init__(self, model: nn.Module, how: Evaluation) -> None:
        self.how = how
        self.device = device_named(how.device) if how.device is not None else device_of(model)
        self.model = in_eval_mode(model).to(self.device)
        last = _has_conv(model) if how.channels_last is None else how.channels_last
        # An explicit option sets the layout in both cases: images read from files are channels-last.
        self.layout = torch.channels_last if last else torch.contiguous_format
        if last or how.channels_last is False:
            model.to(memory_format=self.layout)  # type: ignore[call-overload]
        self.budget = memory_budget(how.memory, self.device)
        given = how.batch_size or (_COMPILED_BATCH if how.compile else None)
        self.size = BatchSize(given)
        # Width of the widest input that was measured, width of the widest input so far, bytes per number of an input.
        self._measured, self._widest, self._bytes = 0, 0, 0.0
        self._called: Any = torch.compile(self.model, dynamic=False) if how.compile else self.model
        self._pending: list[_Piece] = []
        self._waiting = 0
        self._last: tuple[MaskedInput, Callable[[Inputs], Tensor]] | None = None

    def request(
        self, name: str, masked: MaskedInput, value: Callable[[Tensor], Tensor], wanted: int
    ) -> Request:
        """Make a request for so many values; parts that do not depend on the mask are reused if that saves work.

        Raises
        ------
        BequeathError
            If the model is compiled and the players lie inside it.
        """
        masked = masked.to(self.device)
        if self.how.compile and isinstance(masked, MaskedFeatures):
            raise BequeathError(
                f"{name}: compile does not work with players inside the network; leave it out"
            )
        if self.how.reuse and not self.how.compile:
            try:
                with torch.inference_mode(), self._autocast():
                    masked = with_reuse(self.model, masked, wanted, int(self.budget * _REUSE_SHARE))
                    masked = with_prefix(self.model, masked)
            except Exception as error:  # without reuse, the memory may be enough
                if not is_out_of_memory(error):
                    raise
        width = _width(masked)
        if width > self._widest:
            self._widest = width
            if self._bytes:
                self.size.fits(int(self.budget / (self._bytes * width)))
        return Request(name, masked, value, torch.empty(wanted, dtype=torch.float64), wanted, width)

    def add(self, request: Request, rows: Tensor, masks: Tensor) -> None:
        """Queue masks (rows, players), whose values go to `request.out[rows]`; full batches are run at once."""
        keys = request.masked.order(masks)
        if keys is not None:
            order = keys.argsort(descending=True, stable=True).cpu()
            rows, masks = rows[order], masks[order.to(masks.device)]
        if self._pending and self._pending[-1].request.masked.batch_key() != request.masked.batch_key():
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
        """Size of the next batch: 1 until it is measured how many inputs fit into a given budget."""
        known = self.how.memory is None or self.how.compile or self._measured
        return self.size.size if known else 1

    def flush(self) -> None:
        """Run all masks that are queued."""
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
        # After the handler, because the error keeps the tensors of the failed pass alive.
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
        # After all values are computed: if memory runs out, no value has been written.
        for piece, of_piece in zip(pieces, values, strict=True):
            self._write(piece, of_piece)
        if measured is not None:
            self._measured, self._bytes = width, max(measured.peak, 1) / count / width
            self.size.fits(int(self.budget / (self._bytes * self._widest)))
        else:
            self.size.took(count, work, time.perf_counter() - begin)

    def _joined(self, pieces: Sequence[_Piece], count: int) -> tuple[Inputs, float]:
        """One batch of model inputs, and the amount of its work."""
        parts = [piece.request.masked.inputs(piece.masks.to(self.device)) for piece in pieces]
        if self.how.compile and count < self.size.size:
            first = pieces[0]
            more = first.masks[:1].expand(self.size.size - count, -1).to(self.device)
            parts.append(first.request.masked.inputs(more))
        inputs = parts[0] if len(parts) == 1 else pieces[0].request.masked.joined(parts)
        if not isinstance(inputs, Tensor):
            # Longer texts are more work; removed tokens make texts shorter.
            return inputs, count * next(iter(inputs.values())).shape[1]
        # Images only: features from inside the network keep the layout of their layer.
        if inputs.ndim == 4 and type(pieces[0].request.masked) is MaskedTensor:
            inputs = inputs.contiguous(memory_format=self.layout)
        return inputs, count

    def _network(self, masked: MaskedInput) -> Callable[[Inputs], Tensor]:
        # The last network is kept together with its sample: a key may be the sample's id, which Python would give to
        # another object once the sample is gone.
        if self._last is None or self._last[0].batch_key() != masked.batch_key():
            self._last = masked, masked.network(self._called)
        return self._last[1]

    def _write(self, piece: _Piece, values: Any) -> None:
        """Check the values of a piece and write them to its request."""
        request = piece.request
        if not isinstance(values, Tensor) or values.shape != piece.rows.shape:
            given = tuple(values.shape) if isinstance(values, Tensor) else f"a {type(values).__name__}"
            raise BequeathError(
                f"{request.name}: the value function returns {given} for {len(piece.rows)} rows of logits; "
                "it must return a tensor with one number for each row"
            )
        values = values.to("cpu", torch.float64)
        bad = ~torch.isfinite(values)
        if bad.any():
            row = int(bad.nonzero()[0])
            mask = "".join("1" if kept else "0" for kept in piece.masks[row].tolist())
            raise BequeathError(
                f"{request.name}: the model's value is {values[row].item()} on mask {mask} "
                f"(1 = player shown, player 0 first); give a model whose outputs are finite"
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
    """Values of one sample for masks, bool (masks, players): (masks,), float64, on the CPU."""
    runner = Runner(model, how)
    request = runner.request(name, masked, value, len(masks))
    runner.add(request, torch.arange(len(masks)), masks)
    runner.flush()
    return request.out


def _width(masked: MaskedInput) -> int:
    """Numbers in one input with all players shown."""
    with torch.inference_mode():
        inputs = masked.inputs(torch.ones(1, len(masked.names), dtype=torch.bool))
    return sum(part.numel() for part in ([inputs] if isinstance(inputs, Tensor) else inputs.values()))


def _has_conv(model: nn.Module) -> bool:
    return any(isinstance(module, nn.Conv2d) for module in model.modules())
