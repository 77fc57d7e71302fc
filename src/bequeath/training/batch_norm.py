"""BatchNorm statistics of a model during its training."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def with_fresh_batch_norm(model: nn.Module, batches: Iterable[Tensor]) -> nn.Module:
    """Copy a model and take its BatchNorm statistics anew, as the plain averages over some batches.

    Running averages lag far behind the weights in the first steps of a run: without new statistics, early checkpoints
    would show the lag rather than what was learned. Layers in eval mode (frozen ones) keep their statistics.

    Parameters
    ----------
    model : nn.Module
        Left as it is.
    batches : iterable of Tensor
        Training inputs, each (batch, ...).

    Returns
    -------
    nn.Module
        In eval mode.
    """
    fresh = copy.deepcopy(model)
    for module in fresh.modules():
        was_training, module.training = module.training, False
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and was_training:
            module.training = True
            module.reset_running_stats()
            module.momentum = None  # cumulative average
    device = next((p.device for p in model.parameters()), None)
    with torch.no_grad():
        for batch in batches:
            fresh(batch.to(device))
    return fresh.eval()
