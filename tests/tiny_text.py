"""A tiny encoder and sentences whose class one word tells: a project of somebody who trains text classifiers."""

from __future__ import annotations

import csv
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

GOOD = ["warm", "funny", "moving", "clever", "lovely", "bright"]
BAD = ["dull", "empty", "boring", "clumsy", "tired", "grim"]
PLAIN = ["the", "film", "is", "a", "story", "with", "heart", "and", "wit"]


def write_sentences(path: Path, count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["sentence", "label"])
        for number in range(count):
            words = [PLAIN[i] for i in torch.randint(len(PLAIN), (6,), generator=generator)]
            told = (BAD, GOOD)[number % 2][int(torch.randint(6, (1,), generator=generator))]
            words.insert(int(torch.randint(7, (1,), generator=generator)), told)
            writer.writerow([" ".join(words), number % 2])


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
    write_sentences(folder / "train.tsv", 96, 0)
    write_sentences(folder / "dev.tsv", 24, 1)
