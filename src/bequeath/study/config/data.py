"""The `data` section of a study file: one class per kind, each of which loads its data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from bequeath import data
from bequeath.data import Dataset, Preprocessing, Subset, Table
from bequeath.errors import BequeathError
from bequeath.games.inputs import Modality
from bequeath.study.config.section import Section

Column = str | int
Positive = Annotated[float, Field(gt=0)]
Parts = tuple[Dataset, Dataset | None]
"""Held-out data, and training data or None."""


class _Data(Section):
    modality: ClassVar[Modality]

    @property
    def has_train(self) -> bool:
        """Whether there are training data as well."""
        return True

    def paths(self) -> dict[str, Path]:
        """Files and folders that must exist, by key."""
        return {key: getattr(self, key) for key in ("path", "train") if getattr(self, key, None) is not None}

    def load(self, own: Preprocessing | None, seed: int) -> Parts:
        """Load the data. `own` is the model's own preprocessing of images, or None if it is not known."""
        raise NotImplementedError


class _OneOrTwoParts(_Data):
    """Data in a held-out and a training part, or in one part that is split here."""

    path: Path
    train: Path | None = None
    holdout: float | None = Field(None, gt=0, lt=1)
    """Instead of `train`: the share of `path` that is held out, balanced over classes; the rest is training data."""

    @property
    def has_train(self) -> bool:
        return self.train is not None or self.holdout is not None

    @model_validator(mode="after")
    def _one_split(self) -> _OneOrTwoParts:
        if self.train is not None and self.holdout is not None:
            raise ValueError("give train or holdout, not both (holdout splits path)")
        return self

    def parts(self, whole: Dataset, train: Dataset | None, seed: int) -> Parts:
        """The two parts: as given, or split here if `holdout` is given."""
        if self.holdout is None:
            return whole, train
        training, held_out = data.split(whole, self.holdout, seed)
        return held_out, training


class _Images(_Data):
    """Images. Their preprocessing is the model before's own, except for what is given here."""

    modality = "image"
    size: int | None = Field(None, ge=8, le=8192)
    resize: Literal["crop", "squash"] | None = None
    resize_to: int | None = Field(None, ge=8, le=16384)
    mean: tuple[float, ...] | None = None
    std: tuple[Positive, ...] | None = None
    """Three values each. With one value each, the models get one channel: the pictures in grey."""
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] | None = None

    @field_validator("mean", "std")
    @classmethod
    def _channels(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and len(value) not in (1, 3):
            raise ValueError(f"{len(value)} values; give 3, or 1 for pictures in grey")
        return value

    def preprocessing(self, own: Preprocessing | None) -> Preprocessing:
        """The model's own preprocessing (or the default), with the settings that are given here."""
        own = own or Preprocessing()
        keys = ("size", "resize", "resize_to", "mean", "std", "interpolation")
        given = {key: getattr(self, key) for key in keys if getattr(self, key) is not None}
        if {"size", "resize"} & given.keys():
            # The model's own resize_to belongs to its own size and resize.
            own = replace(own, resize_to=None)
        return replace(own, **given)


class ImageFolderConfig(_Images, _OneOrTwoParts):
    """Images in one folder per class."""

    kind: Literal["image_folder"]
    classes: list[str] | None = None

    def load(self, own: Preprocessing | None, seed: int) -> Parts:
        how = self.preprocessing(own)
        whole = data.ImageFolder(self.path, how, self.classes)
        train = None if self.train is None else data.ImageFolder(self.train, how, whole.classes)
        if train is not None and len(set(train.labels)) < len(train.classes):
            absent = next(name for i, name in enumerate(train.classes) if i not in train.labels)
            raise BequeathError(f"data.train: {self.train} has no pictures of class {absent!r}; add some")
        return self.parts(whole, train, seed)


class PublishedImagesConfig(_Images):
    """A published set of images in its own layout. `path` is its folder, or the parent of that folder."""

    kind: Literal["cub200", "stanford_cars", "cifar10", "cifar100", "tiny_imagenet"]
    path: Path
    classes: list[str] | None = None
    """The classes to use, in the order of the models' outputs; by default all."""
    crop: bool = False
    """For cub200 and stanford_cars: crop pictures to their boxes."""
    labels: Literal["fine", "coarse"] = "fine"
    """For cifar100: the 100 classes or their 20 groups."""

    @model_validator(mode="after")
    def _fits(self) -> PublishedImagesConfig:
        if self.crop and self.kind not in ("cub200", "stanford_cars"):
            raise ValueError(f"crop: {self.kind} has no boxes; leave crop out")
        if self.labels != "fine" and self.kind != "cifar100":
            raise ValueError(f"labels: {self.kind} has only one kind of labels; leave labels out")
        return self

    def load(self, own: Preprocessing | None, seed: int) -> Parts:
        options: dict[str, Any] = {"preprocessing": self.preprocessing(own), "classes": self.classes}
        if self.kind in ("cub200", "stanford_cars"):
            options["crop"] = self.crop
        if self.kind == "cifar100":
            options["labels"] = self.labels
        read: Any = getattr(data, self.kind)
        return read(self.path, "val" if self.kind == "tiny_imagenet" else "test", **options), read(
            self.path, "train", **options
        )


class FashionMnistConfig(_Data):
    """The data of `bequeath demo`: 1,000 training and 500 test pictures of Fashion-MNIST, included in the package."""

    modality = "image"
    kind: Literal["fashion_mnist"]
    size: int = Field(64, ge=28, le=8192)
    train_images: int = Field(1000, ge=10, le=1000)
    """Number of training pictures that are used."""

    def load(self, own: Preprocessing | None, seed: int) -> Parts:
        train, held_out = data.fashion_mnist(self.size)
        first = range(self.train_images)
        return held_out, Subset(train, first, f"the first {self.train_images} of {train.source}")


class _Texts(_Data):
    modality = "text"
    tokenizer: Path | None = None
    """Folder of the tokenizer; by default that of the model before's architecture."""
    prompt: str = "{}"
    """What the models read, with {} in place of the text. The prompt around the text is never hidden."""
    answers: list[str] | None = None
    """For language models (value: next_token): how the text continues for each class, such as [" bad", " good"]."""

    @model_validator(mode="after")
    def _has_place(self) -> _Texts:
        if self.prompt.count("{}") != 1:
            raise ValueError("prompt: needs {} exactly once, in place of the text")
        return self

    def paths(self) -> dict[str, Path]:
        return super().paths() | ({} if self.tokenizer is None else {"tokenizer": self.tokenizer})


class TextTableConfig(_Texts, _OneOrTwoParts):
    """A CSV, TSV or JSONL file with columns of texts and labels, by name, or by number if it has no header."""

    kind: Literal["text_table"]
    text: Column | list[Column] = "text"
    label: Column = "label"
    classes: list[str] | None = None

    def load(self, own: Preprocessing | None, seed: int) -> Parts:
        whole = data.TextTable(self.path, text=self.text, label=self.label, classes=self.classes)
        train = None
        if self.train is not None:
            train = data.TextTable(self.train, text=self.text, label=self.label, classes=whole.classes)
        return self.parts(whole, train, seed)


class PublishedTextsConfig(_Texts):
    """SST-2 or AG News in its published layout; `path` is its folder."""

    kind: Literal["sst2", "ag_news"]
    path: Path
    holdout: float | None = Field(None, gt=0, lt=1)
    """Take both parts from the held-out file, such as AG News without its train.csv: the share that is held out."""

    def load(self, own: Preprocessing | None, seed: int) -> Parts:
        read: Any = getattr(data, self.kind)
        whole = read(self.path, "dev" if self.kind == "sst2" else "test")
        if self.holdout is None:
            return whole, read(self.path, "train")
        training, held_out = data.split(whole, self.holdout, seed)
        return held_out, training


class TableConfig(_OneOrTwoParts):
    """A CSV or TSV file of numbers with a label column."""

    modality = "table"
    kind: Literal["table"]
    label: str
    columns: list[str] | None = None
    """Columns of the features, in the order of the models' inputs; by default all but the label."""
    classes: list[str] | None = None
    standardise: bool = True
    """Scale each column to mean 0 and standard deviation 1 over the training data."""

    def load(self, own: Preprocessing | None, seed: int) -> Parts:
        whole = data.read_table(self.path, self.label, self.columns, self.classes)
        if self.train is not None:
            train: Table | None = data.read_table(self.train, self.label, list(whole.columns), whole.classes)
        elif self.holdout is not None:
            training, held_out = data.split(whole, self.holdout, seed)
            whole, train = whole.rows(held_out.indices), whole.rows(training.indices)
        else:
            train = None
        if self.standardise and train is not None:
            return whole.standardised(train), train.standardised(train)
        return whole, train


class DatasetsConfig(_Texts, _Images):
    """A data set of the `datasets` library: a saved folder, a hub name, or a builder such as csv."""

    kind: Literal["datasets"]
    modality: ClassVar[Any] = None  # depends on which column is given: see the function `modality`
    dataset: str
    split: str | None = "test"
    train_split: str | None = None
    holdout: float | None = Field(None, gt=0, lt=1)
    text: str | list[str] | None = None
    image: str | None = None
    columns: list[str] | None = None
    label: str = "label"
    classes: list[str] | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of datasets.load_dataset, such as data_files, name or revision."""

    @property
    def has_train(self) -> bool:
        return self.train_split is not None or self.holdout is not None

    @model_validator(mode="after")
    def _one_kind(self) -> DatasetsConfig:
        if sum(given is not None for given in (self.text, self.image, self.columns)) != 1:
            raise ValueError("give one of text, image and columns: the columns of the input")
        return self

    def load(self, own: Preprocessing | None, seed: int) -> Parts:
        def read(split: str | None) -> Dataset:
            return data.from_datasets(
                self.dataset,
                text=self.text,
                image=self.image,
                columns=self.columns,
                label=self.label,
                classes=self.classes,
                preprocessing=self.preprocessing(own),
                split=split,
                **self.options,
            )

        whole = read(self.split)
        if self.holdout is not None:
            training, held_out = data.split(whole, self.holdout, seed)
            return held_out, training
        return whole, None if self.train_split is None else read(self.train_split)


DataConfig = Annotated[
    ImageFolderConfig
    | PublishedImagesConfig
    | FashionMnistConfig
    | TextTableConfig
    | PublishedTextsConfig
    | TableConfig
    | DatasetsConfig,
    Field(discriminator="kind"),
]


def modality(config: DataConfig) -> Modality:
    """The modality of the samples: "image", "text" or "table"."""
    if isinstance(config, DatasetsConfig):
        return "text" if config.text is not None else "image" if config.image is not None else "table"
    return config.modality
