"""Stanford Cars as published, made of real pictures of it."""

from __future__ import annotations

from pathlib import Path

import data_slices
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision_shim import ensure_torchvision

from bequeath.data import Preprocessing, stanford_cars
from bequeath.errors import BequeathError

SMALL = Preprocessing(32)
BOX = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


def annotate(file: Path, rows: list[tuple[str, int]], labelled: bool = True) -> None:
    """A struct array as the devkit has it: boxes counted from 1, the last pixel inside."""
    fields = [*BOX, *(["class"] if labelled else []), "fname"]
    array = np.empty((1, len(rows)), dtype=[(field, object) for field in fields])
    for i, (name, label) in enumerate(rows):
        values = {**dict(zip(BOX, (i + 1, 11, i + 40, 60), strict=True)), "class": label, "fname": name}
        array[0, i] = tuple(np.uint16([[values[f]]]) if f != "fname" else np.array([name]) for f in fields)
    file.parent.mkdir(parents=True, exist_ok=True)
    savemat(file, {"annotations": array})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "stanford_cars"
    names: list[str] = []
    for split, each in (("train", 3), ("test", 2)):
        cars = data_slices.cars(split, each)
        names = names or sorted({kind for kind, _ in cars})
        (root / f"cars_{split}").mkdir(parents=True)
        rows = []
        for number, (kind, jpeg) in enumerate(cars, 1):
            (root / f"cars_{split}" / f"{number:05}.jpg").write_bytes(jpeg)
            rows.append((f"{number:05}.jpg", names.index(kind) + 1))
        if split == "train":
            annotate(root / "devkit/cars_train_annos.mat", rows)
        else:
            annotate(root / "devkit/cars_test_annos.mat", rows, labelled=False)
            annotate(root / "cars_test_annos_withlabels.mat", rows)
    cells = np.empty((1, len(names)), dtype=object)
    cells[0] = [name.replace("_", " ") for name in names]
    savemat(root / "devkit/cars_meta.mat", {"class_names": cells})
    return root


@pytest.mark.parametrize("split", ["train", "test"])
def test_it_is_as_torchvision_reads_it(root: Path, split: str) -> None:
    ensure_torchvision()
    from torchvision.datasets import StanfordCars

    theirs = StanfordCars(root.parent, split)
    data = stanford_cars(root, split, SMALL)
    assert len(data) == len(theirs) == (36 if split == "train" else 24)
    assert list(data.classes) == theirs.classes
    assert [(str(f), k) for f, k in zip(data.files, data.labels, strict=True)] == theirs._samples
    assert np.array_equal(data.open(5), theirs[5][0])
    assert data[5].id == "00006.jpg"
    assert data.source == f"Stanford Cars, {len(theirs)} {split} images of 12 classes in {root}"


def test_the_test_labels_may_lie_in_the_devkit(root: Path) -> None:
    expected = stanford_cars(root, "test").labels
    name = "cars_test_annos_withlabels.mat"
    (root / name).rename(root / "devkit" / name)
    assert stanford_cars(root.parent, "test").labels == expected


def test_crop_and_classes(root: Path) -> None:
    wanted = ["Volvo 240 Sedan 1993", "Audi S6 Sedan 2011"]
    data = stanford_cars(root, "train", SMALL, classes=wanted, crop=True)
    assert data.classes == tuple(wanted)
    assert data.labels == (1, 0, 1, 0, 1, 0)
    assert [data[i].id for i in range(4)] == ["00001.jpg", "00012.jpg", "00013.jpg", "00024.jpg"]
    whole = np.asarray(Image.open(data.files[1]).convert("RGB"))
    assert np.array_equal(data.open(1), whole[10:60, 11:51])


def test_one_picture_alone_is_read(root: Path) -> None:
    annotate(root / "devkit/cars_train_annos.mat", [("00003.jpg", 3)])
    assert stanford_cars(root, "train", crop=True).labels == (2,)


def test_errors_name_the_part(root: Path) -> None:
    train = root / "devkit/cars_train_annos.mat"
    annotate(train, [("00001.jpg", 13)])
    with pytest.raises(BequeathError, match=r"cars_train_annos\.mat: a class is not in 1\.\.12"):
        stanford_cars(root, "train")
    annotate(train, [("00001.jpg", 1), ("9.jpg", 1)])
    with pytest.raises(BequeathError, match=r"cars_train/9\.jpg does not exist; unpack"):
        stanford_cars(root, "train")
    annotate(train, [("00001.jpg", 1)], labelled=False)
    with pytest.raises(BequeathError, match="its annotations have no field class"):
        stanford_cars(root, "train")
    savemat(train, {"other": 1})
    with pytest.raises(BequeathError, match="has no variable annotations"):
        stanford_cars(root, "train")
    for content in (b"", b"not matlab", bytes(500), b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"):
        train.write_bytes(content)
        with pytest.raises(BequeathError, match=r"cars_train_annos\.mat: cannot be read"):
            stanford_cars(root, "train")
    train.unlink()
    with pytest.raises(BequeathError, match=r"cars_train_annos\.mat does not exist"):
        stanford_cars(root, "train")
    (root / "cars_test_annos_withlabels.mat").unlink()
    with pytest.raises(BequeathError, match=r"cars_test_annos\.mat has no labels; put cars_test_annos_with"):
        stanford_cars(root, "test")
    (root / "devkit/cars_test_annos.mat").unlink()
    with pytest.raises(BequeathError, match=r"cars_test_annos_withlabels\.mat does not exist"):
        stanford_cars(root, "test")
    (root / "devkit/cars_meta.mat").unlink()
    with pytest.raises(BequeathError, match=r"cars_meta\.mat does not exist; unpack .*car_dataset\.html"):
        stanford_cars(root, "train")
