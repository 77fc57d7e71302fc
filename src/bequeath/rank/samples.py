"""The labelled samples that candidates are measured on: the same for all, prepared for each as it wants them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bequeath.data.image_folder import ImageFolder
from bequeath.data.samples import Dataset, balanced
from bequeath.data.text import TextTable
from bequeath.errors import BequeathError
from bequeath.games.inputs import Modality
from bequeath.models.preprocessing import Preprocessing
from bequeath.study.config.data import ImageFolderConfig, TextTableConfig

USUAL = 1000
"""Samples that are taken where no number is given, if there are so many."""


@dataclass(frozen=True)
class DataChoice:
    """What the user says about the data.

    Attributes
    ----------
    path : Path
        A folder with one folder a class, or a table of texts.
    text, label : str
        Columns of the table, by name, or by number where it has no header.
    size : int or None
        Pixels that pictures are brought to, instead of each model's own.
    samples : int or None
        How many, equally over the classes; None: `USUAL`, or all where there are fewer.
    folds : int
        Parts of the cross-validation.
    seed : int
        Of the choice of samples and folds.
    """

    path: Path
    text: str = "text"
    label: str = "label"
    size: int | None = None
    samples: int | None = None
    folds: int = 5
    seed: int = 0


class Samples:
    """Labelled samples.

    Attributes
    ----------
    choice : DataChoice
    config : ImageFolderConfig or TextTableConfig
        The same as a study's section.
    modality : "image" or "text"
    classes : tuple of str
    source : str
        Where the samples come from, in words.
    indices : list of int
        The samples chosen.
    labels : ndarray
        (samples,), those of the chosen ones.

    Raises
    ------
    BequeathError
        If the data cannot be read, have one class, or too few samples of one.
    """

    def __init__(self, choice: DataChoice) -> None:
        self.choice = choice
        self.config = _config(choice)
        self.modality: Modality = self.config.modality
        whole = self.prepared(None)
        self.classes, self.source = whole.classes, whole.source
        if len(self.classes) < 2:
            raise BequeathError(
                f"--data {choice.path}: one class ({self.classes[0]}) only; give data of two classes or more"
            )
        count = min(USUAL, len(whole)) if choice.samples is None else choice.samples
        if count > len(whole):
            raise BequeathError(
                f"--samples {count}: there are {len(whole)} ({whole.source}); give at most so many"
            )
        self.indices = balanced(whole, count, choice.seed)
        self.labels: NDArray[np.int64] = np.array([whole.labels[i] for i in self.indices])
        self._check_counts()
        if isinstance(whole, ImageFolder):
            whole.check(self.indices)
        self.digest = _digest(whole, self.indices)

    @property
    def counts(self) -> list[int]:
        """Samples of each class."""
        return [int(count) for count in np.bincount(self.labels, minlength=len(self.classes))]

    @property
    def majority(self) -> float:
        """The share of the largest class: how often naming it always is right."""
        return max(self.counts) / len(self.labels)

    def prepared(self, own: Preprocessing | None) -> Dataset:
        """All samples, pictures prepared as a model wants them but for the size that the user gave."""
        try:
            return self.config.load(own, self.choice.seed)[0]
        except BequeathError as error:
            options = "--data, --text, --label" if isinstance(self.config, TextTableConfig) else "--data"
            raise BequeathError(f"{options}: {error}") from error

    def _check_counts(self) -> None:
        counts, folds = self.counts, self.choice.folds
        if min(counts) < folds:
            few = self.classes[counts.index(min(counts))]
            raise BequeathError(
                f"--data {self.choice.path}: class {few!r} has {min(counts)} of {len(self.labels)} samples, and "
                f"{folds} folds need {folds} of each class; give more samples, or fewer --folds (3 at least)"
            )


def _config(choice: DataChoice) -> ImageFolderConfig | TextTableConfig:
    path = choice.path
    if not path.exists():
        raise BequeathError(
            f"--data {path}: no such file or folder; give a folder with one folder a class, or a table of texts"
        )
    if path.is_dir():
        return ImageFolderConfig.model_validate({"kind": "image_folder", "path": path, "size": choice.size})
    if choice.size is not None:
        raise BequeathError(f"--size {choice.size}: goes with pictures, and {path} is a file; leave it out")
    columns = {"text": _column(choice.text), "label": _column(choice.label)}
    return TextTableConfig.model_validate({"kind": "text_table", "path": path, **columns})


def _column(given: str) -> str | int:
    return int(given) if given.isdecimal() else given


def _digest(dataset: Dataset, indices: Sequence[int]) -> str:
    """Of what the chosen samples hold."""
    digest = hashlib.sha256()
    for i in indices:
        content: Any
        if isinstance(dataset, ImageFolder):
            content = dataset.files[i].read_bytes()
        else:
            assert isinstance(dataset, TextTable)
            content = dataset.texts[i].encode()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()
