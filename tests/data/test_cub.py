"""CUB-200-2011 as published, made of real pictures of other things."""

from __future__ import annotations

from pathlib import Path

import data_slices
import numpy as np
import pytest
from PIL import Image
from torchvision_shim import ensure_torchvision

from bequeath.data import Preprocessing, cub200
from bequeath.errors import BequeathError

SMALL = Preprocessing(32)
LISTS = ("images", "image_class_labels", "classes", "train_test_split", "bounding_boxes")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten pictures of two classes; every third is for training."""
    root = tmp_path / "CUB_200_2011"
    source = data_slices.shared("hymenoptera256")
    classes = {"ants": "001.Black_footed_Ant", "bees": "002.Laysan_Bee"}
    lines: dict[str, list[str]] = {name: [] for name in LISTS}
    files = [(kind, file) for kind in classes for file in sorted((source / "val" / kind).glob("*.jpg"))[:5]]
    for number, (kind, file) in enumerate(files, 1):
        name = f"{classes[kind]}/{classes[kind][4:]}_{number:04}.jpg"
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "images" / name).write_bytes(file.read_bytes())
        lines["images"].append(f"{number} {name}")
        lines["image_class_labels"].append(f"{number} {int(kind == 'bees') + 1}")
        lines["train_test_split"].append(f"{number} {int(number % 3 == 1)}")
        lines["bounding_boxes"].append(f"{number} {number}.0 20.0 100.0 {120 + number}.0")
    lines["classes"] = [f"{k} {name}" for k, name in enumerate(classes.values(), 1)]
    for name in LISTS:
        (root / f"{name}.txt").write_text("\n".join(lines[name]) + "\n")
    return root


def test_splits_as_listed(root: Path) -> None:
    train, test = cub200(root, "train", SMALL), cub200(root.parent, "test", SMALL)
    assert train.classes == test.classes == ("001.Black_footed_Ant", "002.Laysan_Bee")
    assert (train.labels, test.labels) == ((0, 0, 1, 1), (0, 0, 0, 1, 1, 1))
    assert [file.stem[-4:] for file in train.files] == ["0001", "0004", "0007", "0010"]
    assert test[0].id == "001.Black_footed_Ant/Black_footed_Ant_0002.jpg"
    assert train.source == f"CUB-200-2011, 4 train images of 2 classes in {root}"
    train.check()


def test_pictures_are_as_torchvisions_folder_reads_them(root: Path) -> None:
    ensure_torchvision()
    from torchvision.datasets import ImageFolder

    theirs = ImageFolder(root / "images")
    both = [cub200(root, split, SMALL) for split in ("train", "test")]
    ours = {str(data.files[i]): (data.open(i), data.labels[i]) for data in both for i in range(len(data))}
    assert len(ours) == len(theirs) == 10
    for (file, _), (image, label) in zip(theirs.samples, theirs, strict=True):
        assert np.array_equal(ours[file][0], image)
        assert ours[file][1] == label


def test_crop_and_classes(root: Path) -> None:
    data = cub200(root, "train", SMALL, classes=["002.Laysan_Bee"], crop=True)
    assert (data.labels, data.classes) == ((0, 0), ("002.Laysan_Bee",))
    for i, number in enumerate((7, 10)):
        whole = np.asarray(Image.open(data.files[i]).convert("RGB"))
        assert np.array_equal(data.open(i), whole[20 : 140 + number, number : number + 100])


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("images", "3 001", "3\t", r"images/\S+ does not exist"),
        ("images", "3 001.Black_footed_Ant/", "3x", r"images\.txt, line 3: 1 fields where 2 are"),
        ("images", "3 001", "33 001", r"train_test_split\.txt: has no image 33, unlike images\.txt"),
        ("image_class_labels", "3 1\n", "", r"image_class_labels\.txt: has no image 3"),
        ("image_class_labels", "3 1\n", "3 9\n", r"image_class_labels\.txt: image 3 has the class 9"),
        ("bounding_boxes", "3 3.0", "3 left", r"bounding_boxes\.txt: image 3 has the box left 20\.0"),
        ("bounding_boxes", "3 3.0 ", "3 ", r"bounding_boxes\.txt, line 3: 4 fields where 5"),
    ],
)
def test_damage_is_named(root: Path, name: str, old: str, new: str, message: str) -> None:
    file = root / f"{name}.txt"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(BequeathError, match=message) as caught:
        cub200(root, "test", SMALL, crop=True)
    assert "\n" not in str(caught.value)
    assert "vision.caltech.edu" in str(caught.value)


def test_missing_parts_are_named(root: Path) -> None:
    with pytest.raises(BequeathError, match="split is one of train, test, not 'val'"):
        cub200(root, "val")  # type: ignore[arg-type]
    with pytest.raises(BequeathError, match="no class 'Bee'; there are 001"):
        cub200(root, "train", classes=["Bee"])
    for file in cub200(root, "train").files[1:]:
        file.unlink()
    with pytest.raises(BequeathError, match=r"_0004\.jpg does not exist \(3 of 4 listed files are missing\)"):
        cub200(root, "train")


@pytest.mark.parametrize("name", LISTS)
def test_missing_lists_are_named(root: Path, name: str) -> None:
    (root / f"{name}.txt").unlink()
    with pytest.raises(BequeathError, match=rf"{name}\.txt does not exist; unpack .*CUB_200_2011\.tgz"):
        cub200(root, "test", crop=True)
