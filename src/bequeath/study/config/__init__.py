"""The study file, section by section: what is compared, on what, and how."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bequeath.study.config.models import ModelConfig, checkpoint_files
    from bequeath.study.config.study import StudyConfig, load_study, with_engine

# A file that is no study is told of before torch is loaded: `text` is imported without the rest.
_HOME = {
    "ModelConfig": "models",
    "checkpoint_files": "models",
    "StudyConfig": "study",
    "load_study": "study",
    "with_engine": "study",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bequeath.study.config' has no attribute {name!r}")
    value = getattr(import_module(f"bequeath.study.config.{_HOME[name]}"), name)
    globals()[name] = value
    return value


__all__ = ["ModelConfig", "StudyConfig", "checkpoint_files", "load_study", "with_engine"]
