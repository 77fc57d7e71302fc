"""The study file: what is compared, on what, and how. Unknown keys and missing files are refused at once."""

from __future__ import annotations

import glob
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bequeath.errors import BequeathError
from bequeath.lattice.subsets import check_players


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(_Section):
    """One of the three models, with its checkpoints if it has any."""

    architecture: str
    """``torchvision:NAME``, ``timm:NAME``, ``transformers:FOLDER``, ``bequeath:mobilenet_v2``, ``module:function``."""
    weights: Path | None = None
    """State file of the model (safetensors, or .pt read with weights_only)."""
    checkpoints: str | list[Path] = Field(default_factory=list)
    """Glob or list of state files along training, the last one being the model; the step is read from the names."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the architecture."""
    probe: bool = False
    """Replace the head by a linear probe, fitted on the frozen model's features of `data.train`."""
    head: str | None = None
    """Name of the head's submodule for `probe`; found by itself when left out."""

    @model_validator(mode="after")
    def _one_source(self) -> ModelConfig:
        if self.weights is not None and self.checkpoints:
            raise ValueError("give weights or checkpoints, not both (the last checkpoint is the model)")
        if self.probe and self.weights is None:
            raise ValueError("probe goes with weights: the state file of the frozen backbone")
        return self


class ModelsConfig(_Section):
    """The three models of a study."""

    pretrained: ModelConfig
    finetuned: ModelConfig
    scratch: ModelConfig


class ImageFolderConfig(_Section):
    """Images in one folder per class."""

    kind: Literal["image_folder"]
    path: Path
    train: Path | None = None
    size: int = Field(224, ge=8)
    resize: Literal["crop", "squash"] = "crop"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


class TextTableConfig(_Section):
    """A CSV or TSV file with a text and a label column (by name, or by number where there is no header)."""

    kind: Literal["text_table"]
    path: Path
    train: Path | None = None
    text: str | int | list[str | int] = "text"
    label: str | int = "label"
    classes: list[str] | None = None
    tokenizer: Path | None = None
    """Folder of the tokenizer; that of the pretrained model's architecture by default."""


class FashionMnistConfig(_Section):
    """The embedded data of `bequeath demo`: 1,000 + 500 pictures of Fashion-MNIST."""

    kind: Literal["fashion_mnist"]
    size: int = Field(64, ge=28)
    train_images: int = Field(1000, ge=10, le=1000)
    """How many of the training pictures are used."""


DataConfig = Annotated[ImageFolderConfig | TextTableConfig | FashionMnistConfig, Field(discriminator="kind")]


class GridConfig(_Section):
    """Players are the cells of a grid over the image."""

    kind: Literal["grid"]
    rows: int = Field(ge=1)
    cols: int = Field(ge=1)

    @property
    def n(self) -> int:
        """Number of players."""
        return self.rows * self.cols


class WordsConfig(_Section):
    """Players are n runs of neighbouring words; texts with fewer words are not drawn."""

    kind: Literal["words"]
    n: int = Field(10, ge=2)


PlayersConfig = Annotated[GridConfig | WordsConfig, Field(discriminator="kind")]


class DecompositionConfig(_Section):
    """How tables become interactions."""

    kind: Literal["and-or", "and", "or"] = "and-or"
    tol: float = Field(default=1e-3, gt=0)


class StudyConfig(_Section):
    """A whole study file."""

    name: str = "study"
    models: ModelsConfig
    data: DataConfig
    players: PlayersConfig
    baseline: Literal["mean", "zero", "mask_token"] = "mean"
    value: Literal["log_odds", "log_probability", "logit"] = "log_odds"
    samples: int = Field(24, ge=2)
    """Held-out samples that are decomposed, balanced over classes."""
    accuracy_samples: int = Field(500, ge=2)
    """Held-out samples for accuracies (at most as many as there are)."""
    decomposition: DecompositionConfig = Field(default_factory=DecompositionConfig)
    normalise: Literal["none", "output", "l1"] = "none"
    salient: float | None = Field(None, gt=0, lt=1)
    batch_size: int = Field(128, ge=1)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _fits(self) -> StudyConfig:
        check_players(self.players.n)
        text = self.data.kind == "text_table"
        if text != (self.players.kind == "words"):
            raise ValueError(f"players: {self.players.kind} does not fit data of kind {self.data.kind}")
        if self.baseline == "mask_token" and not text:
            raise ValueError("baseline: mask_token fits texts; use mean or zero for images")
        if any(m.probe for m in self.all_models().values()) and not self.has_train():
            raise ValueError("data.train: needed by a model with probe: true (the probe is fitted on it)")
        return self

    def all_models(self) -> dict[str, ModelConfig]:
        """The three models by name."""
        return {name: getattr(self.models, name) for name in ("pretrained", "finetuned", "scratch")}

    def has_train(self) -> bool:
        """Whether there is training data to fit a probe on."""
        return isinstance(self.data, FashionMnistConfig) or self.data.train is not None


def checkpoint_files(model: ModelConfig, where: str) -> list[tuple[str, int | None, Path | None]]:
    """(name, step, file) of a model's checkpoints in order of step; the last one is the model.

    Raises
    ------
    BequeathError
        If a file is missing, a glob matches nothing, or a step cannot be read from a name.
    """
    if not model.checkpoints:
        if model.weights is not None and not model.weights.exists():
            raise BequeathError(f"{where}.weights: no such file: {model.weights}")
        return [("final", None, model.weights)]
    if isinstance(model.checkpoints, str):
        files = sorted(Path(name) for name in glob.glob(model.checkpoints))
        if not files:
            raise BequeathError(f"{where}.checkpoints: nothing matches {model.checkpoints}")
    else:
        files = list(model.checkpoints)
    found: dict[int, Path] = {}
    for file in files:
        if not file.exists():
            raise BequeathError(f"{where}.checkpoints: no such file: {file}")
        # The last number in the file's own name, or else in its folder's (checkpoint-500/model.safetensors).
        numbers = re.findall(r"\d+", file.stem) or re.findall(r"\d+", file.parent.name)
        if not numbers:
            raise BequeathError(f"{where}.checkpoints: no step number in the name {file}")
        step = int(numbers[-1])
        if step in found:
            raise BequeathError(f"{where}.checkpoints: step {step} twice: {found[step]} and {file}")
        found[step] = file
    return [(f"step {step}", step, found[step]) for step in sorted(found)]


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


def _absolute(value: Any, base: Path, key: str = "") -> Any:
    """Paths in a study file are relative to the file."""
    if isinstance(value, dict):
        return {name: _absolute(item, base, name) for name, item in value.items()}
    if key in ("weights", "path", "train", "tokenizer", "checkpoints"):
        if isinstance(value, str):
            return str(base / value)
        if isinstance(value, list):
            return [str(base / item) if isinstance(item, str) else item for item in value]
    if key == "architecture" and isinstance(value, str) and value.startswith("transformers:"):
        folder = base / value.removeprefix("transformers:")
        return f"transformers:{folder}" if folder.is_dir() else value
    return value


def load_study(path: str | Path) -> StudyConfig:
    """Read and check a study file.

    Raises
    ------
    BequeathError
        One line: file, line, key, what is wrong.
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
    try:
        config = StudyConfig.model_validate(_absolute(raw, path.parent.resolve()))
    except ValidationError as error:
        first = error.errors()[0]
        line = _line_of(text, first["loc"])
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "unknown key"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        at = f"{path}:{line}" if line else str(path)
        raise BequeathError(f"{at}: {place + ': ' if place else ''}{message}{more}") from None
    for name, model in config.all_models().items():
        checkpoint_files(model, f"models.{name}")
    for key in ("path", "train", "tokenizer"):
        value = getattr(config.data, key, None)
        if value is not None and not value.exists():
            line = _line_of(text, ("data", key))
            raise BequeathError(f"{path}:{line}: data.{key}: no such file or folder: {value}")
    return config
