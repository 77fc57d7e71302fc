"""The study file, section by section."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bequeath.study.config.models import ModelConfig, checkpoint_files
    from bequeath.study.config.study import StudyConfig, load_study, with_engine

# Imported on first use, so that `text` can check a file's YAML before torch is loaded.
_MODULES = {
    "ModelConfig": "models",
    "checkpoint_files": "models",
    "StudyConfig": "study",
    "load_study": "study",
    "with_engine": "study",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'bequeath.study.config' has no attribute {name!r}")
    value = getattr(import_module(f"bequeath.study.config.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


__all__ = ["ModelConfig", "StudyConfig", "checkpoint_files", "load_study", "with_engine"]
