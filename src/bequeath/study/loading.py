"""From a study's configuration to live objects: data, models, games."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bequeath.data.images import Images
from bequeath.data.samples import Dataset, Sample, Subset, balanced, batch
from bequeath.data.tables import Table
from bequeath.errors import BequeathError
from bequeath.files import replacing
from bequeath.games.baselines import Baseline
from bequeath.games.game import Game
from bequeath.games.inputs import Inputs, logits
from bequeath.games.players import Columns, Players, Regions
from bequeath.games.runner import Evaluation
from bequeath.lattice.subsets import check_players
from bequeath.models.adapters import load_adapter
from bequeath.models.fuse import fused_for_inference
from bequeath.models.model_preprocessing import preprocessing_of
from bequeath.models.probe import features, fit_probe, load_backbone, with_probe
from bequeath.models.weights import load_model
from bequeath.study.config import ModelConfig, StudyConfig
from bequeath.study.config.data import modality
from bequeath.study.config.games import (
    ChannelsConfig,
    ColumnsConfig,
    GridConfig,
    PositionsConfig,
    TextPlayersConfig,
    make_baseline,
    make_value,
)
from bequeath.study.plan import Checkpoint
from bequeath.study.store.digests import file_digest, key_of
from bequeath.study.tokens import answer_tokens, load_tokenizer

_PROBE_SAMPLES = 2000
_MEAN_SAMPLES = 500
_BATCH = 64


class Materials:
    """A study's held-out data, its training data where it has any, and what turns samples into model inputs."""

    def __init__(self, config: StudyConfig) -> None:
        self.config = config
        self.tokenizer: Any = None
        self.answers: list[int] | None = None
        kind, pretrained = modality(config.data), config.models.pretrained
        own = None
        if kind == "image":
            own = preprocessing_of(pretrained.architecture, pretrained.weights)
        if kind == "text":
            self.tokenizer = load_tokenizer(config.data, pretrained.architecture)
            self.answers = answer_tokens(config.data, self.tokenizer)
        self.data, self.train = config.data.load(own, config.seed)
        first = self.data[0].x
        self.how: Evaluation = config.evaluation.make(first.numel() if isinstance(first, Tensor) else None)
        if self.answers is not None and len(self.answers) != len(self.classes):
            raise BequeathError(f"data.answers: {len(self.answers)} for {len(self.classes)} classes")
        # Cells that were found to matter, by sample (players: influential).
        self.cells: dict[int, list[int]] = {}
        check_players(self.n_players)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.data.classes

    @property
    def n_players(self) -> int:
        """Number of players of every game."""
        n = self.config.players.n_players
        return len(self._columns()) if n is None else n

    @property
    def outputs(self) -> int | None:
        """Number of logits that the models must give; None for a language model, which gives its vocabulary."""
        if self.answers is not None:
            return None
        return 1 if self.config.value == "binary_logit" else len(self.classes)

    def inputs(self, samples: Sequence[Sample]) -> Inputs:
        """Whole samples as one batch of model inputs."""
        device = self.how.device
        if self.tokenizer is None:
            return torch.stack([sample.x for sample in samples if isinstance(sample.x, Tensor)]).to(device)
        prompt = self.config.data.prompt  # type: ignore[union-attr]
        texts = [prompt.replace("{}", str(sample.x)) for sample in samples]
        encoded = self.tokenizer(texts, return_tensors="pt", padding=True, truncation=True)
        return {name: value.to(device) for name, value in encoded.items()}

    def correct(self, model: nn.Module, indices: Sequence[int]) -> Tensor:
        """Whether the model's strongest class is the label, for the given held-out samples: bool, (samples,)."""
        found = []
        with torch.inference_mode():
            for first in range(0, len(indices), _BATCH):
                samples = [self.data[i] for i in indices[first : first + _BATCH]]
                labels = torch.tensor([sample.label for sample in samples])
                found.append(self._predicted(logits(model, self.inputs(samples))).cpu() == labels)
        return torch.cat(found)

    def _predicted(self, output: Tensor) -> Tensor:
        if self.answers is not None:
            output = output[:, self.answers]
        return (output[:, 0] > 0).long() if self.outputs == 1 else output.argmax(1)

    def game(self, model: nn.Module, index: int, name: str) -> Game:
        """The game of one model on one held-out sample."""
        sample = self.data[index]
        return Game(
            model,
            sample.x if isinstance(sample.x, str) else sample.x.to(self.how.device),
            self.players(index),
            self.baseline,
            self.value(sample.label),
            name=f"{name}, sample {sample.id}",
        )

    def value(self, label: int) -> Any:
        """The study's value function for one label."""
        return make_value(self.config.value, label, self.answers)

    @cached_property
    def baseline(self) -> Baseline:
        """The study's baseline; a data set's mean is that of the training data where there are any."""

        def inputs() -> Tensor:
            source = self.data if self.train is None else self.train
            return batch(source, balanced(source, min(len(source), _MEAN_SAMPLES), self.config.seed))

        return make_baseline(self.config.baseline, inputs)

    def players(self, index: int | None = None) -> Players:
        """The players of one sample, or of any where they are alike."""
        config = self.config.players
        if isinstance(config, GridConfig):
            if config.influential:
                # Before they are found, the whole grid.
                every = list(range(config.rows * config.cols))
                return config.make(every if index is None else self.cells.get(index, every))
            return config.make()
        if isinstance(config, TextPlayersConfig):
            return config.make(self.tokenizer, self.config.data.prompt)  # type: ignore[union-attr]
        if isinstance(config, ColumnsConfig):
            return config.make(self._columns())
        return config.make()

    def _columns(self) -> tuple[str, ...]:
        data: Any = self.data
        columns = getattr(data, "columns", None)
        return tuple(columns) if columns is not None else tuple(map(str, range(len(data[0].x))))

    @property
    def choosing(self) -> bool:
        """Whether each sample's cells are chosen by what the models make of it."""
        return isinstance(self.config.players, GridConfig) and self.config.players.influential

    def names_of(self, players: Players) -> tuple[str, ...]:
        """Names that the players of every sample share."""
        if isinstance(players, Columns):
            return tuple(name for name, _ in players.groups)
        if isinstance(players, Regions):
            return players.names
        names: Any = getattr(players, "names", None)
        return tuple(names()) if callable(names) else ()

    def player_names(self, index: int) -> tuple[str, ...] | None:
        """Names of one sample's players as people know them: its words, or its columns and what stands in them."""
        config, sample = self.config.players, self.data[index]
        if isinstance(config, TextPlayersConfig):
            return config.make(self.tokenizer, "{}").names(str(sample.x))
        if isinstance(config, ColumnsConfig):
            if config.groups is not None:
                return tuple(config.groups)
            raw = self.data.values[index] if isinstance(self.data, Table) else sample.x
            return tuple(f"{name} = {value:.4g}" for name, value in zip(self._columns(), raw, strict=True))
        return None

    def load(self, checkpoint: Checkpoint, cache: Path) -> nn.Module:
        """One checkpoint's model, in eval mode and ready for fast inference; a fitted probe is kept in `cache`."""
        config: ModelConfig = getattr(self.config.models, checkpoint.model)
        # A language model has its vocabulary, whatever is said here.
        classes, kind = self.outputs or 1, self.data.modality
        if config.probe:
            model = self._probed(config, checkpoint, cache)
        elif config.base is not None:
            assert checkpoint.file is not None
            base = load_model(
                config.architecture, config.base, classes, kind, new_head=True, **config.options
            )
            model = load_adapter(base, checkpoint.file)
        else:
            model = load_model(config.architecture, checkpoint.file, classes, kind, **config.options)
        if self.tokenizer is not None and getattr(model, "config", None) is not None:
            # Classifiers of causal models find a text's end by it.
            model.config.pad_token_id = self.tokenizer.pad_token_id  # type: ignore[union-attr]
        model = model.to(self.how.device)
        # Folding changes what layers inside give: not where players are there.
        if kind == "image" and not isinstance(self.config.players, (PositionsConfig, ChannelsConfig)):
            model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            model = fused_for_inference(model, self.inputs([self.data[0]]))
        return model

    def _probed(self, config: ModelConfig, checkpoint: Checkpoint, cache: Path) -> nn.Module:
        assert self.train is not None  # the study file was refused otherwise
        assert checkpoint.file is not None
        backbone, head = load_backbone(
            config.architecture,
            checkpoint.file,
            len(self.classes),
            self.data.modality,
            config.head,
            **config.options,
        )
        backbone = backbone.to(self.how.device)
        train: Dataset = self.train
        chosen = balanced(train, min(len(train), _PROBE_SAMPLES), self.config.seed)
        weight, bias = self._fitted(config, checkpoint, cache, backbone, head, chosen)
        return with_probe(backbone, head, weight, bias).eval()

    def _fitted(
        self,
        config: ModelConfig,
        checkpoint: Checkpoint,
        cache: Path,
        backbone: nn.Module,
        head: str,
        chosen: Sequence[int],
    ) -> tuple[Any, Any]:
        """Weight and bias of the probe, as kept for just this backbone and these training data, or fitted."""
        assert self.train is not None
        train: Dataset = self.train
        labels = [train.labels[i] for i in chosen]
        ids = getattr(train, "ids", None)
        names = chosen if ids is None else [ids[i] for i in chosen]
        data = self.config.data.model_dump(mode="json")
        model = config.model_dump(mode="json", exclude={"weights"})
        key = key_of(file_digest(checkpoint.file), model, data, names, labels, self.config.seed)
        file = cache / f"probe-{checkpoint.model}-{key}.npz"
        if file.exists():
            try:
                with np.load(file, allow_pickle=False) as saved:
                    return saved["weight"], saved["bias"]
            except Exception as error:
                raise BequeathError(f"{file}: damaged ({error}); remove it and start again") from None
        blocks = (
            self.inputs([train[i] for i in chosen[first : first + _BATCH]])
            for first in range(0, len(chosen), _BATCH)
        )
        weight, bias = fit_probe(features(backbone, head, blocks), labels, self.config.seed)
        # Workers may fit the same probe at the same time: any of their files will do.
        with replacing(file) as partial, partial.open("wb") as stream:
            np.savez(stream, weight=weight, bias=bias)
        return weight, bias

    def check_files(self, indices: Sequence[int]) -> None:
        """Read every image that will be needed, before hours are spent."""
        if isinstance(self.data, (Images, Subset)):
            self.data.check(indices)
