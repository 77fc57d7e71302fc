"""BatchNorm statistics of a model in the middle of its training."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def with_fresh_batch_norm(model: nn.Module, batches: Iterable[Tensor]) -> nn.Module:
    """A copy of the model whose BatchNorm statistics are the plain averages over `batches`.

    Running averages lag far behind the weights in the first steps of a run: read as they are, early checkpoints
    would say more about the lag than about what was learned. Layers in eval mode (frozen ones) keep theirs.
    """
    fresh = copy.deepcopy(model)
    for module in fresh.modules():
        learning, module.training = module.training, False
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and learning:
            module.training = True
            module.reset_running_stats()
            module.momentum = None  # cumulative average
    device = next((p.device for p in model.parameters()), None)
    with torch.no_grad():
        for batch in batches:
            fresh(batch.to(device))
    return fresh.eval()
