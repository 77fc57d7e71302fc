"""The labelled samples that candidates are measured on: the same for all, prepared for each as it wants them."""

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
"""Samples that are taken where no number is given, if there are so many."""


@dataclass(frozen=True)
class DataChoice:
    """What the user says about the data.

    Attributes
    ----------
    data : str
        A folder with one folder a class, or of training and held-out data; a file of texts; or KIND:FOLDER.
    text, label : str or None
        Columns of the file, by name, or by number where it has no header; the usual names are found.
    size : int or None
        Pixels that pictures are brought to, instead of each model's own.
    samples : int or None
        How many, equally over the classes; None: `USUAL`, or all where there are fewer.
    folds : int
        Parts of the cross-validation.
    seed : int
        Of the choice of samples and folds.
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
        self.modality: Modality = modality(self.config)
        whole = self.prepared(None)
        self.classes, self.source = whole.classes, whole.source
        if len(self.classes) < 2:
            raise BequeathError(
                f"--data {choice.data}: one class ({self.classes[0]}) only; give data of two classes or more"
            )
        count = min(USUAL, len(whole)) if choice.samples is None else choice.samples
        if count > len(whole):
            raise BequeathError(
                f"--samples {count}: there are {len(whole)} ({whole.source}); give at most so many"
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
        """The share of the largest class: how often naming it always is right."""
        return max(self.counts) / len(self.labels)

    def prepared(self, own: Preprocessing | None) -> Dataset:
        """All training samples, pictures prepared as a model wants them but for the size that the user gave."""
        try:
            held_out, train = self.config.load(own, self.choice.seed)
        except BequeathError as error:
            raise BequeathError(f"--data: {error}") from error
        return held_out if train is None else train

    def _check_counts(self) -> None:
        counts, folds = self.counts, self.choice.folds
        if min(counts) < folds:
            few = self.classes[counts.index(min(counts))]
            raise BequeathError(
                f"--data {self.choice.data}: class {few!r} has {min(counts)} of {len(self.labels)} samples, and "
                f"{folds} folds need {folds} of each class; give more samples, or fewer --folds (3 at least)"
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
            f"--data {choice.data}: numbers; candidates are models of pictures or texts: say by --text which column "
            "holds texts"
        )
    if modality(config) != "image" and choice.size is not None:
        raise BequeathError(f"--size {choice.size}: is of pictures; {choice.data} holds none; leave it out")
    return config
