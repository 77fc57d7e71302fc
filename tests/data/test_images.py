"""Image folders and image arrays."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bequeath.data import IMAGENET_MEAN, IMAGENET_STD, ImageArray, ImageFiles, ImageFolder, Preprocessing
from bequeath.errors import BequeathError

HYMENOPTERA = Path(__file__).resolve().parents[2] / "../shared/data/hymenoptera256"


def plain(size: int, **kwargs: object) -> Preprocessing:
    """Without normalisation."""
    return Preprocessing(size, (0, 0, 0), (1, 1, 1), **kwargs)


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
    data = ImageFolder(folder, Preprocessing(4))
    assert data.modality == "image"
    assert data.classes == ("a", "b")
    assert data.labels == (0, 1, 1)
    assert [data[i].id for i in range(len(data))] == ["a/x.png", "b/1.PNG", "b/2.png"]
    assert data.source == f"3 images of 2 classes in {folder}"
    data.check()


def test_folder_takes_the_classes_in_the_given_order(folder: Path) -> None:
    assert ImageFolder(folder, classes=["b", "a"]).labels == (0, 0, 1)
    assert ImageFolder(folder, classes=["b"]).classes == ("b",)


def test_sample_is_normalised_and_its_picture_is_the_view(folder: Path) -> None:
    sample = ImageFolder(folder, Preprocessing(4))[1]
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
    crop = ImageFolder(tmp_path, plain(4))[0].x
    assert torch.equal(crop, torch.ones(3, 4, 4))
    squash = ImageFolder(tmp_path, plain(4, resize="squash"))[0].x
    assert 0.25 < squash.mean() < 0.42


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.fromarray(np.repeat(np.uint8([0, 255]), 8)[:, None].repeat(16, axis=1))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    (tmp_path / "a").mkdir()
    image.save(tmp_path / "a" / "x.png", exif=exif)
    x = ImageFolder(tmp_path, plain(16))[0].x
    assert x[:, :8].min() == 1
    assert x[:, 8:].max() == 0


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    (tmp_path / "a").mkdir()
    suffix = "jpg" if mode == "CMYK" else "png"
    Image.new(mode, (5, 5)).save(tmp_path / "a" / f"x.{suffix}")
    assert ImageFolder(tmp_path, Preprocessing(3))[0].x.shape == (3, 3, 3)


def test_folder_errors_name_the_place(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(BequeathError, match=r"nowhere: does not exist; give a folder"):
        ImageFolder(tmp_path / "nowhere")
    with pytest.raises(BequeathError, match=r"x\.png: is a file"):
        ImageFolder(folder / "a" / "x.png")
    with pytest.raises(BequeathError, match="a: no class folders"):
        ImageFolder(folder / "a")
    with pytest.raises(BequeathError, match="no class 'c'; there are a, b"):
        ImageFolder(folder, classes=["a", "c"])
    with pytest.raises(BequeathError, match="class 'a' is given twice"):
        ImageFolder(folder, classes=["a", "a"])
    with pytest.raises(BequeathError, match="classes is 'a'; give a list"):
        ImageFolder(folder, classes="a")
    with pytest.raises(BequeathError, match="preprocessing is 64; give a Preprocessing"):
        ImageFolder(folder, 64)  # type: ignore[arg-type]


def test_empty_class_is_named(folder: Path) -> None:
    (folder / "c").mkdir()
    with pytest.raises(BequeathError, match=r"class 'c' has no images; add some .* or list all classes"):
        ImageFolder(folder)


def test_a_listed_class_may_be_empty_or_absent(folder: Path) -> None:
    for _ in range(2):
        data = ImageFolder(folder, classes=["b", "c", "a"])
        assert (data.classes, data.labels) == (("b", "c", "a"), (0, 0, 2))
        (folder / "c").mkdir(exist_ok=True)
    with pytest.raises(BequeathError, match="no class 'd'; there are a, b, c; make an empty folder"):
        ImageFolder(folder, classes=["a", "d"])
    for name in ("a", "b"):
        shutil.rmtree(folder / name)
    with pytest.raises(BequeathError, match="class 'c' has no images"):
        ImageFolder(folder, classes=["c", "e"])


def test_pictures_below_a_class_folder_are_its_own(folder: Path) -> None:
    (folder / "b" / "camera2" / "night").mkdir(parents=True)
    (folder / "b" / "1.PNG").rename(folder / "b" / "camera2" / "night" / "1.PNG")
    (folder / "b" / ".thumbnails").mkdir()
    shutil.copy(folder / "b" / "2.png", folder / "b" / ".thumbnails" / "2.png")
    (folder / "b" / "camera2" / "back").symlink_to(folder / "b")  # a link that leads back
    os.mkfifo(folder / "b" / "pipe.png")
    (folder / "b" / "folder.png").mkdir()
    (folder / "b" / "broken.png").symlink_to(folder / "nowhere")
    data = ImageFolder(folder)
    assert [data[i].id for i in range(3)] == ["a/x.png", "b/2.png", "b/camera2/night/1.PNG"]
    assert len(data) == 3


def test_a_folder_one_level_too_high_is_explained(folder: Path) -> None:
    with pytest.raises(BequeathError, match=rf"no images, only the folders a, b; did you mean {folder}\?"):
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


def test_listed_files_with_boxes(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    save(tmp_path / "x.png", pixels)
    save(tmp_path / "y.png", pixels)
    files = [tmp_path / "y.png", tmp_path / "x.png"]
    boxes = [(1, 2, 5, 6), (-3, 3, 3, 8)]
    data = ImageFiles(files, [0, 1], ["a", "b"], Preprocessing(4), "toy", tmp_path, boxes)
    assert [data[i].id for i in range(2)] == ["y.png", "x.png"]
    assert np.array_equal(data[0].picture, pixels[2:6, 1:5])
    assert np.array_equal(data.open(1), pixels[3:, :3])  # over the edge
    assert ImageFiles(files, [0, 1], ["a", "b"])[0].id == files[0].as_posix()
    empty = ImageFiles(files, [0, 1], ["a", "b"], boxes=[(9, 0, 12, 2), (0, 0, 1, 1)])
    with pytest.raises(BequeathError, match=r"y\.png: the box \(9, 0, 12, 2\) lies outside its 9 x 6 pixels"):
        empty.check()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"labels": [0, 2]}, "toy: label 2 of image 1 is not in"),
        ({"labels": [0]}, "toy: 2 images need as many"),
        ({"files": ["x.png", "x.png"]}, r"toy: x\.png occurs twice"),
        ({"boxes": [(0, 0, 1, 1)]}, "toy: 1 boxes for 2 files"),
    ],
)
def test_listed_files_must_fit(kwargs: dict, message: str) -> None:
    given = {"files": ["x.png", "y.png"], "labels": [0, 1], "classes": ["a", "b"], "source": "toy", **kwargs}
    with pytest.raises(BequeathError, match=message):
        ImageFiles(**given)


def test_deep_pixels_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a" / "deep.png", np.full((4, 4), 40000, dtype=np.uint16))
    with pytest.raises(BequeathError, match=r"deep\.png: its pixels have more than 8 bits"):
        ImageFolder(tmp_path).check()


def test_array_repeats_grey_and_upscales() -> None:
    images = np.zeros((2, 2, 2), dtype=np.uint8)
    images[1] = [[0, 255], [0, 255]]
    data = ImageArray(images, [0, 1], ["dark", "half"], plain(4), source="toy")
    sample = data[1]
    assert (data.modality, data.classes, data.labels, len(data)) == ("image", ("dark", "half"), (0, 1), 2)
    assert (sample.id, sample.label) == ("1", 1)
    assert torch.equal(sample.x[0], sample.x[2])
    np.testing.assert_allclose(sample.x[0, 0], [0, 0.25, 0.75, 1], atol=2e-3)
    assert sample.picture.shape == (4, 4, 3)
    np.testing.assert_allclose(sample.picture / 255, sample.x.permute(1, 2, 0), atol=1e-6)


def test_array_keeps_rgb_of_the_right_size() -> None:
    images = np.random.default_rng(0).integers(0, 256, (1, 5, 5, 3), dtype=np.uint8)
    sample = ImageArray(images, [0], ["a"], Preprocessing(5))[0]
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


def test_array_ids() -> None:
    images = np.zeros((2, 4, 4), np.uint8)
    data = ImageArray(images, [0, 0], ["a"], Preprocessing(4), ids=["p", "q"])
    assert [data[i].id for i in (0, 1, -1)] == ["p", "q", "q"]
    for ids, message in ((["p"], "1 ids for 2 images"), (["p", "p"], "p occurs twice")):
        with pytest.raises(BequeathError, match=message):
            ImageArray(images, [0, 0], ["a"], ids=ids)


@pytest.mark.skipif(not HYMENOPTERA.is_dir(), reason="needs ../shared/data/hymenoptera256")
def test_a_real_folder() -> None:
    data = ImageFolder(HYMENOPTERA / "val", Preprocessing(64))
    assert (data.classes, len(data), data.labels.count(0)) == (("ants", "bees"), 153, 70)
    data.check([0, 100])
    assert data[100].x.shape == (3, 64, 64)
    with pytest.raises(BequeathError, match="no images, only the folders ants, bees"):
        ImageFolder(HYMENOPTERA)
