"""Loads and checks two models of one architecture, with their blocks and their data."""

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
from bequeath.models.block_outputs import call_order
from bequeath.models.blocks import MOST, Block, blocks
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

# The largest number of training samples, which serve new heads, gradients, and BatchNorm statistics.
TRAINING = 1000
SAMPLES = 12
"""The largest number of samples whose interactions are read, if the user gives no number."""


@dataclass(frozen=True)
class Asked:
    """The user's request.

    Attributes
    ----------
    wanted : Wanted
        Models and data, as for `bequeath compare`.
    shares : bool
        Whether interactions are read.
    most_blocks : int
        The largest number of blocks.
    margin : float
        The loss of accuracy that is accepted, as a share of the samples.
    """

    wanted: Wanted
    shares: bool = True
    most_blocks: int = MOST
    margin: float = MARGIN


@dataclass(frozen=True, eq=False)
class Pair:
    """Two models that are ready to be measured.

    Attributes
    ----------
    config : StudyConfig
    parts : StudyParts
        Inputs, games and outputs.
    plan : Plan
        The samples whose interactions are read, and the samples on which accuracy is measured.
    before, after : nn.Module
        In eval mode, on the device.
    head : str
        Path of the last layer of both.
    blocks : tuple of Block
    held_out, training : Samples
    digests : dict of str to str
        A digest of each model's tensors.
    notes : tuple of str
        What a reader of the results must know.
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
        """Blocks with a tensor that differs between the models."""
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
        """Seed of all random choices."""
        return self.config.seed

    def checkpoint(self, role: str) -> Checkpoint:
        """The checkpoint of the model ``before`` or ``after``."""
        name = getattr(self.config.roles, role)
        return self.plan.checkpoints[self.plan.finals[name]]

    def outputs(self, role: str, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each label, the index of the model's output that belongs to it."""
        order = self.parts.outputs.order(self.checkpoint(role))
        return labels if order is None else np.asarray(order)[labels]

    def key(self, *more: Any) -> str:
        """A digest of everything that the measures depend on, and of `more`."""
        form = [(block.name, block.tensors) for block in self.blocks]
        data = (self.held_out.digest, self.training.digest, self.config.data.model_dump(mode="json"))
        return key_of(1, dict(self.digests), form, data, self.seed, *more)


def load(asked: Asked, folder: Path) -> tuple[Pair, list[str]]:
    """Load models and data, and check them before the long work.

    Parameters
    ----------
    asked : Asked
    folder : Path
        Where fitted probes are kept.

    Returns
    -------
    pair : Pair
    chosen : list of str
        The settings that were chosen, one line each.

    Raises
    ------
    BequeathError
        If models or data cannot be used; names the argument.
    """
    config, chosen = direct_study(replace(asked.wanted, training=True))
    if asked.wanted.samples is None:
        config = config.model_copy(update={"samples": min(SAMPLES, config.samples)})
    prepared = Prepared(config)
    parts, plan = prepared.parts, prepared.plan
    _check_data(parts, asked.wanted.data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        meaning = understand(parts, plan, folder, Status(folder, []))
        loader = ModelLoader(config, parts.inputs, fuse=False)
        roles = {"BEFORE": config.roles.before, "AFTER": config.roles.after}
        models = {
            place: loader.load(plan.checkpoints[plan.finals[name]], folder).float().requires_grad_(False)
            for place, name in roles.items()
        }
    before, after = models.values()
    parted = _blocks(models, asked.most_blocks)
    notes = list(meaning["warnings"])
    notes += [
        str(warning.message)
        for warning in caught
        if issubclass(warning.category, BequeathWarning) and str(warning.message) not in " ".join(notes)
    ]
    train: Any = parts.inputs.train
    chosen_training = balanced(train, min(TRAINING, len(train)), config.seed)
    pair = Pair(
        config,
        parts,
        plan,
        before,
        after,
        find_head(after),
        parted,
        Samples(parts.inputs, parts.inputs.data, plan.accuracy_samples),
        Samples(parts.inputs, train, chosen_training),
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
            f"--data {given}: only one class ({few(classes)}); give data with two or more classes"
        )


def _blocks(models: Mapping[str, nn.Module], most: int) -> tuple[Block, ...]:
    """The blocks of the model after. The model before must have the same."""
    heads = {}
    for place, model in models.items():
        try:
            heads[place] = find_head(model)
            parted = blocks(model, most)
        except BequeathError as error:
            raise BequeathError(f"{place}: {error}") from None
    before, after = (model.state_dict() for model in models.values())
    names = [name for block in parted for name in block.tensors]
    bodies = [
        {name for name in state if not name.startswith(f"{head}.")}
        for state, head in zip((before, after), heads.values(), strict=True)
    ]
    one_sided = sorted(bodies[0] ^ bodies[1])
    if heads["BEFORE"] != heads["AFTER"] or one_sided:
        difference = f"only one has {few(one_sided, 3)}" if one_sided else f"heads {few([*heads.values()])}"
        types = " and ".join(type(model).__name__ for model in models.values())
        raise BequeathError(
            f"BEFORE and AFTER: {types} have different layers ({difference}); give two models of one architecture"
        )
    other = next((name for name in names if before[name].shape != after[name].shape), None)
    if other is not None:
        raise BequeathError(
            f"BEFORE and AFTER: {other} has shape {tuple(before[other].shape)} before and "
            f"{tuple(after[other].shape)} after; give two models of one architecture"
        )
    return parted


def _order(pair: Pair) -> list[str]:
    """Notes on blocks that the model does not call, or calls in another order than it defines them."""
    called = call_order(pair.after, pair.blocks, pair.held_out.batch([0]))
    defined = [block.name for block in pair.blocks]
    idle = [name for name in defined if name not in called]
    notes = (
        [f"these blocks are never called as modules, so their outputs are not known: {few(idle)}"]
        if idle
        else []
    )
    if called != [name for name in defined if name in called]:
        notes.append(
            f"the model runs its blocks in the order {few(called, 20)} but defines them in another; freeze uses the "
            "order of definition"
        )
    return notes


def weights_of(model: nn.Module, block: Block) -> Tensor:
    """All parameters of a block as one vector, float64 on the CPU."""
    own = dict(model.named_parameters())
    return torch.cat([own[name].detach().double().cpu().reshape(-1) for name in block.parameters])
