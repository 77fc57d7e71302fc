"""A model of a study file, and its checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from bequeath.errors import BequeathError
from bequeath.models.hub import hub_entry
from bequeath.models.series import check_entry, checkpoint_series, series_entry
from bequeath.models.state_files import is_adapter
from bequeath.study.config.section import Section


class ModelConfig(Section):
    """One of the models."""

    architecture: str
    """``torchvision:NAME``, ``timm:NAME``, ``transformers:FOLDER``, ``module:function``, ... (docs/models.md)."""
    weights: str | None = None
    """State file of the model (safetensors, or .pt read with weights_only), or hub, or hub:NAME."""
    checkpoints: str | list[str] = Field(default_factory=list)
    """Glob or list of state files of a training run, or the folder that `bequeath.training`'s callbacks wrote. The step
    is read from each file; the last one is the model."""
    weights_key: str | None = None
    """Key of the set of weights, such as state_dict_ema, if a file (the base's, if there is one) holds several."""
    base: str | None = None
    """State file (or hub) of the base model, if weights or checkpoints are PEFT adapters."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the architecture."""
    labels: list[str] | None = None
    """The data's classes in the order of the model's outputs, if its config does not name them or names others."""
    probe: bool = False
    """Replace the head by a linear probe, fitted on the frozen model's features of the training data."""
    head: str | None = None
    """Path of the head for `probe`; by default the model's last linear layer."""

    @model_validator(mode="before")
    @classmethod
    def _of_series(cls, value: Any) -> Any:
        """Take the architecture from a folder of checkpoints that `bequeath.training` wrote."""
        if isinstance(value, str):
            value = {"checkpoints": value}
            if series_entry(value["checkpoints"]) is None:
                raise ValueError("a string must be a folder that a callback of bequeath.training wrote")
        if isinstance(value, dict) and isinstance(value.get("checkpoints"), str):
            entry = series_entry(value["checkpoints"]) or {}
            if entry and "architecture" not in value:
                check_entry(value["checkpoints"], entry)
            return {**{key: known for key, known in entry.items() if known}, **value}
        return value

    @model_validator(mode="after")
    def _one_source(self) -> ModelConfig:
        if self.weights is not None and self.checkpoints:
            raise ValueError("give weights or checkpoints, not both (the last checkpoint is the model)")
        if self.probe and (self.checkpoints or self.base is not None):
            raise ValueError("probe: needs weights of a frozen backbone, not checkpoints or a base")
        if self.probe and self.labels is not None:
            raise ValueError("labels: a probe's outputs have the order of the data's classes; leave it out")
        if self.labels is not None and len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: a class is named twice; name each once")
        if self.base is not None and self.weights is None and not self.checkpoints:
            raise ValueError("base: is for adapters; give their folders as weights or checkpoints")
        if self.weights_key is not None:
            files = [self.base] if self.base is not None else [self.weights, *self.checkpoints]
            if all(file is None or hub_entry(file) is not None for file in files):
                raise ValueError(
                    "weights_key: is for a local file with several sets of weights; leave it out"
                )
        return self


def checkpoint_files(model: ModelConfig, where: str) -> list[tuple[str, int | None, str | None]]:
    """A model's checkpoints in order of step; the last one is the model.

    Parameters
    ----------
    model : ModelConfig
    where : str
        Key of the model in the study file; begins the errors.

    Returns
    -------
    list of (str, int or None, str or None)
        Name, step, and file, folder or hub entry. The step is None if the model is a single state.

    Raises
    ------
    BequeathError
        If a file is missing, a glob matches nothing, or a step cannot be read.
    """
    if model.checkpoints:
        series = checkpoint_series(model.checkpoints, f"{where}.checkpoints")
        for _, _, path in series:
            _check_base(model, path, where)
        return [(name, step, str(path)) for name, step, path in series]
    for key in ("weights", "base"):
        file = getattr(model, key)
        if file is not None and hub_entry(file) is None and not Path(file).exists():
            raise BequeathError(f"{where}.{key}: no such file: {file}; correct the path")
    if model.weights is not None and hub_entry(model.weights) is None:
        _check_base(model, Path(model.weights), where)
    return [("final", None, model.weights)]


def _check_base(model: ModelConfig, path: Path, where: str) -> None:
    if model.base is None and is_adapter(path):
        raise BequeathError(
            f"{where}: {path} is a PEFT adapter, not a whole model; add base: the weights (file, folder or hub) that "
            "it was trained on"
        )
