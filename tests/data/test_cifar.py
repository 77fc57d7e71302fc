"""CIFAR-10 and CIFAR-100 in their binary and Python versions."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import data_slices
import numpy as np
import pytest
import python2_pickle
from torchvision_shim import ensure_torchvision

from bequeath.data import Preprocessing, cifar10, cifar100
from bequeath.errors import BequeathError

TRAIN = [f"data_batch_{k}" for k in range(1, 6)]
SMALL = Preprocessing(32)

Slice = tuple[list[str], np.ndarray, list[int]]


def flat(images: np.ndarray) -> np.ndarray:
    """(n, 32, 32, 3) -> (n, 3072), channel by channel."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)


def parts(slice_: Slice) -> dict[str, tuple[np.ndarray, list[int]]]:
    """Five training batches of 30 and a test batch of 50."""
    _, images, labels = slice_
    edges = [0, 30, 60, 90, 120, 150, 200]
    return {
        name: (flat(images)[a:b], labels[a:b])
        for name, a, b in zip([*TRAIN, "test_batch"], edges, edges[1:], strict=False)
    }


def python10(root: Path, slice_: Slice) -> Path:
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    for name, (data, labels) in parts(slice_).items():
        content = {"batch_label": name, "labels": labels, "data": data, "filenames": ["x.png"] * len(labels)}
        (folder / name).write_bytes(python2_pickle.dumps(content))
    meta = {"num_cases_per_batch": 10000, "label_names": slice_[0], "num_vis": 3072}
    (folder / "batches.meta").write_bytes(python2_pickle.dumps(meta))
    return folder


def binary10(root: Path, slice_: Slice) -> Path:
    folder = root / "cifar-10-batches-bin"
    folder.mkdir()
    for name, (data, labels) in parts(slice_).items():
        (folder / f"{name}.bin").write_bytes(np.c_[np.uint8(labels), data].tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(slice_[0]) + "\n\n")
    return folder


def noise100(seed: int = 0) -> tuple[np.ndarray, list[int], list[int]]:
    rng = np.random.default_rng(seed)
    fine = rng.integers(0, 100, 25).tolist()
    return rng.integers(0, 256, (25, 3072), dtype=np.uint8), fine, [label // 5 for label in fine]


NAMES100 = {"fine": [f"fine {k}" for k in range(100)], "coarse": [f"coarse {k}" for k in range(20)]}


def python100(root: Path) -> Path:
    folder = root / "cifar-100-python"
    folder.mkdir()
    for seed, split in enumerate(("train", "test")):
        data, fine, coarse = noise100(seed)
        content = {"data": data, "fine_labels": fine, "coarse_labels": coarse, "batch_label": split}
        (folder / split).write_bytes(python2_pickle.dumps(content))
    meta = {f"{kind}_label_names": names for kind, names in NAMES100.items()}
    (folder / "meta").write_bytes(python2_pickle.dumps(meta))
    return folder


def binary100(root: Path) -> Path:
    folder = root / "cifar-100-binary"
    folder.mkdir()
    for seed, split in enumerate(("train", "test")):
        data, fine, coarse = noise100(seed)
        (folder / f"{split}.bin").write_bytes(np.c_[np.uint8(coarse), np.uint8(fine), data].tobytes())
    for kind, names in NAMES100.items():
        (folder / f"{kind}_label_names.txt").write_text("\n".join(names) + "\n")
    return folder


def torchvisions(name: str, root: Path, train: bool) -> Any:
    """torchvision's own reading, without its checksums: these are slices."""
    ensure_torchvision()
    from torchvision import datasets

    base = getattr(datasets, name)
    meta = {**base.meta, "md5": None}
    sliced = type(name, (base,), {"meta": meta, "_check_integrity": lambda self: True})
    return sliced(root, train=train)


@pytest.mark.parametrize("build", [python10, binary10])
@pytest.mark.parametrize("split", ["train", "test"])
def test_cifar10_is_as_torchvision_reads_it(tmp_path: Path, build: Callable, split: str) -> None:
    slice_ = data_slices.cifar10()
    folder = build(tmp_path, slice_)
    if build is binary10:  # torchvision reads only the other one
        python10(tmp_path, slice_)
    theirs = torchvisions("CIFAR10", tmp_path, split == "train")
    data = cifar10(folder, split, SMALL)
    assert np.array_equal(data.images, theirs.data)
    assert np.array_equal(data[7].picture, theirs[7][0])
    assert (list(data.labels), list(data.classes)) == (theirs.targets, theirs.classes)
    assert data[-1].id == ("data_batch_5/29" if split == "train" else "test_batch/49")
    assert data.source == f"CIFAR-10, {len(theirs)} {split} images of 10 classes in {folder}"


def test_the_pixels_are_those_of_the_pictures(tmp_path: Path) -> None:
    slice_ = data_slices.cifar10()
    data = cifar10(binary10(tmp_path, slice_), "test", SMALL)
    assert np.array_equal(data[3].picture, slice_[1][153])


@pytest.mark.parametrize("build", [python100, binary100])
@pytest.mark.parametrize("split", ["train", "test"])
def test_cifar100_is_as_torchvision_reads_it(tmp_path: Path, build: Callable, split: str) -> None:
    folders = {python100: python100(tmp_path), binary100: binary100(tmp_path)}
    theirs = torchvisions("CIFAR100", tmp_path, split == "train")
    data = cifar100(folders[build], split, SMALL)
    assert np.array_equal(data.images, theirs.data)
    assert (list(data.labels), list(data.classes)) == (theirs.targets, theirs.classes)
    coarse = cifar100(folders[build], split, SMALL, labels="coarse")
    assert (list(coarse.labels), list(coarse.classes)) == (
        [k // 5 for k in theirs.targets],
        NAMES100["coarse"],
    )


def test_some_classes_keep_their_ids(tmp_path: Path) -> None:
    slice_ = data_slices.cifar10()
    whole = cifar10(binary10(tmp_path, slice_), "test", SMALL)
    data = cifar10(tmp_path, "test", SMALL, classes=["frog", "cat"])  # the folder above will do
    kept = [i for i, label in enumerate(whole.labels) if whole.classes[label] in ("frog", "cat")]
    assert [data[k].id for k in range(len(data))] == [whole[i].id for i in kept]
    assert [data.classes[k] for k in data.labels] == [whole.classes[whole.labels[i]] for i in kept]
    assert np.array_equal(data.images, whole.images[kept])
    with pytest.raises(BequeathError, match="CIFAR-10: no class 'dogs'; there are airplane"):
        cifar10(tmp_path, "test", SMALL, classes=["dogs"])


class Touch:
    """Pickles as a call that leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable, tuple]:
        return open, (str(self.path), "w")


def noise10() -> Slice:
    rng = np.random.default_rng(0)
    return list("abcdefghij"), rng.integers(0, 256, (200, 32, 32, 3), dtype=np.uint8), [0] * 200


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("place", ["whole", "value", "meta"])
def test_a_malicious_pickle_is_refused_without_running(tmp_path: Path, protocol: int, place: str) -> None:
    folder, trap = python10(tmp_path, noise10()), tmp_path / "trap"
    content = Touch(trap) if place == "whole" else {"labels": [0], "label_names": ["a"], "data": Touch(trap)}
    raw = pickle.dumps(content, protocol)
    file = folder / ("batches.meta" if place == "meta" else "test_batch")
    file.write_bytes(raw)
    with pytest.raises(BequeathError, match=rf"{file.name}: this pickle names \w+\.open") as caught:
        cifar10(folder, "test", SMALL)
    assert "\n" not in str(caught.value)
    assert not trap.exists()
    pickle.loads(raw)
    assert trap.exists()  # it would have run


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", r"names os\.system"),
        (b"(S'true'\nios\nsystem\n.", r"names os\.system"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.", r"names builtins\.eval"),
        (b"cnumpy.core.multiarray\nscalar\n.", r"names numpy\.core\.multiarray\.scalar"),
        # An admitted name cannot be given other attributes.
        (b"cnumpy\nndarray\n}S'__setstate__'\nI1\nsb.", "cannot be read"),
        (b"Pid\n.", "cannot be read"),
        (b"", "cannot be read"),
        (b"\x80\x02}q\x01", "cannot be read"),
        (b"not a pickle", "cannot be read"),
        (b"\x80\x02]q\x01.", "holds a list, not a dictionary"),
        (pickle.dumps({"data": np.zeros((1, 3072)), "labels": [0]}, 4), "not of unsigned bytes"),
        (pickle.dumps({"data": np.zeros((1, 3072), object), "labels": [0]}, 4), "not of unsigned bytes"),
        (pickle.dumps({"data": np.zeros((1, 9), np.uint8), "labels": [0]}, 4), "not an array"),
        (pickle.dumps({"data": [1, 2], "labels": [0]}, 4), "not an array"),
        (pickle.dumps({"data": np.zeros((1, 3072), np.uint8)}, 4), "labels is not a list of integers"),
        (pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [0, 1]}, 4), "2 labels for 1 images"),
        (pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}, 4), "label 10 of image 0"),
    ],
)
def test_other_pickles_are_refused(tmp_path: Path, raw: bytes, message: str) -> None:
    folder = python10(tmp_path, noise10())
    (folder / "test_batch").write_bytes(raw)
    with pytest.raises(BequeathError, match=message) as caught:
        cifar10(folder, "test", SMALL)
    assert "\n" not in str(caught.value)


def test_a_slice_pickled_anew_is_read(tmp_path: Path) -> None:
    folder, data = python10(tmp_path, noise10()), np.arange(6144, dtype=np.uint8).reshape(2, -1)
    for order in "CF":
        content = {b"data": np.asarray(data, order=order), b"labels": [3, 4]}
        (folder / "test_batch").write_bytes(pickle.dumps(content, 4))
        read = cifar10(folder, "test", SMALL)
        assert read.labels == (3, 4)
        assert np.array_equal(flat(read.images), data)


def test_errors_name_the_missing_part(tmp_path: Path) -> None:
    with pytest.raises(BequeathError, match=r"CIFAR-10: .*nowhere does not exist; give the folder cifar-10"):
        cifar10(tmp_path / "nowhere", "test")
    with pytest.raises(BequeathError, match=r"split is one of train, test, not .val."):
        cifar10(tmp_path, "val")  # type: ignore[arg-type]
    with pytest.raises(BequeathError, match=r'labels is "fine" or "coarse"'):
        cifar100(tmp_path, "test", labels="both")  # type: ignore[arg-type]
    folder = binary10(tmp_path, noise10())
    (folder / "data_batch_4.bin").unlink()
    with pytest.raises(BequeathError, match=r"data_batch_4\.bin does not exist; unpack .*cs\.toronto\.edu"):
        cifar10(folder, "train")
    (folder / "test_batch.bin").write_bytes(bytes(3074))
    with pytest.raises(BequeathError, match=r"test_batch\.bin: 3074 bytes are no whole number of records"):
        cifar10(folder, "test")
    (folder / "batches.meta.txt").unlink()
    with pytest.raises(BequeathError, match=r"batches\.meta\.txt does not exist"):
        cifar10(folder, "test")
