"""Held-out samples that are training data too."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bequeath.data import ImageFolder, Subset, Table, TextList
from bequeath.data.images import ImageArray
from bequeath.data.overlap import also_in
from bequeath.data.samples import split


def _pictures(folder: Path, seeds: list[int]) -> ImageFolder:
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for seed in seeds:
            pixels = np.random.default_rng([seed, ord(label)]).integers(0, 255, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{seed}.png")
    return ImageFolder(folder)


def test_files_are_compared_by_content(tmp_path):
    held_out, train = _pictures(tmp_path / "val", [0, 1]), _pictures(tmp_path / "train", [1, 2, 3])
    (tmp_path / "train/a/1.png").rename(tmp_path / "train/a/renamed.png")
    train = ImageFolder(tmp_path / "train")
    assert [held_out[i].id for i in also_in(held_out, range(4), train)] == ["a/1.png", "b/1.png"]
    assert also_in(held_out, [0, 1], Subset(train, [3, 4, 5], "b")) == []
    # The class does not matter: a/1.png is training data of class b too, if it lies there.
    (tmp_path / "train/b/other.png").write_bytes((tmp_path / "val/a/0.png").read_bytes())
    assert also_in(held_out, [0], ImageFolder(tmp_path / "train")) == [0]


def test_texts_rows_and_arrays():
    texts = TextList(["a b", "c", "a b"], [0, 1, 0], ["x", "y"])
    assert also_in(texts, [0, 1], TextList(["a b", "d"], [1, 0], ["x", "y"])) == [0]
    values = np.arange(12.0).reshape(4, 3)
    rows = Table(values, [0, 1, 0, 1], ["x", "y"])
    assert also_in(rows, [0, 1, 2], Table(values[2:], [0, 1], ["x", "y"])) == [2]
    pictures = np.random.default_rng(0).integers(0, 255, (4, 6, 6), dtype=np.uint8)
    whole = ImageArray(pictures, [0, 1, 0, 1], ["x", "y"])
    assert also_in(whole, [0, 3], ImageArray(pictures[3:], [0], ["x", "y"])) == [3]


@pytest.mark.parametrize("twice", [False, True])
def test_two_parts_of_one_set_share_what_is_in_it_twice(twice):
    texts = [f"text {k // 2 if twice else k}" for k in range(40)]
    whole = TextList(texts, [0] * 40, ["x"])
    train, held_out = split(whole, 0.5, seed=0)
    found = also_in(held_out, range(len(held_out)), train)
    expected = [i for i in range(len(held_out)) if held_out[i].x in {train[k].x for k in range(len(train))}]
    assert found == expected
    assert bool(found) == twice
