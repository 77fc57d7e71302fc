"""A model of a study file: what it is, and its checkpoints."""

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
    """One of the models, with its checkpoints if it has any."""

    architecture: str
    """``torchvision:NAME``, ``timm:NAME``, ``transformers:FOLDER``, ``module:function``, ... (docs/models.md)."""
    weights: str | None = None
    """State file of the model (safetensors, or .pt read with weights_only), or hub, or hub:NAME."""
    checkpoints: str | list[str] = Field(default_factory=list)
    """Glob or list of state files along training, or the folder of `bequeath.training`'s callbacks; the last one is the
    model, and the step is read from each."""
    weights_key: str | None = None
    """Key of the set of weights, where a file (that of the base, where there is one) holds several: state_dict_ema."""
    base: str | None = None
    """State file (or hub) of the base model, where weights or checkpoints are PEFT adapters on it."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the architecture."""
    labels: list[str] | None = None
    """The data's classes in the order of the model's outputs, where its config says nothing or something else."""
    probe: bool = False
    """Replace the head by a linear probe, fitted on the frozen model's features of the training data."""
    head: str | None = None
    """Name of the head's submodule for `probe`; found by itself when left out."""

    @model_validator(mode="before")
    @classmethod
    def _of_series(cls, value: Any) -> Any:
        """A folder of checkpoints that `bequeath.training` wrote says itself what they belong to."""
        if isinstance(value, str):
            value = {"checkpoints": value}
            if series_entry(value["checkpoints"]) is None:
                raise ValueError("a string must be a folder that a callback of bequeath.training wrote")
        if isinstance(value, dict) and isinstance(value.get("checkpoints"), str):
            said = series_entry(value["checkpoints"]) or {}
            if said and "architecture" not in value:
                check_entry(value["checkpoints"], said)
            return {**{key: known for key, known in said.items() if known}, **value}
        return value

    @model_validator(mode="after")
    def _one_source(self) -> ModelConfig:
        if self.weights is not None and self.checkpoints:
            raise ValueError("give weights or checkpoints, not both (the last checkpoint is the model)")
        if self.probe and (self.checkpoints or self.base is not None):
            raise ValueError("probe goes with weights: those of the frozen backbone")
        if self.probe and self.labels is not None:
            raise ValueError("labels: a probe's outputs are in the order of the data's classes; leave it out")
        if self.labels is not None and len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: a class is named twice")
        if self.base is not None and self.weights is None and not self.checkpoints:
            raise ValueError("base goes with adapters: give their folders as weights or checkpoints")
        if self.weights_key is not None:
            files = [self.base] if self.base is not None else [self.weights, *self.checkpoints]
            if all(file is None or hub_entry(file) is not None for file in files):
                raise ValueError("weights_key goes with a file that holds several sets of weights")
        return self


def checkpoint_files(model: ModelConfig, where: str) -> list[tuple[str, int | None, str | None]]:
    """(name, step, file, folder or hub entry) of a model's checkpoints in order of step; the last one is the model.

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
            raise BequeathError(f"{where}.{key}: no such file: {file}")
    if model.weights is not None and hub_entry(model.weights) is None:
        _check_base(model, Path(model.weights), where)
    return [("final", None, model.weights)]


def _check_base(model: ModelConfig, path: Path, where: str) -> None:
    if model.base is None and is_adapter(path):
        raise BequeathError(
            f"{where}: {path} is a PEFT adapter, not a whole model; add base: the weights (file, folder or hub) that "
            "it was trained on"
        )
