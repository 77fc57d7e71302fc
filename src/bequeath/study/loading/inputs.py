"""A study's data, and how samples become model inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bequeath.data.images import Images
from bequeath.data.samples import Sample, Subset, balanced, batch
from bequeath.data.tables import Table
from bequeath.errors import BequeathError
from bequeath.games.inputs import Inputs, Modality, logits
from bequeath.games.options import Evaluation
from bequeath.models.model_preprocessing import preprocessing_of
from bequeath.study.config import StudyConfig
from bequeath.study.config.data import modality
from bequeath.study.config.players import DataFacts
from bequeath.study.loading.tokens import answer_tokens, load_tokenizer

_MEAN_SAMPLES = 500
_BATCH = 64


class StudyInputs:
    """Held-out data, training data if there are any, and how they become model inputs.

    Attributes
    ----------
    data, train : Dataset
        Held-out samples; training samples for probes, means and training, or None.
    tokenizer
        For texts; else None.
    answers : list of int or None
        For language models: the token of each class.
    how : Evaluation
        How the models are run.
    """

    def __init__(self, config: StudyConfig) -> None:
        self.config = config
        self.modality: Modality = modality(config.data)
        self.tokenizer: Any = None
        self.answers: list[int] | None = None
        # If the study file gives no preprocessing or tokenizer, those of the model before are used.
        first, own = config.models[config.roles.before], None
        if self.modality == "image":
            own = preprocessing_of(first.architecture, first.weights)
        if self.modality == "text":
            self.tokenizer = load_tokenizer(
                config.data, first.architecture, (model.architecture for model in config.models.values())
            )
            self.answers = answer_tokens(config.data, self.tokenizer)
        self.data, self.train = config.data.load(own, config.seed)
        x = self.data[0].x
        self.how: Evaluation = config.evaluation.make(x.numel() if isinstance(x, Tensor) else None)
        if self.answers is not None and len(self.answers) != len(self.classes):
            raise BequeathError(
                f"data.answers: {len(self.answers)} for {len(self.classes)} classes; give one for each class"
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.data.classes

    @property
    def prompt(self) -> str:
        """The text around each sample's text, which replaces ``{}``."""
        return getattr(self.config.data, "prompt", "{}")

    @property
    def facts(self) -> DataFacts:
        """What players may need to know about the data."""
        columns: Any = getattr(self.data, "columns", None)
        if columns is None and self.modality == "table":
            columns = range(len(self.data[0].x))
        return DataFacts(self.tokenizer, self.prompt, tuple(map(str, columns or ())))

    @property
    def outputs(self) -> int | None:
        """Number of logits that the models must have; None for a language model, whose outputs are its vocabulary."""
        if self.answers is not None:
            return None
        return 1 if self.config.value == "binary_logit" else len(self.classes)

    def as_known(self, index: int) -> Any:
        """A held-out sample for readers: a table's row before standardisation, else the input."""
        return self.data.values[index] if isinstance(self.data, Table) else self.data[index].x

    def batch(self, samples: Sequence[Sample]) -> Inputs:
        """Samples, with nothing hidden, as one batch of model inputs."""
        return model_inputs(samples, self.tokenizer, self.prompt, self.how.device)

    def mean_of(self) -> Tensor:
        """Inputs (samples, ...) for the baseline `dataset_mean`, from the training data if there are any."""
        source = self.data if self.train is None else self.train
        return batch(source, balanced(source, min(len(source), _MEAN_SAMPLES), self.config.seed))

    def correct(
        self, model: nn.Module, indices: Sequence[int], order: tuple[int, ...] | None = None
    ) -> Tensor:
        """Find the held-out samples that a model classifies correctly.

        Parameters
        ----------
        model : nn.Module
        indices : sequence of int
            Which samples.
        order : tuple of int, optional
            For each class, the index of its output. None: the k-th output is the k-th class.

        Returns
        -------
        Tensor
            bool, (samples,).
        """
        correct = []
        with torch.inference_mode():
            for first in range(0, len(indices), _BATCH):
                samples = [self.data[i] for i in indices[first : first + _BATCH]]
                labels = torch.tensor([s.label if order is None else order[s.label] for s in samples])
                correct.append(self._predicted(logits(model, self.batch(samples))).cpu() == labels)
        return torch.cat(correct)

    def _predicted(self, output: Tensor) -> Tensor:
        if self.answers is not None:
            output = output[:, self.answers]
        return (output[:, 0] > 0).long() if self.outputs == 1 else output.argmax(1)

    def check_files(self, indices: Sequence[int]) -> None:
        """Read all images that will be needed, before long work starts."""
        if isinstance(self.data, (Images, Subset)):
            self.data.check(indices)


def model_inputs(samples: Sequence[Sample], tokenizer: Any, prompt: str, device: str | None) -> Inputs:
    """Samples, with nothing hidden, as one batch of model inputs.

    Parameters
    ----------
    samples : sequence of Sample
    tokenizer
        For texts; else None.
    prompt : str
        The text around each sample's text, which replaces ``{}``.
    device : str or None
        Where the batch is put.
    """
    if tokenizer is None:
        return torch.stack([sample.x for sample in samples if isinstance(sample.x, Tensor)]).to(device)
    texts = [prompt.replace("{}", str(sample.x)) for sample in samples]
    encoded = tokenizer(texts, return_tensors="pt", padding=True, truncation=True)
    return {name: value.to(device) for name, value in encoded.items()}
