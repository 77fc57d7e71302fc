"""Tiny ImageNet as published, made of real small pictures."""

from __future__ import annotations

from pathlib import Path

import data_slices
import numpy as np
import pytest
from PIL import Image
from torchvision_shim import ensure_torchvision

from bequeath.data import Preprocessing, tiny_imagenet
from bequeath.errors import BequeathError

SMALL = Preprocessing(32)
WORDS = {
    "n03126707": "crane",
    "n01443537": "goldfish, Carassius auratus",
    "n02012849": "crane, wading bird",
    "n04067472": "reel",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four classes of five training pictures and two validation pictures; words.txt knows more."""
    root = tmp_path / "tiny-imagenet-200"
    _, images, _ = data_slices.cifar10()
    pictures = iter(images)

    def save(file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(next(pictures)).resize((64, 64)).save(file, format="JPEG")

    annotations = []
    for k, number in enumerate(WORDS):
        for i in range(5):
            save(root / "train" / number / "images" / f"{number}_{i}.JPEG")
        (root / "train" / number / f"{number}_boxes.txt").write_text(f"{number}_0.JPEG\t0\t0\t62\t62\n")
        for i in (2 * (3 - k), 2 * (3 - k) + 1):
            save(root / "val/images" / f"val_{i}.JPEG")
            annotations.append(f"val_{i}.JPEG\t{number}\t0\t32\t44\t62")
    (root / "val/val_annotations.txt").write_text("\n".join(sorted(annotations)) + "\n")
    (root / "wnids.txt").write_text("\n".join(WORDS))
    others = {"n00001740": "entity", "n00001930": "physical entity"}
    (root / "words.txt").write_text("\n".join(f"{k}\t{v}" for k, v in {**others, **WORDS}.items()))
    return root


NAMES = ("goldfish", "crane (n02012849)", "crane (n03126707)", "reel")


def test_training_pictures_are_as_a_folder_of_classes(root: Path) -> None:
    ensure_torchvision()
    from torchvision.datasets import ImageFolder

    theirs = ImageFolder(root / "train")
    data = tiny_imagenet(root, "train", SMALL)
    assert [(str(f), k) for f, k in zip(data.files, data.labels, strict=True)] == theirs.samples
    assert np.array_equal(data.open(7), theirs[7][0])
    assert data.classes == NAMES
    assert data[0].id == "n01443537/images/n01443537_0.JPEG"
    assert data.source == f"Tiny ImageNet, 20 train images of 4 classes in {root}"


def test_validation_pictures_are_as_annotated(root: Path) -> None:
    data = tiny_imagenet(root.parent, "val", SMALL)
    numbers = dict(line.split("\t")[:2] for line in (root / "val/val_annotations.txt").open())
    order = sorted(WORDS)
    assert [data[i].id for i in range(8)] == [f"images/val_{i}.JPEG" for i in range(8)]
    assert [order[k] for k in data.labels] == [numbers[f"val_{i}.JPEG"] for i in range(8)]
    data.check()


@pytest.mark.parametrize("split", ["train", "val"])
def test_classes_by_name_or_number(root: Path, split: str) -> None:
    data = tiny_imagenet(root, split, SMALL, classes=["n04067472", "crane (n02012849)"])
    assert data.classes == ("reel", "crane (n02012849)")
    whole = tiny_imagenet(root, split, SMALL)
    names = dict(zip(whole.files, (whole.classes[k] for k in whole.labels), strict=True))
    assert [data.classes[k] for k in data.labels] == [names[file] for file in data.files]
    assert data.labels.count(0) == data.labels.count(1) == (5 if split == "train" else 2)


def test_errors_name_the_part(root: Path) -> None:
    with pytest.raises(
        BequeathError, match=r"one of train, val, not 'test'; the test pictures are published without labels"
    ):
        tiny_imagenet(root, "test")  # type: ignore[arg-type]
    with pytest.raises(BequeathError, match=r"no class 'crane'; there are goldfish, crane \(n02012849\)"):
        tiny_imagenet(root, "val", classes=["crane"])
    annotations = root / "val/val_annotations.txt"
    text = annotations.read_text()
    annotations.write_text(text.replace("n01443537", "n99999999"))
    with pytest.raises(
        BequeathError, match=r"val_\d\.JPEG has the class n99999999, which is not in wnids\.txt"
    ):
        tiny_imagenet(root, "val")
    annotations.write_text("val_0.JPEG n01443537\n")
    with pytest.raises(BequeathError, match=r"val_annotations\.txt, line 1: 1 fields where 3 are expected"):
        tiny_imagenet(root, "val")
    annotations.write_text(text)
    (root / "val/images/val_3.JPEG").unlink()
    with pytest.raises(BequeathError, match=r"val_3\.JPEG does not exist; unpack .*tiny-imagenet-200\.zip"):
        tiny_imagenet(root, "val")
    (root / "train/n04067472/images").rename(root / "elsewhere")
    with pytest.raises(BequeathError, match="train/n04067472/images does not exist"):
        tiny_imagenet(root, "train")
    (root / "words.txt").write_text("n04067472\treel\n")
    with pytest.raises(BequeathError, match=r"words\.txt: has no n01443537, unlike wnids\.txt"):
        tiny_imagenet(root, "train")
    (root / "wnids.txt").unlink()
    with pytest.raises(BequeathError, match=r"wnids\.txt does not exist"):
        tiny_imagenet(root, "train")
