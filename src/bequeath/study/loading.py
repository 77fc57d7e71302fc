"""From a study's configuration to live objects: data, models, games."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bequeath.data.demo import fashion_mnist
from bequeath.data.images import ImageFolder
from bequeath.data.samples import Dataset, Sample, Subset, balanced
from bequeath.data.text import TextTable
from bequeath.errors import BequeathError
from bequeath.games import baselines, players, values
from bequeath.games.game import Game
from bequeath.games.inputs import Inputs, logits
from bequeath.models.fuse import fused_for_inference
from bequeath.models.probe import features, fit_probe, load_backbone, with_probe
from bequeath.models.weights import load_model
from bequeath.study.config import (
    FashionMnistConfig,
    GridConfig,
    ImageFolderConfig,
    ModelConfig,
    StudyConfig,
    TextTableConfig,
)
from bequeath.study.plan import Checkpoint

_PROBE_SAMPLES = 2000
_BATCH = 64


class Materials:
    """A study's held-out data, its training data where it has any, and what turns samples into model inputs."""

    def __init__(self, config: StudyConfig) -> None:
        self.config = config
        self.tokenizer: Any = None
        self.train: Dataset | None = None
        data = config.data
        self.data: Dataset
        if isinstance(data, FashionMnistConfig):
            train, self.data = fashion_mnist(data.size)
            self.train = Subset(
                train, range(data.train_images), f"the first {data.train_images} of {train.source}"
            )
        elif isinstance(data, ImageFolderConfig):
            self.data = self._images(data, data.path, None)
            if data.train is not None:
                self.train = self._images(data, data.train, self.data.classes)
        else:
            self.tokenizer = _tokenizer(config, data)
            self.data = TextTable(data.path, text=data.text, label=data.label, classes=data.classes)
            if data.train is not None:
                self.train = TextTable(
                    data.train, text=data.text, label=data.label, classes=self.data.classes
                )

    @staticmethod
    def _images(data: ImageFolderConfig, path: Path, classes: Sequence[str] | None) -> ImageFolder:
        return ImageFolder(path, data.size, data.mean, data.std, data.resize, classes)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.data.classes

    def inputs(self, samples: Sequence[Sample]) -> Inputs:
        """Whole samples as one batch of model inputs."""
        if self.tokenizer is None:
            return torch.stack([sample.x for sample in samples if isinstance(sample.x, Tensor)])
        texts = [str(sample.x) for sample in samples]
        return dict(self.tokenizer(texts, return_tensors="pt", padding=True, truncation=True))

    def correct(self, model: nn.Module, indices: Sequence[int]) -> Tensor:
        """Whether the model's strongest class is the label, for the given held-out samples: bool, (samples,)."""
        found = []
        with torch.inference_mode():
            for first in range(0, len(indices), _BATCH):
                samples = [self.data[i] for i in indices[first : first + _BATCH]]
                labels = torch.tensor([sample.label for sample in samples])
                found.append(logits(model, self.inputs(samples)).argmax(1).cpu() == labels)
        return torch.cat(found)

    def game(self, model: nn.Module, index: int, name: str) -> Game:
        """The game of one model on one held-out sample."""
        sample = self.data[index]
        return Game(
            model,
            sample.x,
            self.players(),
            getattr(baselines, self.config.baseline)(),
            self.value(sample.label),
            name=f"{name}, sample {sample.id}",
        )

    def value(self, label: int) -> Any:
        """The study's value function for one label."""
        return getattr(values, self.config.value)(label)

    def players(self) -> players.Grid | players.Words:
        """The study's kind of players."""
        config = self.config.players
        if isinstance(config, GridConfig):
            return players.grid(config.rows, config.cols)
        return players.words(self.tokenizer, config.n)

    def player_names(self, index: int) -> tuple[str, ...]:
        """Names of one sample's players: cells, or its words."""
        kind = self.players()
        if isinstance(kind, players.Grid):
            return kind.names()
        return tuple(" ".join(run) for run in kind.split(str(self.data[index].x)))

    def load(self, checkpoint: Checkpoint, cache: Path) -> nn.Module:
        """One checkpoint's model, in eval mode and ready for fast inference; a fitted probe is kept in `cache`."""
        config: ModelConfig = getattr(self.config.models, checkpoint.model)
        kind = self.data.kind
        if config.probe:
            model = self._probed(config, checkpoint, cache)
        else:
            model = load_model(
                config.architecture, checkpoint.file, len(self.classes), kind, **config.options
            )
        if kind == "image":
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
            self.data.kind,
            config.head,
            **config.options,
        )
        file = cache / f"probe-{checkpoint.model}.npz"
        if file.exists():
            with np.load(file, allow_pickle=False) as saved:
                weight, bias = saved["weight"], saved["bias"]
        else:
            chosen = balanced(self.train, min(len(self.train), _PROBE_SAMPLES), self.config.seed)
            train = self.train
            blocks = (
                self.inputs([train[i] for i in chosen[first : first + _BATCH]])
                for first in range(0, len(chosen), _BATCH)
            )
            read = features(backbone, head, blocks)
            weight, bias = fit_probe(read, [train.labels[i] for i in chosen], self.config.seed)
            partial = file.with_suffix(".partial.npz")
            np.savez(partial, weight=weight, bias=bias)
            partial.replace(file)
        return with_probe(backbone, head, weight, bias).eval()

    def check_files(self, indices: Sequence[int]) -> None:
        """Open every image that will be needed, before hours are spent."""
        if isinstance(self.data, ImageFolder):
            self.data.check(indices)


def _tokenizer(config: StudyConfig, data: TextTableConfig) -> Any:
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise BequeathError('data: texts need transformers: pip install "bequeath[text]"') from None
    architecture = config.models.pretrained.architecture
    folder = data.tokenizer
    if folder is None:
        if not architecture.startswith("transformers:"):
            raise BequeathError(
                "data.tokenizer: needed where the pretrained model is not a transformers: folder"
            )
        folder = Path(architecture.removeprefix("transformers:"))
    try:
        return AutoTokenizer.from_pretrained(str(folder))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BequeathError(f"data.tokenizer: cannot load a tokenizer from {folder}: {reason}") from None
