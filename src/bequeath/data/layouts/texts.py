"""SST-2 (Socher et al. 2013) and AG News (Zhang et al. 2015), as published."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from bequeath.data.layouts.archive import Archive, check_split, unpacked
from bequeath.data.text import TextTable
from bequeath.errors import BequeathError

_SST2_HOME = "https://dl.fbaipublicfiles.com/glue/data/SST-2.zip"
_AG_NEWS_HOME = "https://github.com/mhjabreel/CharCnn_Keras/tree/master/data/ag_news_csv"


def sst2(path: str | Path, split: Literal["train", "dev", "test"]) -> TextTable:
    """Load SST-2: sentences of film reviews, negative or positive.

    Parameters
    ----------
    path : str or Path
        SST-2 or sst2 (train.tsv, dev.tsv and test.tsv, with GLUE's header "sentence, label" or without a header), or
        the folder that holds SST-2.
    split : "train", "dev" or "test"
        GLUE publishes no labels for its test sentences.

    Returns
    -------
    TextTable

    Raises
    ------
    BequeathError
        If the file is missing or damaged, or has no labels.

    Examples
    --------
    >>> sst2("data/SST-2", "dev")
    """
    check_split("SST-2", split, ("train", "dev", "test"))
    archive = unpacked("SST-2", _SST2_HOME, path, "SST-2")
    file = archive.need(f"{split}.tsv")
    with file.open("rb") as stream:
        header = stream.readline().removeprefix(b"\xef\xbb\xbf").strip()
    if header == b"index\tsentence":
        raise BequeathError(f'SST-2: {file} is GLUE\'s test file, which has no labels; use split "dev"')
    named = header == b"sentence\tlabel"
    return TextTable(
        file,
        text="sentence" if named else 0,
        label="label" if named else 1,
        classes=["negative", "positive"],
        first_label=0,
    )


def ag_news(path: str | Path, split: Literal["train", "test"]) -> TextTable:
    """Load AG News: titles and first lines of news on four topics, 120,000 for training and 7,600 for testing.

    Parameters
    ----------
    path : str or Path
        ag_news_csv (classes.txt; train.csv and test.csv with the columns class from 1, title, text, and no header), or
        the folder that holds it.
    split : "train" or "test"

    Returns
    -------
    TextTable

    Raises
    ------
    BequeathError
        If a file is missing or damaged, or only the other split is there.

    Examples
    --------
    >>> ag_news("data/ag_news_csv", "test")
    """
    check_split("AG News", split, ("train", "test"))
    archive = unpacked("AG News", _AG_NEWS_HOME, path, "ag_news_csv")
    classes = [name for (name,) in archive.fields("classes.txt", 1)]
    return TextTable(_news(archive, split), text=[1, 2], label=0, classes=classes, first_label=1)


def _news(archive: Archive, split: str) -> Path:
    file = archive.root / f"{split}.csv"
    other = archive.root / ("test.csv" if split == "train" else "train.csv")
    if not file.is_file() and other.is_file():
        raise BequeathError(
            f"AG News: {archive.root} holds {other.name} but not {file.name}; get it from {archive.home}, or split "
            f"{other.name} with bequeath.data.split"
        )
    return archive.need(file.name)
