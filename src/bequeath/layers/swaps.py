"""Swaps: the model after with some blocks put back to their state before, its accuracy and its interactions."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bequeath.bars import Tick
from bequeath.games.explain import explain
from bequeath.knowledge.compare import compare
from bequeath.lattice.interactions import Interactions
from bequeath.layers.pair import Pair
from bequeath.models.blocks import Block
from bequeath.models.probe import features, fit_probe
from bequeath.study.findings.plain import plain
from bequeath.training.batch_norm import with_fresh_batch_norm

# Number of training samples on which BatchNorm statistics are taken anew, and of samples in a batch.
_BATCH_NORM_SAMPLES, _BATCH = 256, 64
# The largest order of the interactions. A higher one takes twice the time for a held-out R2 that is 0.02 higher.
_ORDER = 3


def swapped(pair: Pair, back: Sequence[Block]) -> nn.Module:
    """Put the parameters and buffers of some blocks of the model after back to those of the model before.

    The statistics of later BatchNorm layers belong to the outputs of the replaced block. After the first block that
    really changes, BatchNorm layers that are not put back therefore get new statistics from training samples. The head
    stays.

    Parameters
    ----------
    pair : Pair
    back : sequence of Block
        Blocks to put back.

    Returns
    -------
    nn.Module
        In eval mode; the model after itself if no block in `back` differs.
    """
    changed = [block for block in pair.changed if block in back]
    if not changed:
        return pair.after
    model, state = copy.deepcopy(pair.after), pair.before.state_dict()
    own = model.state_dict()
    with torch.no_grad():
        for block in back:
            for name in block.tensors:
                own[name].copy_(state[name])
    if not _train_norms(model, pair.blocks[pair.blocks.index(changed[0]) + 1 :], back):
        return model
    chosen = np.random.default_rng(pair.seed).permutation(len(pair.training))[:_BATCH_NORM_SAMPLES]
    return with_fresh_batch_norm(model, _tensors(pair, chosen))


def _train_norms(model: nn.Module, later: Sequence[Block], back: Sequence[Block]) -> int:
    """Put BatchNorm layers of later blocks that are not put back into training mode, and count them."""
    count = 0
    for block in later:
        for path in () if block in back else block.modules:
            for module in model.get_submodule(path).modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
                    module.training = True
                    count += 1
    return count


def _tensors(pair: Pair, chosen: NDArray[np.int64]) -> Iterator[Tensor]:
    for first in range(0, len(chosen), _BATCH):
        inputs = pair.training.batch(chosen[first : first + _BATCH])
        assert isinstance(inputs, Tensor)  # models of texts have no BatchNorm
        yield inputs


def right(pair: Pair, model: nn.Module, tick: Tick, *, refit: bool = False) -> dict[str, list[int]]:
    """Find the held-out samples that a swapped model gets right.

    Parameters
    ----------
    pair : Pair
    model : nn.Module
        From `swapped`.
    tick : callable
        Called with the number of samples done since the last call.
    refit : bool
        Whether to fit a new head, too.

    Returns
    -------
    dict
        Lists with 1 (right) or 0 for each held-out sample. ``kept``: with the head of the model after; ``refitted``, if
        `refit`: with a linear probe in its place, fitted on the features of the training samples.
    """
    held_out = features(model, pair.head, _ticked(pair, tick))
    head = pair.after.get_submodule(pair.head)
    with torch.inference_mode():
        out = head(torch.from_numpy(held_out).to(next(head.parameters()))).cpu().numpy()
    correct_outputs = pair.outputs("after", pair.held_out.labels)
    correct = {"kept": (out.argmax(1) == correct_outputs).astype(int).tolist()}
    if refit:
        training = features(model, pair.head, pair.training.batches(pair.batch_size))
        weight, bias = fit_probe(training, pair.training.labels, pair.seed)
        predicted = (held_out @ weight.T + bias).argmax(1)
        correct["refitted"] = (predicted == pair.held_out.labels).astype(int).tolist()
    return correct


def _ticked(pair: Pair, tick: Tick) -> Iterator[Any]:
    size = pair.batch_size
    for i, inputs in enumerate(pair.held_out.batches(size)):
        yield inputs
        tick(min(size, len(pair.held_out) - i * size))


class Readings:
    """Interactions of the model after and of swapped models, on the same samples and masks."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self._after: Interactions | None = None

    def preserved(self, model: nn.Module, tick: Tick) -> dict[str, Any]:
        """The share of the model after's interactions that another model preserves, with floor and ceiling.

        Parameters
        ----------
        model : nn.Module
            From `swapped`.
        tick : callable
            Called with the number of samples done since the last call.

        Returns
        -------
        dict
            The fields of `Comparison.share`.
        """
        if self._after is None:
            self._after = self._read(self.pair.after, lambda _: None)
        other = self._after if model is self.pair.after else self._read(model, tick)
        labels = [self.pair.parts.inputs.data.labels[i] for i in self.pair.plan.samples]
        share: dict[str, Any] = plain(
            compare(before=self._after, after=other, labels=labels).share("preserved")
        )
        return share

    def _read(self, model: nn.Module, tick: Tick) -> Interactions:
        pair, config = self.pair, self.pair.config
        games = [pair.parts.games.game(model, index, pair.checkpoint("after")) for index in pair.plan.samples]
        options = config.sparse_options(games[0].n_players)
        options |= {"order": min(_ORDER, options["order"]), "resamples": 0}
        options |= asdict(pair.parts.inputs.how)
        drawn = config.sampling
        return explain(games, drawn.number, design=drawn.design, progress=tick, **options)
