"""The labelled samples on which candidates are measured: the same for all, prepared for each as it needs them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from bequeath.data.samples import Dataset, balanced
from bequeath.errors import BequeathError
from bequeath.games.inputs import Modality
from bequeath.models.preprocessing import Preprocessing
from bequeath.study.config.data import DataConfig, modality
from bequeath.study.direct.data import data_section
from bequeath.study.loading.digests import samples_digest

USUAL = 1000
"""The number of samples if the user gives none and there are so many."""


@dataclass(frozen=True)
class DataChoice:
    """The user's choice of data.

    Attributes
    ----------
    data : str
        A folder with one folder per class, or with folders of training and held-out data; a file of texts; or
        KIND:FOLDER.
    text, label : str or None
        Columns of the file, by name, or by number if it has no header. None looks for the usual names.
    size : int or None
        Size of pictures in pixels; None means each model's own.
    samples : int or None
        How many samples, equally over the classes; None means `USUAL`, or all if there are fewer.
    folds : int
        Folds of the cross-validation.
    seed : int
        Of the choice of samples and of the folds.
    """

    data: str
    text: str | None = None
    label: str | None = None
    size: int | None = None
    samples: int | None = None
    folds: int = 5
    seed: int = 0


class Samples:
    """Labelled samples.

    Attributes
    ----------
    choice : DataChoice
    config : DataConfig
        The data section of a study file that means the same.
    modality : "image" or "text"
    classes : tuple of str
    source : str
        Where the samples come from, in words.
    indices : list of int
        The chosen samples.
    labels : ndarray
        int64, (samples,): labels of the chosen samples.

    Raises
    ------
    BequeathError
        If the data cannot be read, have a single class, or have too few samples of a class.
    """

    def __init__(self, choice: DataChoice) -> None:
        self.choice = choice
        self.config = _config(choice)
        self.modality: Modality = modality(self.config)
        whole = self.prepared(None)
        self.classes, self.source = whole.classes, whole.source
        if len(self.classes) < 2:
            raise BequeathError(
                f"--data {choice.data}: only one class ({self.classes[0]}); give data with two or more classes"
            )
        count = min(USUAL, len(whole)) if choice.samples is None else choice.samples
        if count > len(whole):
            raise BequeathError(
                f"--samples {count}: there are only {len(whole)} ({whole.source}); give a smaller number"
            )
        self.indices = balanced(whole, count, choice.seed)
        self.labels: NDArray[np.int64] = np.array([whole.labels[i] for i in self.indices])
        self._check_counts()
        self.digest = samples_digest(whole, self.indices)

    @property
    def counts(self) -> list[int]:
        """Samples of each class."""
        return [int(count) for count in np.bincount(self.labels, minlength=len(self.classes))]

    @property
    def majority(self) -> float:
        """Share of the largest class: the accuracy of always naming it."""
        return max(self.counts) / len(self.labels)

    def prepared(self, own: Preprocessing | None) -> Dataset:
        """All training samples, with pictures prepared as a model needs them, except for a size that the user gave."""
        try:
            held_out, train = self.config.load(own, self.choice.seed)
        except BequeathError as error:
            raise BequeathError(f"--data: {error}") from error
        return held_out if train is None else train

    def _check_counts(self) -> None:
        counts, folds = self.counts, self.choice.folds
        if min(counts) < folds:
            smallest = self.classes[counts.index(min(counts))]
            raise BequeathError(
                f"--data {self.choice.data}: class {smallest!r} has {min(counts)} of {len(self.labels)} samples, but "
                f"{folds} folds need {folds} of each class; give more samples, or fewer --folds (at least 3)"
            )


def _config(choice: DataChoice) -> DataConfig:
    section = data_section(choice.data, None, choice.text, choice.label)
    try:
        config: DataConfig = TypeAdapter(DataConfig).validate_python(section)
        if modality(config) == "image" and choice.size is not None:
            config = TypeAdapter(DataConfig).validate_python({**section, "size": choice.size})
    except ValidationError as error:
        raise BequeathError(f"--data {choice.data}: {error.errors()[0]['msg']}") from None
    if modality(config) == "table":
        raise BequeathError(
            f"--data {choice.data}: a table of numbers, but candidates are models of pictures or texts; if a column "
            "holds texts, name it with --text"
        )
    if modality(config) != "image" and choice.size is not None:
        raise BequeathError(
            f"--size {choice.size}: is for pictures, but {choice.data} holds none; leave it out"
        )
    return config
