"""Image folders and image arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bequeath.data import IMAGENET_MEAN, IMAGENET_STD, ImageArray, ImageFolder
from bequeath.errors import BequeathError

HYMENOPTERA = Path(__file__).resolve().parents[2] / "../shared/data/hymenoptera256"
PLAIN = {"mean": (0, 0, 0), "std": (1, 1, 1)}


def save(path: Path, array: np.ndarray, **kwargs: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **kwargs)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("b/2.png", "b/1.PNG", "a/x.png"):
        save(tmp_path / name, rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / ".cache").mkdir()
    return tmp_path


def test_folder_lists_classes_and_files_in_order(folder: Path) -> None:
    data = ImageFolder(folder, size=4)
    assert data.kind == "image"
    assert data.classes == ("a", "b")
    assert data.labels == (0, 1, 1)
    assert [data[i].id for i in range(len(data))] == ["a/x.png", "b/1.PNG", "b/2.png"]
    assert data.source == f"3 images of 2 classes in {folder}"
    data.check()


def test_folder_takes_the_classes_in_the_given_order(folder: Path) -> None:
    assert ImageFolder(folder, classes=["b", "a"]).labels == (0, 0, 1)
    assert ImageFolder(folder, classes=["b"]).classes == ("b",)


def test_sample_is_normalised_and_its_picture_is_the_view(folder: Path) -> None:
    sample = ImageFolder(folder, size=4)[1]
    assert sample.x.shape == (3, 4, 4)
    assert sample.x.dtype == torch.float32
    assert sample.picture.shape == (4, 4, 3)
    assert sample.picture.dtype == np.uint8
    expected = (sample.picture / 255 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
    np.testing.assert_allclose(sample.x.permute(1, 2, 0), expected, atol=1e-6)
    assert sample.label == 1


def test_crop_keeps_the_centre_and_squash_keeps_all(tmp_path: Path) -> None:
    wide = np.zeros((4, 12, 3), dtype=np.uint8)
    wide[:, 4:8] = 255
    save(tmp_path / "a" / "wide.png", wide)
    crop = ImageFolder(tmp_path, size=4, **PLAIN)[0].x
    assert torch.equal(crop, torch.ones(3, 4, 4))
    squash = ImageFolder(tmp_path, size=4, resize="squash", **PLAIN)[0].x
    assert 0.25 < squash.mean() < 0.42


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.fromarray(np.repeat(np.uint8([0, 255]), 8)[:, None].repeat(16, axis=1))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    (tmp_path / "a").mkdir()
    image.save(tmp_path / "a" / "x.png", exif=exif)
    x = ImageFolder(tmp_path, size=16, **PLAIN)[0].x
    assert x[:, :8].min() == 1
    assert x[:, 8:].max() == 0


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    (tmp_path / "a").mkdir()
    suffix = "jpg" if mode == "CMYK" else "png"
    Image.new(mode, (5, 5)).save(tmp_path / "a" / f"x.{suffix}")
    assert ImageFolder(tmp_path, size=3)[0].x.shape == (3, 3, 3)


def test_folder_errors_name_the_place(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(BequeathError, match=r"nowhere: does not exist; give a folder"):
        ImageFolder(tmp_path / "nowhere")
    with pytest.raises(BequeathError, match=r"x\.png: is a file"):
        ImageFolder(folder / "a" / "x.png")
    with pytest.raises(BequeathError, match="a: no class folders"):
        ImageFolder(folder / "a")
    with pytest.raises(BequeathError, match="no folder for class 'c'; there are a, b"):
        ImageFolder(folder, classes=["a", "c"])
    with pytest.raises(BequeathError, match=r'resize is "crop" or "squash", not \'fit\''):
        ImageFolder(folder, resize="fit")  # type: ignore[arg-type]
    with pytest.raises(BequeathError, match="size 0"):
        ImageFolder(folder, size=0)
    with pytest.raises(BequeathError, match="must have 3 values"):
        ImageFolder(folder, mean=[0.5])
    with pytest.raises(BequeathError, match="std above 0"):
        ImageFolder(folder, std=[0, 1, 1])


def test_empty_class_is_named(folder: Path) -> None:
    (folder / "c").mkdir()
    with pytest.raises(BequeathError, match=r"class 'c' has no images; add images"):
        ImageFolder(folder)


def test_a_folder_one_level_too_high_is_explained(folder: Path) -> None:
    with pytest.raises(BequeathError, match=rf"it holds the folders a, b: is {folder} the folder to give"):
        ImageFolder(folder.parent, classes=[folder.name])


def test_unreadable_images_are_named_early(folder: Path) -> None:
    (folder / "b" / "3.jpg").write_bytes(b"not an image")
    whole = (folder / "b" / "2.png").read_bytes()
    (folder / "b" / "2.png").write_bytes(whole[: len(whole) // 2])
    data = ImageFolder(folder)
    data.check([0, 1])
    with pytest.raises(BequeathError, match=r"b/2\.png: cannot be read .*\(2 of 4 files are bad\)"):
        data.check()
    with pytest.raises(BequeathError, match=r"b/3\.jpg: cannot be read \(cannot identify image"):
        data.check([3])
    with pytest.raises(BequeathError, match=r"b/3\.jpg"):
        data[3]


def test_deep_pixels_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a" / "deep.png", np.full((4, 4), 40000, dtype=np.uint16))
    with pytest.raises(BequeathError, match=r"deep\.png: its pixels have more than 8 bits"):
        ImageFolder(tmp_path).check()


def test_array_repeats_grey_and_upscales() -> None:
    images = np.zeros((2, 2, 2), dtype=np.uint8)
    images[1] = [[0, 255], [0, 255]]
    data = ImageArray(images, [0, 1], ["dark", "half"], size=4, source="toy", **PLAIN)
    sample = data[1]
    assert (data.kind, data.classes, data.labels, len(data)) == ("image", ("dark", "half"), (0, 1), 2)
    assert (sample.id, sample.label) == ("1", 1)
    assert torch.equal(sample.x[0], sample.x[2])
    np.testing.assert_allclose(sample.x[0, 0], [0, 0.25, 0.75, 1], atol=2e-3)
    assert sample.picture.shape == (4, 4, 3)
    np.testing.assert_allclose(sample.picture / 255, sample.x.permute(1, 2, 0), atol=1e-6)


def test_array_keeps_rgb_of_the_right_size() -> None:
    images = np.random.default_rng(0).integers(0, 256, (1, 5, 5, 3), dtype=np.uint8)
    sample = ImageArray(images, [0], ["a"], size=5)[0]
    assert np.array_equal(sample.picture, images[0])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 4, 4)), [0, 1], r"toy: images must be uint8 of shape .* not float64 \(2, 4, 4\)"),
        (np.zeros((2, 4, 4, 1), np.uint8), [0, 1], r"not uint8 \(2, 4, 4, 1\)"),
        (np.zeros((2, 4, 4), np.uint8), [0], r"toy: 2 images need as many integer labels, not int64 \(1,\)"),
        (np.zeros((2, 4, 4), np.uint8), [0.0, 1.0], "integer labels, not float64"),
        (
            np.zeros((2, 4, 4), np.uint8),
            [0, 2],
            r"toy: label 2 of image 1 is not in 0\.\.1; there are 2 classes",
        ),
        (np.zeros((2, 4, 4), np.uint8), [-1, 0], "label -1 of image 0"),
    ],
)
def test_array_errors_name_the_place(images: np.ndarray, labels: list, message: str) -> None:
    with pytest.raises(BequeathError, match=message):
        ImageArray(images, labels, ["a", "b"], source="toy")


@pytest.mark.skipif(not HYMENOPTERA.is_dir(), reason="needs ../shared/data/hymenoptera256")
def test_a_real_folder() -> None:
    data = ImageFolder(HYMENOPTERA / "val", size=64)
    assert (data.classes, len(data), data.labels.count(0)) == (("ants", "bees"), 153, 70)
    data.check([0, 100])
    assert data[100].x.shape == (3, 64, 64)
    with pytest.raises(BequeathError, match="it holds the folders ants, bees"):
        ImageFolder(HYMENOPTERA)
