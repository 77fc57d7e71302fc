"""Disturbing what a model was given: a third of its backbone back at a random start, or labels at random."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import nn

from bequeath.data.samples import Dataset, Sample
from bequeath.errors import BequeathError
from bequeath.models.heads import find_heads

Third = Literal["early", "middle", "late"]
THIRDS: tuple[Third, ...] = ("early", "middle", "late")


def reinitialise(model: nn.Module, fresh: nn.Module, third: Third) -> list[str]:
    """Put a third of a model's backbone back at a random start, in place.

    The layers that have parameters or buffers of their own, in the order in which the model defines them and without
    its heads, are parted into three runs as equal in number as can be.

    Parameters
    ----------
    model : nn.Module
        Gets the values.
    fresh : nn.Module
        The same architecture at a random start, from which they are taken.
    third : {"early", "middle", "late"}
        Which run of layers.

    Returns
    -------
    list of str
        Names of the layers that were put back ("" is the model's own parameters).

    Raises
    ------
    BequeathError
        If the backbone has fewer than three such layers.
    """
    heads = find_heads(model)
    layers = [
        name
        for name, module in model.named_modules()
        if name not in heads
        and (any(True for _ in module.parameters(False)) or any(True for _ in module.buffers(False)))
    ]
    if len(layers) < len(THIRDS):
        raise BequeathError(
            f"disturbed: {type(model).__name__} has {len(layers)} layers below its head; 3 are needed"
        )
    chosen = [str(name) for name in np.array_split(np.array(layers, dtype=object), 3)[THIRDS.index(third)]]
    with torch.no_grad():
        for name in chosen:
            own, new = model.get_submodule(name), fresh.get_submodule(name)
            for target, source in ((own.parameters, new.parameters), (own.buffers, new.buffers)):
                for old, value in zip(target(recurse=False), source(recurse=False), strict=True):
                    old.copy_(value)
    return chosen


class ShuffledLabels:
    """A data set with its labels dealt out anew at random: pictures as before, and nothing that they would tell.

    Parameters
    ----------
    dataset : Dataset
    seed : int
        The same seed gives the same labels.
    """

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self._dataset = dataset
        self.modality, self.classes = dataset.modality, dataset.classes
        order = np.random.default_rng(seed).permutation(len(dataset))
        self.labels = tuple(dataset.labels[i] for i in order)
        self.ids = dataset.ids
        self.source = f"{dataset.source}, labels shuffled"

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, i: int) -> Sample:
        sample = self._dataset[i]
        return Sample(sample.id, sample.x, self.labels[i], sample.picture)
