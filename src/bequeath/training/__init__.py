"""Checkpoints along a training run: in your own loop, transformers' Trainer or Lightning."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bequeath.training.checkpoints import Checkpoints
    from bequeath.training.in_lightning import LightningCheckpoints
    from bequeath.training.in_transformers import TransformersCheckpoints
    from bequeath.training.live import Live

# Imported on first use: their libraries take seconds to import, and some may not be installed.
_MODULES = {
    "Checkpoints": "checkpoints",
    "LightningCheckpoints": "in_lightning",
    "Live": "live",
    "TransformersCheckpoints": "in_transformers",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'bequeath.training' has no attribute {name!r}")
    return getattr(import_module(f"bequeath.training.{_MODULES[name]}"), name)


__all__ = ["Checkpoints", "LightningCheckpoints", "Live", "TransformersCheckpoints"]
