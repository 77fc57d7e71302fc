"""The whole study file. Unknown keys and missing files are refused when it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator

from bequeath.errors import BequeathError
from bequeath.lattice.sparse.checks import usual_order
from bequeath.lattice.subsets import check_players
from bequeath.study.config.data import DataConfig, modality
from bequeath.study.config.decomposition import BoundsConfig, Decomposition, DecompositionConfig
from bequeath.study.config.engine import EngineConfig, LocalConfig
from bequeath.study.config.games import (
    BaselineConfig,
    EvaluationConfig,
    GivenConfig,
    ValueName,
    baseline_name,
)
from bequeath.study.config.masks import Masks, MasksConfig, check_masks
from bequeath.study.config.models import ModelConfig, checkpoint_files
from bequeath.study.config.own import own_names
from bequeath.study.config.places import absolute
from bequeath.study.config.players import PlayersConfig
from bequeath.study.config.retest import RetestConfig
from bequeath.study.config.roles import RolesConfig, check_names, complete_roles
from bequeath.study.config.section import Section, Seed
from bequeath.study.config.text import line_of, parse, read_text
from bequeath.study.config.training import TrainingConfig, trained_names
from bequeath.study.config.validation import has_unknown_key, one_line

# The interaction papers' threshold of salience.
PAPER_SALIENT = 0.05


class StoreConfig(Section):
    """How tables and interactions are stored."""

    dtype: Literal["float32", "float64"] = "float64"


class StudyConfig(Section):
    """A whole study file."""

    name: str = "study"
    models: dict[str, ModelConfig]
    """The models, under names of the user's choice."""
    roles: RolesConfig
    """Which model is before, after, ...; models called pretrained, finetuned and scratch need no roles."""
    data: DataConfig
    players: PlayersConfig
    baseline: BaselineConfig = "mean"
    value: ValueName = "log_odds"
    samples: int = Field(24, ge=2)
    """Number of held-out samples whose interactions are read, balanced over classes."""
    focus: Literal["forgotten"] | None = None
    """forgotten: three quarters of the samples are ones that one of the models before and after has right and the other
    wrong; forgotten samples come first. The shares then describe such samples."""
    accuracy_samples: int = Field(500, ge=2)
    """Number of held-out samples on which accuracy is measured (at most all)."""
    decomposition: DecompositionConfig = Decomposition()
    masks: MasksConfig | None = None
    """Masks of sparse readings; by default 512 for each sample. Exact readings take all 2**n."""
    bounds: BoundsConfig = None
    """Bounds of the preserved share over all equally sparse splits: some seconds for each sample of 9 players."""
    retest: RetestConfig | None = None
    """Read each model with a role a second time, on an equivalent game."""
    normalise: Literal["none", "output", "l1"] = "l1"
    salient: float | None = Field(None, gt=0, lt=1)
    """Count only interactions above this share of the sample's largest; by default all, 0.05 for paper."""
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    engine: EngineConfig = LocalConfig()
    store: StoreConfig = Field(default_factory=StoreConfig)
    training: TrainingConfig | None = None
    """For `bequeath train`. The models that it trains have the architecture of the model before by default."""
    seed: Seed = 0

    @model_validator(mode="wrap")
    @classmethod
    def _named(cls, value: Any, check: ModelWrapValidatorHandler[StudyConfig]) -> StudyConfig:
        """Complete the roles that names imply, and the architecture of models that are to be trained."""
        if not isinstance(value, dict) or not isinstance(value.get("models"), dict):
            return check(value)
        models, roles = value["models"], value.get("roles")
        if roles is not None and not isinstance(roles, dict):
            return check(value)
        training = value.get("training")
        trained = trained_names(training) if isinstance(training, dict) else ()
        try:
            roles = complete_roles(roles or {}, (*models, *trained))
        except ValueError:
            # A misspelt key is reported first, wherever it is.
            try:
                check({**value, "roles": {"before": "", "after": "", **(roles or {})}})
            except ValidationError as error:
                if has_unknown_key(error):
                    raise
            raise
        first = models.get(roles.get("before"))
        if trained and isinstance(first, dict):
            same = {key: first[key] for key in ("architecture", "options") if key in first}
            models = {**models, **{name: same for name in trained if name not in models}}
        return check({**value, "models": models, "roles": roles})

    @model_validator(mode="after")
    def _fits(self) -> StudyConfig:
        check_names(self.models)
        self.roles.check(self.models)
        self._check_readings()
        kind = modality(self.data)
        if kind not in self.players.modality:
            raise ValueError(
                f"players: {self.players.kind} does not fit data of kind {self.data.kind}: it is for "
                f"{' or '.join(self.players.modality)} data, but these are {kind} data"
            )
        own = bool(own_names(self.players, self.baseline))
        if not own and baseline_name(self.baseline) not in self.players.baselines:
            raise ValueError(
                f"baseline: {baseline_name(self.baseline)} does not fit players of kind {self.players.kind}; use "
                f"{', '.join(self.players.baselines)}"
            )
        if any(m.probe for m in self.models.values()) and not self.data.has_train:
            raise ValueError(
                "data.train: missing; a model with probe: true needs it (the probe is fitted on it)"
            )
        self._check_training()
        if self.retest is not None:
            reading = self.decomposition.kind
            self.retest.check(self.data, self.players, self.baseline, reading, self.samples)
        if self.bounds is not None and (self.decomposition.kind != "and-or" or self.salience is not None):
            raise ValueError(
                "bounds: are over all equally sparse AND-OR splits, so they need decomposition: {kind: and-or} and no "
                "salient; leave bounds out"
            )
        if (self.value == "next_token") != (getattr(self.data, "answers", None) is not None):
            raise ValueError(
                "value: next_token and data.answers need each other (answers: how the text continues for each class)"
            )
        return self

    def _check_readings(self) -> None:
        n, decomposition = self.players.n_players, self.decomposition
        if not decomposition.sparse:
            if self.masks is not None:
                raise ValueError(
                    f"masks: decomposition {decomposition.kind} is exact and takes all masks; leave masks out, or "
                    "choose decomposition: sparse"
                )
            if n is not None:
                check_players(n)
        elif n is not None:
            check_masks(n, self.sampling.first, self.order(n))

    @property
    def sampling(self) -> Masks:
        """The masks of sparse readings."""
        return self.masks or Masks()

    def order(self, n_players: int) -> int:
        """The largest number of players in a term of a sparse reading; does not depend on where `masks: auto` ends."""
        order, first = self.decomposition.order, self.sampling.first
        return usual_order(n_players, first, self.decomposition.terms) if order is None else order

    def sparse_options(self, n_players: int) -> dict[str, Any]:
        """Arguments of `bequeath.fit`."""
        decomposition = self.decomposition
        return {
            "order": self.order(n_players),
            "kind": decomposition.terms,
            "resamples": decomposition.resamples,
            "seed": self.seed,
        }

    def _check_training(self) -> None:
        training = self.training
        pretrained_here = training is not None and training.pretraining is not None
        before = self.roles.before
        for name, model in self.models.items():
            if model.probe and model.weights is None and not (pretrained_here and name == before):
                raise ValueError(f"models.{name}: probe: needs weights of a frozen backbone")
        if pretrained_here and self.models[before].weights is not None:
            raise ValueError(f"training.pretraining: models.{before} has weights; leave one of the two out")
        if training is None:
            return
        for name, run in training.runs.items():
            if name == before:
                raise ValueError(f"training.{name}: is the model before; put its training under pretraining")
            if run.lora is not None and self.starts_at_random(name):
                raise ValueError(f"training.{name}.lora: adapters need a pre-trained base; leave it out")
        if training.disturbed and self.roles.after not in training.runs:
            raise ValueError(
                f"training.disturbed: needs training.{self.roles.after}, whose start it disturbs"
            )
        if training.disturbed and training.runs[self.roles.after].lora is not None:
            raise ValueError(
                "training.disturbed: does not fit adapters, which need their base unchanged; leave lora out"
            )

    def starts_at_random(self, name: str) -> bool:
        """Whether a model that is trained here starts with random weights; by default only the control does."""
        assert self.training is not None
        start = self.training.runs[name].start
        return (start or ("random" if name == self.roles.control else "before")) == "random"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all models, those with a role first, regardless of their order in the file."""
        return tuple(dict.fromkeys([*(name for _, name in self.roles.given()), *self.models]))

    @property
    def salience(self) -> float | None:
        """The threshold of salience in use; None counts all interactions."""
        return PAPER_SALIENT if self.salient is None and self.decomposition.kind == "paper" else self.salient


def with_engine(config: StudyConfig, engine: dict[str, Any]) -> StudyConfig:
    """The same study on another engine.

    Parameters
    ----------
    config : StudyConfig
    engine : dict
        The engine section.

    Raises
    ------
    BequeathError
        If the engine has no such setting.
    """
    try:
        changed = StudyConfig.model_validate({**config.model_dump(mode="json"), "engine": engine})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BequeathError(
            f"{place}: not a setting of this engine, or out of range ({first['msg']}); correct it or leave it out"
        ) from None
    changed.engine.check_machine()
    return changed


def load_study(path: str | Path, *, small: bool = False) -> StudyConfig:
    """Read and check a study file.

    Parameters
    ----------
    path : str or Path
    small : bool
        Use the file's small form: each section under the key `small` replaces the section of the same name.

    Raises
    ------
    BequeathError
        In one line: file, line, key, and what is wrong. Also if `small` is true but the file has no small form.
    """
    path = Path(path)
    text = read_text(path)
    raw = parse(text, path)
    replacements = raw.pop("small", None)
    if small:
        if not isinstance(replacements, dict):
            raise BequeathError(
                f"{path}: small: no such section, so the study has no small form; leave --small out"
            )
        raw |= replacements
    try:
        config = StudyConfig.model_validate(absolute(raw, path.parent.resolve()))
    except ValidationError as error:
        known = tuple(StudyConfig.model_fields)
        raise one_line(error, path, text, known, replacements if small else {}) from None
    try:
        config.engine.check_machine()
    except BequeathError as error:
        raise BequeathError(f"{path}:{line_of(text, ('engine',))}: {error}") from None
    for name, model in config.models.items():
        checkpoint_files(model, f"models.{name}")
    named: dict[tuple[str, ...], dict[str, Path]] = {
        ("data",): config.data.paths(),
        ("players",): config.players.paths(),
    }
    if isinstance(config.baseline, GivenConfig):
        named["baseline",] = {"path": config.baseline.path}
    if config.retest is not None and isinstance(config.retest.baseline, GivenConfig):
        named["retest", "baseline"] = {"path": config.retest.baseline.path}
    if config.training is not None and config.training.pretraining is not None:
        named["training", "pretraining", "data"] = config.training.pretraining.data.paths()
    for section, files in named.items():
        for key, value in files.items():
            if not value.exists():
                within = ("small",) if small and section[0] in replacements else ()
                line = line_of(text, (*within, *section, key))
                place = ".".join((*section, key))
                raise BequeathError(f"{path}:{line}: {place}: no such file or folder: {value}")
    return config
