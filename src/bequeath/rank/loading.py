"""Loads a candidate: its backbone, and its own preprocessing or tokenizer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from bequeath.data.samples import Dataset
from bequeath.errors import BequeathError, BequeathWarning
from bequeath.games.inputs import Inputs, config_of
from bequeath.models.architectures import SOURCES
from bequeath.models.model_preprocessing import preprocessing_of
from bequeath.models.preprocessing import Preprocessing
from bequeath.models.probe import features, load_with_source_head
from bequeath.rank.candidates import Candidate
from bequeath.rank.samples import Samples
from bequeath.study.config.games import EvaluationConfig
from bequeath.study.config.own import source_of
from bequeath.study.loading.digests import file_digest, key_of, state_digest
from bequeath.study.loading.inputs import model_inputs
from bequeath.study.loading.tokens import load_tokenizer

# Number of samples that test whether a model accepts the data.
_TRIAL = 2


@dataclass(frozen=True, eq=False)
class Loaded:
    """A candidate that is ready to run.

    Attributes
    ----------
    candidate : Candidate
    model : nn.Module
        The backbone, under a head with random weights.
    head : str
        Path of that head.
    source : tuple of Tensor or None
        Weight (source classes, features) and bias (source classes,) of the head that its weights came with.
    no_source : str or None
        Why there is no such head.
    dataset : Dataset
        All training samples, prepared for this model.
    preprocessing : Preprocessing or None
        Of pictures.
    tokenizer
        Of texts; None for pictures.
    parameters : int
        Number of parameters without the head.
    digest : str
        Of its weights, including the head's.
    notes : tuple of str
        What a reader of its results must know.
    """

    candidate: Candidate
    model: nn.Module
    head: str
    source: tuple[Tensor, Tensor] | None
    no_source: str | None
    dataset: Dataset
    preprocessing: Preprocessing | None
    tokenizer: Any
    parameters: int
    digest: str
    notes: tuple[str, ...]

    def key(self, samples: Samples) -> str:
        """A digest of everything that the features depend on."""
        code = None
        if self.candidate.architecture.partition(":")[0] not in SOURCES:
            code = file_digest(source_of(self.candidate.architecture))
        tokens = None
        if self.tokenizer is not None:
            tokens = self.tokenizer([str(self.dataset[i].x) for i in samples.indices], truncation=True)[
                "input_ids"
            ]
        return key_of(
            1, self.digest, str(self.model), self.head, code, samples.digest, self.preprocessing, tokens
        )

    def batches(self, indices: Sequence[int], size: int | None, device: str) -> Iterator[Inputs]:
        """Model inputs of the samples, in batches of `size` (None: all in one batch), on a device."""
        step = size or len(indices)
        for first in range(0, len(indices), step):
            batch = [self.dataset[i] for i in indices[first : first + step]]
            yield model_inputs(batch, self.tokenizer, "{}", device)


def load(candidate: Candidate, samples: Samples, device: str | None = None) -> Loaded:
    """Load a candidate and run it on two samples.

    Parameters
    ----------
    candidate : Candidate
    samples : Samples
    device : str, optional
        By default cuda if there is a GPU.

    Raises
    ------
    BequeathError
        If the candidate is unknown, is for other data, or gives no features; names the candidate.
    """
    with of_candidate(candidate), _collected_warnings() as warned:
        loaded = _loaded(candidate, samples)
        how = EvaluationConfig(device=device).make(None)
        trial = loaded.batches(samples.indices[:_TRIAL], None, str(how.device))
        features(loaded.model.to(how.device), loaded.head, trial)
    return replace(loaded, notes=(*loaded.notes, *warned))


def _loaded(candidate: Candidate, samples: Samples) -> Loaded:
    # Build the model first, so that a model for other data gets that error, not one about its tokenizer.
    model, head, source = load_with_source_head(
        candidate.architecture,
        candidate.weights,
        len(samples.classes),
        samples.modality,
        **candidate.options,
    )
    own, tokenizer, notes = candidate.preprocessing, None, []
    if samples.modality == "image":
        own = own or preprocessing_of(candidate.architecture, candidate.weights)
        if own is None:
            notes.append(
                "its own preprocessing is not known: pictures get ImageNet's mean and standard deviation"
            )
    else:
        tokenizer = _tokenizer(candidate, samples)
        config = config_of(model)
        if config is not None:
            # Classifiers built on causal models use it to find a text's last token.
            config.pad_token_id = tokenizer.pad_token_id
    dataset = samples.prepared(own)
    no_source = None if source is not None else "its weights have no head of one layer"
    if source is not None and len(source[0]) < 2:
        source, no_source = None, "its own head has one output"
    in_head = sum(parameter.numel() for parameter in model.get_submodule(head).parameters())
    return Loaded(
        candidate,
        model,
        head,
        source,
        no_source,
        dataset,
        getattr(dataset, "preprocessing", None),
        tokenizer,
        sum(parameter.numel() for parameter in model.parameters()) - in_head,
        _digest(model, head, source),
        tuple(notes),
    )


def _tokenizer(candidate: Candidate, samples: Samples) -> Any:
    source = candidate.architecture.partition(":")[0]
    if not source.startswith("transformers"):
        raise BequeathError("has no tokenizer; for texts give transformers:NAME or a folder")
    return load_tokenizer(samples.config, candidate.architecture, [candidate.architecture])


def check_different(loaded: Sequence[tuple[str, str]]) -> None:
    """Refuse two candidates with the same weights, since equal results would look like agreement.

    Parameters
    ----------
    loaded : sequence of (str, str)
        Name and digest of each candidate.

    Raises
    ------
    BequeathError
        Names both.
    """
    names: dict[str, str] = {}
    for name, digest in loaded:
        if digest in names:
            raise BequeathError(f"candidates {names[digest]} and {name}: the same weights; give one of them")
        names[digest] = name


@contextmanager
def of_candidate(candidate: Candidate) -> Iterator[None]:
    """Let errors within the `with` statement begin with the candidate's name."""
    try:
        yield
    except BequeathError as error:
        raise BequeathError(f"candidate {candidate.given}: {error}") from error


@contextmanager
def _collected_warnings() -> Iterator[list[str]]:
    """Collect our warnings within the `with` statement; the list is filled at its end."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield notes
    notes += [
        str(warning.message)
        for warning in caught
        if issubclass(warning.category, BequeathWarning) or str(warning.message).startswith("weights ")
    ]


def _digest(model: nn.Module, head: str, source: tuple[Tensor, Tensor] | None) -> str:
    """A digest of the backbone's parameters and buffers, and of the head that its weights came with."""
    state = model.state_dict()
    weights = {name: value for name, value in state.items() if not name.startswith(f"{head}.")}
    if source is not None:
        weights |= dict(zip(("source.weight", "source.bias"), source, strict=True))
    return state_digest(type(model).__name__, weights)
