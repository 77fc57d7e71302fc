"""SST-2 and AG News as published."""

from __future__ import annotations

import csv
from pathlib import Path

import data_slices
import pytest

from bequeath.data import ag_news, split, sst2
from bequeath.errors import BequeathError


@pytest.mark.parametrize(
    ("part", "n", "positive"), [("train", 6920, 3610), ("dev", 872, 444), ("test", 1821, 909)]
)
def test_plain_sst2(part: str, n: int, positive: int) -> None:
    data = sst2(data_slices.shared("sst2"), part)
    assert (data.classes, len(data), sum(data.labels)) == (("negative", "positive"), n, positive)


def test_glues_sst2_is_the_plain_one_with_a_header(tmp_path: Path) -> None:
    plain = (data_slices.shared("sst2") / "dev.tsv").read_text().splitlines()
    folder = tmp_path / "SST-2"
    folder.mkdir()
    # GLUE leaves a space behind each sentence.
    lines = [line.replace("\t", " \t") for line in plain[:50]]
    (folder / "dev.tsv").write_text("\n".join(["sentence\tlabel", *lines]) + "\n")
    data, expected = sst2(tmp_path, "dev"), sst2(data_slices.shared("sst2"), "dev")
    assert (data.texts, data.labels) == (expected.texts[:50], expected.labels[:50])
    assert data[0].id == "dev.tsv:2"
    (folder / "test.tsv").write_text("index\tsentence\n0\tuneasy mishmash\n")
    with pytest.raises(
        BequeathError, match=r'test\.tsv is GLUE\'s test file, which has no labels; use split "dev"'
    ):
        sst2(tmp_path, "test")
    with pytest.raises(BequeathError, match=r"train\.tsv does not exist; unpack .*SST-2\.zip"):
        sst2(tmp_path, "train")
    with pytest.raises(BequeathError, match="split is one of train, dev, test, not 'val'"):
        sst2(tmp_path, "val")  # type: ignore[arg-type]


def test_a_few_positive_sentences_are_still_positive(tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text("good\t1\nfine\t1\n")
    assert sst2(tmp_path, "dev").labels == (1, 1)


def test_ag_news_test_file_and_its_split() -> None:
    data = ag_news(data_slices.shared("ag_news"), "test")
    assert data.classes == ("World", "Sports", "Business", "Sci/Tech")
    assert data[0].x.startswith("Fears for T N pension after talks Unions representing workers")
    assert data.classes[data[0].label] == "Business"
    train, held_out = split(data, 0.25, seed=0)
    assert [train.labels.count(k) for k in range(4)] == [1425] * 4
    assert [held_out.labels.count(k) for k in range(4)] == [475] * 4


def test_only_the_test_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        BequeathError, match=r"holds test\.csv but not train\.csv; get it from .* or split test\.csv with"
    ):
        ag_news(data_slices.shared("ag_news"), "train")


def test_ag_news_train_file(tmp_path: Path) -> None:
    folder = tmp_path / "ag_news_csv"
    folder.mkdir()
    with (folder / "train.csv").open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([(3, "Oil", 'a "dear"\\ barrel'), (4, "Chip", "")])
    (folder / "classes.txt").write_text("World\nSports\nBusiness\nSci/Tech\n")
    data = ag_news(tmp_path, "train")
    assert (data.texts, data.labels) == (('Oil a "dear"\\ barrel', "Chip"), (2, 3))
    (folder / "train.csv").unlink()
    with pytest.raises(BequeathError, match=r"train\.csv does not exist; unpack .*ag_news_csv"):
        ag_news(tmp_path, "train")
    (folder / "classes.txt").unlink()
    with pytest.raises(BequeathError, match=r"classes\.txt does not exist"):
        ag_news(tmp_path, "train")
