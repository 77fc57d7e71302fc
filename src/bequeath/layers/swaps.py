"""The model after with some blocks put back to what they were before: what it then gets right, and what it knows."""

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
from bequeath.knowledge.comparison import compare
from bequeath.lattice.interactions import Interactions
from bequeath.layers.pair import Pair
from bequeath.models.blocks import Block
from bequeath.models.probe import features, fit_probe
from bequeath.study.findings.plain import plain
from bequeath.training.batch_norm import with_fresh_batch_norm

# Training samples on which BatchNorm's statistics are taken again.
_FOR_BATCH_NORM, _BATCH = 256, 64
# A term of more players would take twice the time, for a held-out R2 that is higher by 0.02.
_ORDER = 3


def swapped(pair: Pair, back: Sequence[Block]) -> nn.Module:
    """The model after with parameters and buffers of some blocks as they were before.

    BatchNorm layers behind the first block that really changes would still expect the outputs of the block that is
    gone: those which are not put back get their statistics anew, from training samples. The head stays.
    """
    really = [block for block in pair.changed if block in back]
    if not really:
        return pair.after
    model, state = copy.deepcopy(pair.after), pair.before.state_dict()
    own = model.state_dict()
    with torch.no_grad():
        for block in back:
            for name in block.tensors:
                own[name].copy_(state[name])
    if not _train_norms(model, pair.blocks[pair.blocks.index(really[0]) + 1 :], back):
        return model
    some = np.random.default_rng(pair.seed).permutation(len(pair.training))[:_FOR_BATCH_NORM]
    return with_fresh_batch_norm(model, _tensors(pair, some))


def _train_norms(model: nn.Module, behind: Sequence[Block], back: Sequence[Block]) -> int:
    """Put BatchNorm of the blocks behind into training mode, but for those put back; how many there are."""
    count = 0
    for block in behind:
        for path in () if block in back else block.modules:
            for module in model.get_submodule(path).modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
                    module.training = True
                    count += 1
    return count


def _tensors(pair: Pair, some: NDArray[np.int64]) -> Iterator[Tensor]:
    for first in range(0, len(some), _BATCH):
        inputs = pair.training.batch(some[first : first + _BATCH])
        assert isinstance(inputs, Tensor)  # models of texts have no BatchNorm
        yield inputs


def right(pair: Pair, model: nn.Module, tick: Tick, *, refit: bool = False) -> dict[str, list[int]]:
    """Which held-out samples a model gets right: 1 or 0 each.

    Returns
    -------
    dict
        ``kept``: with the head of the model after; ``refitted``, where asked for: with a linear probe in its place,
        fitted on the features of the training samples.
    """
    given = features(model, pair.head, _ticked(pair, tick))
    head = pair.after.get_submodule(pair.head)
    with torch.inference_mode():
        out = head(torch.from_numpy(given).to(next(head.parameters()))).cpu().numpy()
    wanted = pair.outputs("after", pair.held_out.labels)
    found = {"kept": (out.argmax(1) == wanted).astype(int).tolist()}
    if refit:
        known = features(model, pair.head, pair.training.batches(pair.batch_size))
        weight, bias = fit_probe(known, pair.training.labels, pair.seed)
        said = (given @ weight.T + bias).argmax(1)
        found["refitted"] = (said == pair.held_out.labels).astype(int).tolist()
    return found


def _ticked(pair: Pair, tick: Tick) -> Iterator[Any]:
    size = pair.batch_size
    for place, inputs in enumerate(pair.held_out.batches(size)):
        yield inputs
        tick(min(size, len(pair.held_out) - place * size))


class Readings:
    """Interactions of the model after and of swapped ones, on the same samples and masks."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self._after: Interactions | None = None

    def preserved(self, model: nn.Module, tick: Tick) -> dict[str, Any]:
        """The share of what the model after knows that another one has, too, from its zero to its one."""
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
