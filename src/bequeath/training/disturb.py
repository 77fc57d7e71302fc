"""Disturbed pre-training: a third of the backbone set back to random weights, or shuffled labels."""

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
    """Set a third of a model's backbone back to random weights, in place.

    The layers with parameters or buffers of their own, without the heads and in the order in which the model defines
    them, are divided into three runs of (nearly) equal length.

    Parameters
    ----------
    model : nn.Module
        Gets the random weights.
    fresh : nn.Module
        The same architecture with random weights, which are copied.
    third : {"early", "middle", "late"}
        Which run of layers.

    Returns
    -------
    list of str
        Names of the layers that were set back ("" means the model's own parameters).

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
            f"disturbed: {type(model).__name__} has {len(layers)} layers below its head; 3 are needed: give a "
            "deeper model"
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
    """A data set whose labels are randomly permuted, so that inputs say nothing about labels.

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
