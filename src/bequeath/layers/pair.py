"""Two models of one architecture, loaded and checked: their blocks, their data, and what all figures depend on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bequeath.data.samples import balanced
from bequeath.errors import BequeathError, BequeathWarning, few
from bequeath.knowledge.layerwise import MARGIN
from bequeath.layers.samples import Samples
from bequeath.models.blocks import MOST, Block, blocks, call_order
from bequeath.models.heads import find_head
from bequeath.study.config import StudyConfig
from bequeath.study.direct import Wanted, direct_study
from bequeath.study.loading.digests import key_of, state_digest
from bequeath.study.loading.models import ModelLoader
from bequeath.study.loading.parts import StudyParts
from bequeath.study.loading.plan import Checkpoint, Plan
from bequeath.study.meaning import understand
from bequeath.study.prepared import Prepared
from bequeath.study.status import Status

# Training samples at most: for heads fitted anew, gradients, and BatchNorm's statistics.
TRAINING = 1000
SAMPLES = 12
"""Samples whose interactions are read at most, where no number is given."""


@dataclass(frozen=True)
class Asked:
    """What a user asks for.

    Attributes
    ----------
    wanted : Wanted
        Models and data, as for `bequeath compare`.
    shares : bool
        Whether interactions are read.
    most_blocks : int
    margin : float
        Share of the samples by which a model may be worse and still do.
    """

    wanted: Wanted
    shares: bool = True
    most_blocks: int = MOST
    margin: float = MARGIN


@dataclass(frozen=True, eq=False)
class Pair:
    """Two models, ready to be measured.

    Attributes
    ----------
    config : StudyConfig
    parts : StudyParts
        Inputs, games and outputs.
    plan : Plan
        Which samples' interactions are read, and on which accuracies are.
    before, after : nn.Module
        In eval mode, on the device.
    head : str
        Path of the last layer of both.
    blocks : tuple of Block
    held_out, training : Samples
    digests : dict of str to str
        Of each model's tensors.
    notes : tuple of str
        What a reader of the numbers must know.
    """

    config: StudyConfig
    parts: StudyParts
    plan: Plan
    before: nn.Module
    after: nn.Module
    head: str
    blocks: tuple[Block, ...]
    held_out: Samples
    training: Samples
    digests: Mapping[str, str]
    notes: tuple[str, ...]

    @cached_property
    def changed(self) -> tuple[Block, ...]:
        """Blocks with a tensor that is not the same in both models."""
        first, second = self.before.state_dict(), self.after.state_dict()
        return tuple(
            block
            for block in self.blocks
            if any(not torch.equal(first[name], second[name]) for name in block.tensors)
        )

    @property
    def batch_size(self) -> int:
        """Samples in one forward pass."""
        return self.parts.inputs.how.batch_size or 64

    @property
    def seed(self) -> int:
        """Of every draw."""
        return self.config.seed

    def checkpoint(self, role: str) -> Checkpoint:
        """Of the model ``before`` or ``after``."""
        name = getattr(self.config.roles, role)
        return self.plan.checkpoints[self.plan.finals[name]]

    def outputs(self, role: str, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """The output of a model that stands for each label."""
        order = self.parts.outputs.order(self.checkpoint(role))
        return labels if order is None else np.asarray(order)[labels]

    def key(self, *more: Any) -> str:
        """A short name for all that figures depend on, and what else is given."""
        form = [(block.name, block.tensors) for block in self.blocks]
        data = (self.held_out.digest, self.training.digest, self.config.data.model_dump(mode="json"))
        return key_of(1, dict(self.digests), form, data, self.seed, *more)


def load(asked: Asked, folder: Path) -> tuple[Pair, list[str]]:
    """Load what is asked for, and check all of it before the long work.

    Parameters
    ----------
    asked : Asked
    folder : Path
        For what is kept: fitted probes.

    Returns
    -------
    Pair
    list of str
        What was chosen, a line each.

    Raises
    ------
    BequeathError
        If models or data cannot be used: the argument is named.
    """
    config, chosen = direct_study(replace(asked.wanted, training=True))
    if asked.wanted.samples is None:
        config = config.model_copy(update={"samples": min(SAMPLES, config.samples)})
    prepared = Prepared(config)
    parts, plan = prepared.parts, prepared.plan
    _check_data(parts, asked.wanted.data)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        meaning = understand(parts, plan, folder, Status(folder, []))
        loader = ModelLoader(config, parts.inputs, fuse=False)
        roles = {"BEFORE": config.roles.before, "AFTER": config.roles.after}
        models = {
            place: loader.load(plan.checkpoints[plan.finals[name]], folder).float().requires_grad_(False)
            for place, name in roles.items()
        }
    before, after = models.values()
    found = _blocks(models, asked.most_blocks)
    notes = list(meaning["warnings"])
    notes += [
        str(one.message)
        for one in told
        if issubclass(one.category, BequeathWarning) and str(one.message) not in " ".join(notes)
    ]
    train: Any = parts.inputs.train
    some = balanced(train, min(TRAINING, len(train)), config.seed)
    pair = Pair(
        config,
        parts,
        plan,
        before,
        after,
        find_head(after),
        found,
        Samples(parts.inputs, parts.inputs.data, plan.accuracy_samples),
        Samples(parts.inputs, train, some),
        {role: state_digest(type(model).__name__, model.state_dict()) for role, model in models.items()},
        (),
    )
    if pair.digests["BEFORE"] == pair.digests["AFTER"]:
        notes.append("BEFORE and AFTER have the same weights: nothing has changed")
    notes += _order(pair)
    return replace(pair, notes=tuple(dict.fromkeys(notes))), chosen


def _check_data(parts: StudyParts, given: str) -> None:
    classes = parts.inputs.classes
    if len(classes) < 2:
        raise BequeathError(
            f"--data {given}: one class ({few(classes)}) only; give data of two classes or more"
        )


def _blocks(models: Mapping[str, nn.Module], most: int) -> tuple[Block, ...]:
    """The blocks of the model after, which the model before must have, too."""
    heads = {}
    for place, model in models.items():
        try:
            heads[place] = find_head(model)
            found = blocks(model, most)
        except BequeathError as error:
            raise BequeathError(f"{place}: {error}") from None
    before, after = (model.state_dict() for model in models.values())
    names = [name for block in found for name in block.tensors]
    bodies = [
        {name for name in state if not name.startswith(f"{head}.")}
        for state, head in zip((before, after), heads.values(), strict=True)
    ]
    one_sided = sorted(bodies[0] ^ bodies[1])
    if heads["BEFORE"] != heads["AFTER"] or one_sided:
        what = f"{few(one_sided, 3)} in one of them alone" if one_sided else f"heads {few([*heads.values()])}"
        kinds = " and ".join(type(model).__name__ for model in models.values())
        raise BequeathError(
            f"BEFORE and AFTER: {kinds} have other layers ({what}); give two models of one architecture"
        )
    other = next((name for name in names if before[name].shape != after[name].shape), None)
    if other is not None:
        raise BequeathError(
            f"BEFORE and AFTER: {other} has shape {tuple(before[other].shape)} before and "
            f"{tuple(after[other].shape)} after; give two models of one architecture"
        )
    return found


def _order(pair: Pair) -> list[str]:
    """Blocks that the model runs in another order than it defines them in, or not at all."""
    called = call_order(pair.after, pair.blocks, pair.held_out.batch([0]))
    defined = [block.name for block in pair.blocks]
    idle = [name for name in defined if name not in called]
    notes = [f"never called as a module, so that its output is not seen: {few(idle)}"] if idle else []
    if called != [name for name in defined if name in called]:
        notes.append(
            f"the model runs its blocks in the order {few(called, 20)}, and defines them in another: freeze goes by "
            "the order of definition"
        )
    return notes


def weights_of(model: nn.Module, block: Block) -> Tensor:
    """All parameters of a block as one vector, float64 on the CPU."""
    own = dict(model.named_parameters())
    return torch.cat([own[name].detach().double().cpu().reshape(-1) for name in block.parameters])
