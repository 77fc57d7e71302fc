"""Checkpoints at log-spaced steps, as safetensors files that carry their step."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bequeath.errors import BequeathError


def log_spaced(first: int, last: int, count: int) -> list[int]:
    """At most `count` different steps from `first` to `last`, evenly spaced in their logarithm."""
    if not 1 <= first <= last or count < 1:
        raise BequeathError(
            f"log_spaced: needs 1 <= first <= last and count >= 1, not {first}, {last}, {count}"
        )
    return sorted({round(step) for step in np.geomspace(first, last, count)} | {last})


def save_checkpoint(model: nn.Module, folder: Path, step: int) -> Path:
    """Write ``step-000123.safetensors``, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:06d}.safetensors"
    partial = path.with_suffix(".partial")
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    save_file(state, partial, metadata={"step": str(step)})
    os.replace(partial, path)
    return path


def with_fresh_batch_norm(model: nn.Module, batches: Iterable[Tensor]) -> nn.Module:
    """A copy of the model whose BatchNorm statistics are the plain averages over `batches`.

    Running averages lag far behind the weights in the first steps of a run: read as they are, early checkpoints
    would say more about the lag than about what was learned.
    """
    fresh = copy.deepcopy(model).train()
    for module in fresh.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
            module.momentum = None  # cumulative average
        elif isinstance(module, nn.Dropout):
            module.eval()
    with torch.no_grad():
        for batch in batches:
            fresh(batch)
    return fresh.eval()
