"""A tiny encoder and sentences whose class one word tells: a project of somebody who trains text classifiers."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

GOOD = ["warm", "funny", "moving", "clever", "lovely", "bright"]
BAD = ["dull", "empty", "boring", "clumsy", "tired", "grim"]
PLAIN = ["the", "film", "is", "a", "story", "with", "heart", "and", "wit"]


# The data section of a study on the tables that `write_table` writes.
DATA = {"kind": "text_table", "path": "dev.tsv", "train": "train.tsv", "text": "sentence", "label": "label"}


def write_table(path: Path, rows: Iterable[tuple[str, int]]) -> None:
    """Sentences and their labels, as a table with a head."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["sentence", "label"])
        writer.writerows(rows)


def sentences(count: int, seed: int) -> Iterator[tuple[str, int]]:
    """Words in any order, one of which tells the class."""
    generator = torch.Generator().manual_seed(seed)
    for number in range(count):
        words = [PLAIN[i] for i in torch.randint(len(PLAIN), (6,), generator=generator)]
        told = (BAD, GOOD)[number % 2][int(torch.randint(6, (1,), generator=generator))]
        words.insert(int(torch.randint(7, (1,), generator=generator)), told)
        yield " ".join(words), number % 2


def make_project(folder: Path) -> None:
    """Write ``encoder``, ``train.tsv`` and ``dev.tsv``."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PLAIN, *GOOD, *BAD]
    tokenizer = BertTokenizer(vocab={word: place for place, word in enumerate(words)}, model_max_length=32)
    tokenizer.save_pretrained(folder / "encoder")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    BertForSequenceClassification(config).save_pretrained(folder / "encoder")
    write_table(folder / "train.tsv", sentences(96, 0))
    write_table(folder / "dev.tsv", sentences(24, 1))
