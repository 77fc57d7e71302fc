"""The study file: what is compared, on what, and how. Unknown keys and missing files are refused at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from bequeath.errors import BequeathError
from bequeath.lattice.subsets import check_players
from bequeath.models.hub import hub_entry
from bequeath.models.series import checkpoint_series, series_entry
from bequeath.study.config.data import DataConfig, modality
from bequeath.study.config.engine import EngineConfig, LocalConfig
from bequeath.study.config.games import (
    BaselineConfig,
    EvaluationConfig,
    GivenConfig,
    PlayersConfig,
    ValueName,
    baseline_name,
)
from bequeath.study.config.section import Section
from bequeath.study.config.training import TrainingConfig


class ModelConfig(Section):
    """One of the three models, with its checkpoints if it has any."""

    architecture: str
    """``torchvision:NAME``, ``timm:NAME``, ``transformers:FOLDER``, ``module:function``, ... (docs/models.md)."""
    weights: str | None = None
    """State file of the model (safetensors, or .pt read with weights_only), or hub, or hub:NAME."""
    checkpoints: str | list[str] = Field(default_factory=list)
    """Glob or list of state files along training, or the folder of `bequeath.training`'s callbacks; the last one is the
    model, and the step is read from each."""
    base: str | None = None
    """State file (or hub) of the base model, where weights or checkpoints are PEFT adapters on it."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the architecture."""
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
            return {**{key: known for key, known in said.items() if known}, **value}
        return value

    @model_validator(mode="after")
    def _one_source(self) -> ModelConfig:
        if self.weights is not None and self.checkpoints:
            raise ValueError("give weights or checkpoints, not both (the last checkpoint is the model)")
        if self.probe and (self.checkpoints or self.base is not None):
            raise ValueError("probe goes with weights: those of the frozen backbone")
        if self.base is not None and self.weights is None and not self.checkpoints:
            raise ValueError("base goes with adapters: give their folders as weights or checkpoints")
        return self


class ModelsConfig(Section):
    """The three models of a study."""

    pretrained: ModelConfig
    finetuned: ModelConfig
    scratch: ModelConfig


class DecompositionConfig(Section):
    """How tables become interactions."""

    kind: Literal["and-or", "and", "or"] = "and-or"
    tol: float = Field(default=1e-3, gt=0)


class StoreConfig(Section):
    """How tables and interactions are kept."""

    dtype: Literal["float32", "float64"] = "float64"


class StudyConfig(Section):
    """A whole study file."""

    name: str = "study"
    models: ModelsConfig
    data: DataConfig
    players: PlayersConfig
    baseline: BaselineConfig = "mean"
    value: ValueName = "log_odds"
    samples: int = Field(24, ge=2)
    """Held-out samples that are decomposed, balanced over classes."""
    accuracy_samples: int = Field(500, ge=2)
    """Held-out samples for accuracies (at most as many as there are)."""
    decomposition: DecompositionConfig = Field(default_factory=DecompositionConfig)
    normalise: Literal["none", "output", "l1"] = "none"
    salient: float | None = Field(None, gt=0, lt=1)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    engine: EngineConfig = LocalConfig()
    store: StoreConfig = Field(default_factory=StoreConfig)
    training: TrainingConfig | None = None
    """For `bequeath train`; models.finetuned and models.scratch are then of the pre-trained one's architecture."""
    seed: int = Field(0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _to_be_trained(cls, value: Any) -> Any:
        """Models that are to be trained are of the pre-trained one's architecture unless said otherwise."""
        if not (isinstance(value, dict) and value.get("training") and isinstance(value.get("models"), dict)):
            return value
        first = value["models"].get("pretrained")
        if not isinstance(first, dict):
            return value
        same = {key: first[key] for key in ("architecture", "options") if key in first}
        return {**value, "models": {"finetuned": same, "scratch": same, **value["models"]}}

    @model_validator(mode="after")
    def _fits(self) -> StudyConfig:
        if self.players.n_players is not None:
            check_players(self.players.n_players)
        kind = modality(self.data)
        if kind not in self.players.modality:
            raise ValueError(
                f"players: {self.players.kind} does not fit data of kind {self.data.kind}: it is for "
                f"{' or '.join(self.players.modality)} data, these are {kind} data"
            )
        if baseline_name(self.baseline) not in self.players.baselines:
            raise ValueError(
                f"baseline: {baseline_name(self.baseline)} does not fit players of kind {self.players.kind}; use "
                f"{', '.join(self.players.baselines)}"
            )
        if any(m.probe for m in self.all_models().values()) and not self.data.has_train:
            raise ValueError("data.train: needed by a model with probe: true (the probe is fitted on it)")
        self._check_pretraining()
        if (self.value == "next_token") != (getattr(self.data, "answers", None) is not None):
            raise ValueError(
                "value: next_token and data.answers go together (how the text goes on for each class)"
            )
        return self

    def _check_pretraining(self) -> None:
        made_here = self.training is not None and self.training.pretraining is not None
        for name, model in self.all_models().items():
            if model.probe and model.weights is None and not (made_here and name == "pretrained"):
                raise ValueError(f"models.{name}: probe goes with weights: those of the frozen backbone")
        if made_here and self.models.pretrained.weights is not None:
            raise ValueError("training.pretraining: models.pretrained has weights; leave one of the two out")

    def all_models(self) -> dict[str, ModelConfig]:
        """The three models by name."""
        return {name: getattr(self.models, name) for name in ("pretrained", "finetuned", "scratch")}


def with_engine(config: StudyConfig, engine: dict[str, Any]) -> StudyConfig:
    """The same study on another engine.

    Raises
    ------
    BequeathError
        If the engine has no such setting.
    """
    try:
        return StudyConfig.model_validate({**config.model_dump(mode="json"), "engine": engine})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BequeathError(
            f"{place}: not a setting of this engine, or out of range ({first['msg']})"
        ) from None


def checkpoint_files(model: ModelConfig, where: str) -> list[tuple[str, int | None, str | None]]:
    """(name, step, file, folder or hub entry) of a model's checkpoints in order of step; the last one is the model.

    Raises
    ------
    BequeathError
        If a file is missing, a glob matches nothing, or a step cannot be read.
    """
    if model.checkpoints:
        return [
            (name, step, str(path))
            for name, step, path in checkpoint_series(model.checkpoints, f"{where}.checkpoints")
        ]
    for key in ("weights", "base"):
        file = getattr(model, key)
        if file is not None and hub_entry(file) is None and not Path(file).exists():
            raise BequeathError(f"{where}.{key}: no such file: {file}")
    return [("final", None, model.weights)]


def _line_of(text: str, path: tuple[Any, ...]) -> int | None:
    """Line of a key path in a YAML text, as far as the path exists."""
    node, line = yaml.compose(text), None
    for part in path:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, node = key.start_mark.line + 1, value
                    break
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _is_type(part: str | int) -> bool:
    """Whether a part of an error's place is the type that was tried there, not a key."""
    return isinstance(part, str) and (
        "[" in part or part.endswith("Config") or part in ("str", "int", "float")
    )


def _absolute(value: Any, base: Path, key: str = "") -> Any:
    """Paths in a study file are relative to the file."""
    if isinstance(value, dict):
        return {name: _absolute(item, base, name) for name, item in value.items()}
    if key in ("pretrained", "finetuned", "scratch") and isinstance(value, str):
        return str(base / value)
    if key in ("weights", "base", "path", "train", "tokenizer", "checkpoints"):
        if isinstance(value, str):
            return value if key in ("weights", "base") and hub_entry(value) is not None else str(base / value)
        if isinstance(value, list):
            return [str(base / item) if isinstance(item, str) else item for item in value]
    if key == "architecture" and isinstance(value, str) and value.startswith("transformers"):
        source, _, name = value.partition(":")
        return f"{source}:{base / name}" if (base / name).is_dir() else value
    if key == "dataset" and isinstance(value, str) and (base / value).is_dir():
        return str(base / value)
    return value


def load_study(path: str | Path, *, small: bool = False) -> StudyConfig:
    """Read and check a study file.

    Parameters
    ----------
    small : bool
        Take the file's small form: each section under its key `small` takes the place of the one of that name.

    Raises
    ------
    BequeathError
        One line: file, line, key, what is wrong; or if there is no small form.
    """
    path = Path(path)
    if not path.is_file():
        raise BequeathError(f"study: no such file: {path} (bequeath init writes one)")
    text = path.read_text(encoding="utf-8")
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f"{path}:{mark.line + 1}" if mark else str(path)
        raise BequeathError(f"{at}: not valid YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(raw, dict):
        raise BequeathError(f"{path}: a mapping is needed at the top (models:, data:, players:, ...)")
    instead = raw.pop("small", None)
    if small:
        if not isinstance(instead, dict):
            raise BequeathError(f"{path}: small: no such section; the study has no small form")
        raw |= instead
    try:
        config = StudyConfig.model_validate(_absolute(raw, path.parent.resolve()))
    except ValidationError as error:
        first = error.errors()[0]
        inside = small and instead is not None and first["loc"][:1] and first["loc"][0] in instead
        line = _line_of(text, ("small", *first["loc"]) if inside else first["loc"])
        place = ".".join(str(part) for part in first["loc"] if not _is_type(part))
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "unknown key"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        at = f"{path}:{line}" if line else str(path)
        raise BequeathError(f"{at}: {place + ': ' if place else ''}{message}{more}") from None
    for name, model in config.all_models().items():
        checkpoint_files(model, f"models.{name}")
    named: dict[tuple[str, ...], dict[str, Path]] = {
        ("data",): config.data.paths(),
        ("players",): config.players.paths(),
    }
    if isinstance(config.baseline, GivenConfig):
        named["baseline",] = {"path": config.baseline.path}
    if config.training is not None and config.training.pretraining is not None:
        named["training", "pretraining", "data"] = config.training.pretraining.data.paths()
    for section, files in named.items():
        for key, value in files.items():
            if not value.exists():
                inside = ("small",) if small and section[0] in instead else ()
                line = _line_of(text, (*inside, *section, key))
                place = ".".join((*section, key))
                raise BequeathError(f"{path}:{line}: {place}: no such file or folder: {value}")
    return config
