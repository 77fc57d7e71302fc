"""A candidate loaded: its backbone, its own preprocessing or tokenizer, and what its features depend on."""

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

# So many samples show whether a model can be given the data at all.
_TRIAL = 2


@dataclass(frozen=True, eq=False)
class Loaded:
    """A candidate that is ready to be run.

    Attributes
    ----------
    model : nn.Module
        With a head that is not its own.
    head : str
        Path of that head.
    source : tuple of Tensor or None
        Weight and bias of the head that its weights came with.
    no_source : str or None
        Why there is no such head.
    dataset : Dataset
        The samples as this model wants them.
    preprocessing : Preprocessing or None
        Of pictures.
    tokenizer
        Of texts, or None.
    parameters : int
        Of the model without its head.
    digest : str
        Of its weights, the head's too.
    notes : tuple of str
        What a reader of its numbers must know.
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
        """A short name for all that its features depend on."""
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
        """The samples as model inputs, batch after batch."""
        step = size or len(indices)
        for first in range(0, len(indices), step):
            some = [self.dataset[i] for i in indices[first : first + step]]
            yield model_inputs(some, self.tokenizer, "{}", device)


def load(candidate: Candidate, samples: Samples, device: str | None = None) -> Loaded:
    """Load a candidate and give it two samples.

    Raises
    ------
    BequeathError
        Naming it: if it is unknown, for other data, or gives no features.
    """
    with of_candidate(candidate), _told() as warned:
        found = _loaded(candidate, samples)
        how = EvaluationConfig(device=device).make(None)
        trial = found.batches(samples.indices[:_TRIAL], None, str(how.device))
        features(found.model.to(how.device), found.head, trial)
    return replace(found, notes=(*found.notes, *warned))


def _loaded(candidate: Candidate, samples: Samples) -> Loaded:
    # First the model: one for other data is to be told of as such, whatever else it lacks.
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
                "which pictures it was trained on is not known: it gets ImageNet's mean and deviation"
            )
    else:
        tokenizer = _tokenizer(candidate, samples)
        config = config_of(model)
        if config is not None:
            # Classifiers of causal models find a text's end by it.
            config.pad_token_id = tokenizer.pad_token_id
    dataset = samples.prepared(own)
    no_source = None if source is not None else "its weights have no head of one layer"
    if source is not None and len(source[0]) < 2:
        source, no_source = None, "its own head has one output"
    of_head = sum(one.numel() for one in model.get_submodule(head).parameters())
    return Loaded(
        candidate,
        model,
        head,
        source,
        no_source,
        dataset,
        getattr(dataset, "preprocessing", None),
        tokenizer,
        sum(one.numel() for one in model.parameters()) - of_head,
        _digest(model, head, source),
        tuple(notes),
    )


def _tokenizer(candidate: Candidate, samples: Samples) -> Any:
    source = candidate.architecture.partition(":")[0]
    if not source.startswith("transformers"):
        raise BequeathError("has no tokenizer of its own; for texts give transformers:NAME or a folder")
    return load_tokenizer(samples.config, candidate.architecture, [candidate.architecture])


def check_different(loaded: Sequence[tuple[str, str]]) -> None:
    """Refuse two candidates, (name, digest), of the same weights.

    Raises
    ------
    BequeathError
        Naming both.
    """
    names: dict[str, str] = {}
    for name, digest in loaded:
        if digest in names:
            raise BequeathError(f"candidates {names[digest]} and {name}: the same weights; give one of them")
        names[digest] = name


@contextmanager
def of_candidate(candidate: Candidate) -> Iterator[None]:
    """Errors of the block begin with the candidate's name."""
    try:
        yield
    except BequeathError as error:
        raise BequeathError(f"candidate {candidate.given}: {error}") from error


@contextmanager
def _told() -> Iterator[list[str]]:
    """What is warned of within the block, added to the list at its end."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield notes
    notes += [
        str(one.message)
        for one in caught
        if issubclass(one.category, BequeathWarning) or str(one.message).startswith("weights ")
    ]


def _digest(model: nn.Module, head: str, source: tuple[Tensor, Tensor] | None) -> str:
    """Of the backbone's parameters and buffers, and of the head that its weights came with."""
    state = model.state_dict()
    kept = {name: value for name, value in state.items() if not name.startswith(f"{head}.")}
    if source is not None:
        kept |= dict(zip(("source.weight", "source.bias"), source, strict=True))
    return state_digest(type(model).__name__, kept)
