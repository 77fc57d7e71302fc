"""The choice of balanced samples, and batches."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bequeath.data import Dataset, ImageArray, ImageFolder, Preprocessing, Subset, balanced, batch, split
from bequeath.data.text import TextTable
from bequeath.errors import BequeathError


def dataset(counts: list[int]) -> Dataset:
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.zeros((len(labels), 2, 2), dtype=np.uint8)
    images[:] = np.arange(len(labels), dtype=np.uint8)[:, None, None]
    return ImageArray(images, labels, [f"c{k}" for k in range(len(counts))], Preprocessing(2), "toy")


@pytest.mark.parametrize(
    ("counts", "n", "expected"),
    [
        ([10, 10, 10], 9, [3, 3, 3]),
        ([2, 10, 10], 12, [2, 5, 5]),
        ([1, 2, 30], 20, [1, 2, 17]),
        ([5, 0, 5], 4, [2, 0, 2]),
        ([3, 3], 6, [3, 3]),
    ],
)
def test_balanced_is_as_equal_as_the_classes_allow(counts: list[int], n: int, expected: list[int]) -> None:
    data = dataset(counts)
    chosen = balanced(data, n, seed=3)
    found = Counter(data.labels[i] for i in chosen)
    assert [found[k] for k in range(len(counts))] == expected
    assert chosen == sorted(set(chosen))


def test_balanced_spreads_the_remainder_over_classes() -> None:
    found = Counter(dataset([10] * 4).labels[i] for i in balanced(dataset([10] * 4), 10, seed=0))
    assert sorted(found.values()) == [2, 2, 3, 3]


def test_balanced_depends_on_the_seed_alone_and_grows() -> None:
    data = dataset([40, 40])
    assert balanced(data, 10, seed=1) == balanced(data, 10, seed=1)
    assert balanced(data, 10, seed=1) != balanced(data, 10, seed=2)
    assert set(balanced(data, 10, seed=1)) < set(balanced(data, 17, seed=1))


@pytest.mark.parametrize("n", [0, 5])
def test_balanced_refuses_numbers_that_cannot_be_had(n: int) -> None:
    with pytest.raises(BequeathError, match=rf"samples: {n} asked for, but toy has 4"):
        balanced(dataset([2, 2]), n, seed=0)


def test_batch_stacks_images_in_order() -> None:
    data = dataset([2, 2])
    out = batch(data, [3, 0])
    assert out.shape == (2, 3, 2, 2)
    assert out.dtype == torch.float32
    assert torch.equal(out[1], data[0].x)


def test_batch_refuses_nothing_and_texts(tmp_path) -> None:
    with pytest.raises(BequeathError, match="no samples of toy"):
        batch(dataset([1]), [])
    path = tmp_path / "a.tsv"
    path.write_text("good\t1\nbad\t0\n")
    with pytest.raises(BequeathError, match=r"a\.tsv holds texts"):
        batch(TextTable(path, 0, 1), [0])


@pytest.mark.parametrize(
    ("counts", "fraction", "held"),
    [
        ([10, 20, 30], 0.1, [1, 2, 3]),
        ([10, 10], 0.25, [3, 2]),  # 5 of 20: in a tie the first class gives the odd one
        ([7, 3, 10], 0.5, [4, 1, 5]),
        ([2, 100], 0.05, [1, 5]),  # a class of two is in both parts
        ([2, 100], 0.97, [1, 97]),
        ([1, 9], 0.5, [0, 4]),  # a class of one is for training
        ([0, 4], 0.5, [0, 2]),
    ],
)
def test_split_parts_every_class_alike(counts: list[int], fraction: float, held: list[int]) -> None:
    data = dataset(counts)
    train, held_out = split(data, fraction, seed=4)
    assert [held_out.labels.count(k) for k in range(len(counts))] == held
    ids = [[part[i].id for i in range(len(part))] for part in (train, held_out)]
    assert sorted(ids[0] + ids[1], key=int) == [str(i) for i in range(len(data))]
    assert ids == [sorted(some, key=int) for some in ids]
    assert (held_out.modality, held_out.classes) == (data.modality, data.classes)
    assert held_out.source == f"{sum(held)} held-out of toy (seed 4)"


def test_split_depends_on_the_seed_alone() -> None:
    first, again, other = (
        [part[i].id for part in [split(dataset([20, 20]), 0.5, seed)[1]] for i in range(20)]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("counts", "fraction", "message"),
    [
        ([4, 4], 0, "fraction 0; give the share held out"),
        ([4, 4], 1.0, "fraction 1.0"),
        ([1, 1], 0.5, r"0\.5 of toy leaves a part without samples; it has 2"),
    ],
)
def test_split_refuses_what_leaves_a_part_empty(counts: list[int], fraction: float, message: str) -> None:
    with pytest.raises(BequeathError, match=message):
        split(dataset(counts), fraction, seed=0)


def test_a_parts_check_reads_the_parts_own_pictures(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "good.png")
    (tmp_path / "b" / "bad.png").write_text("no picture")
    folder = ImageFolder(tmp_path, Preprocessing(4))
    bad = [i for i, file in enumerate(folder.files) if file.name == "bad.png"]
    good = [i for i in range(3) if i not in bad]
    Subset(folder, good, "good").check()
    mixed = Subset(folder, [*good, *bad], "mixed")
    mixed.check([0, 1])
    with pytest.raises(BequeathError, match=r"bad\.png: cannot be read"):
        mixed.check()
