"""Every kind of data in a study file, from its section to samples."""

import json

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from bequeath.data import Preprocessing
from bequeath.study.config.data import DataConfig, modality


def load(**section):
    config = TypeAdapter(DataConfig).validate_python(section)
    data, train = config.load(Preprocessing(16), 0)
    assert modality(config) == data.modality
    assert (train is not None) == config.has_train
    return data, train


def picture(path, value=0, size=20):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size, size, 3), value, np.uint8)).save(path)


def test_cifar10_binary(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "batches.meta.txt").write_text("\n".join("abcdefghij") + "\n")
    rows = np.zeros((10, 3073), np.uint8)
    rows[:, 0] = np.arange(10)
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        rows.tofile(folder / f"{name}.bin")
    data, train = load(kind="cifar10", path=tmp_path, classes=["c", "a"])
    assert (data.classes, len(data), len(train)) == (("c", "a"), 2, 10)
    assert data[0].x.shape == (3, 16, 16)


def test_tiny_imagenet(tmp_path):
    root = tmp_path / "tiny-imagenet-200"
    for wnid in ("n1", "n2"):
        picture(root / f"train/{wnid}/images/{wnid}_0.JPEG")
    picture(root / "val/images/val_0.JPEG")
    (root / "val/val_annotations.txt").write_text("val_0.JPEG\tn2\t0\t0\t9\t9\n")
    (root / "wnids.txt").write_text("n1\nn2\n")
    (root / "words.txt").write_text("n1\tcat, puss\nn2\tdog\n")
    data, train = load(kind="tiny_imagenet", path=tmp_path)
    assert (data.classes, data.labels, train.labels) == (("cat", "dog"), (1,), (0, 1))


def test_cub200_with_boxes(tmp_path):
    root = tmp_path / "CUB_200_2011"
    for name in ("images/001.A/a.jpg", "images/002.B/b.jpg"):
        picture(root / name)
    (root / "images.txt").write_text("1 001.A/a.jpg\n2 002.B/b.jpg\n")
    (root / "image_class_labels.txt").write_text("1 1\n2 2\n")
    (root / "classes.txt").write_text("1 001.A\n2 002.B\n")
    (root / "train_test_split.txt").write_text("1 1\n2 0\n")
    (root / "bounding_boxes.txt").write_text("1 0 0 9 9\n2 1 1 8 8\n")
    data, train = load(kind="cub200", path=tmp_path, crop=True)
    assert (data.labels, train.labels) == ((1,), (0,))
    assert data.open(0).size == (8, 8)


def test_image_folder_held_out(tmp_path):
    for name in ("a", "b"):
        for i in range(4):
            picture(tmp_path / f"{name}/{i}.png", 10 * i)
    data, train = load(kind="image_folder", path=tmp_path, holdout=0.25)
    assert (sorted(data.labels), sorted(train.labels)) == ([0, 1], [0, 0, 0, 1, 1, 1])


def test_sst2_and_ag_news(tmp_path):
    (tmp_path / "train.tsv").write_text("good film\t1\nbad film\t0\n")
    (tmp_path / "dev.tsv").write_text("fine film\t1\ndull film\t0\n")
    data, train = load(kind="sst2", path=tmp_path)
    assert (data[0].x, train[1].x) == ("fine film", "bad film")
    news = tmp_path / "news"
    news.mkdir()
    (news / "classes.txt").write_text("World\nSports\nBusiness\nSci/Tech\n")
    rows = [f'"{k}","title {i}","text"' for i in range(4) for k in (1, 2, 3, 4)]
    (news / "test.csv").write_text("\n".join(rows) + "\n")
    data, train = load(kind="ag_news", path=news, holdout=0.5)
    assert (len(data), len(train), data.classes[3]) == (8, 8, "Sci/Tech")


@pytest.mark.parametrize(
    ("columns", "kind"),
    [({"text": "t"}, "text"), ({"columns": ["a", "b"]}, "table"), ({"image": "p"}, "image")],
)
def test_datasets(tmp_path, columns, kind):
    datasets = pytest.importorskip("datasets")
    rows = {
        "t": ["one", "two", "three", "four"],
        "a": [0.0, 1.0, 2.0, 3.0],
        "b": [1.0, 1.0, 2.0, 2.0],
        "p": [Image.new("RGB", (20, 20), (i, i, i)) for i in range(4)],
        "label": [0, 1, 0, 1],
    }
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "saved")
    data, train = load(kind="datasets", dataset=str(tmp_path / "saved"), split=None, holdout=0.5, **columns)
    assert (data.modality, len(data), len(train)) == (kind, 2, 2)


def test_datasets_by_builder(tmp_path):
    pytest.importorskip("datasets")
    lines = [json.dumps({"t": t, "label": i % 2}) for i, t in enumerate(["one", "two", "three"])]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    files = {"test": str(tmp_path / "rows.jsonl"), "train": str(tmp_path / "rows.jsonl")}
    data, train = load(
        kind="datasets",
        dataset="json",
        text="t",
        train_split="train",
        options={"data_files": files, "cache_dir": str(tmp_path / "cache")},
    )
    assert [data[i].x for i in range(3)] == ["one", "two", "three"]
    assert len(train) == 3


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"kind": "cifar10", "path": "x", "crop": True}, "cifar10 has no boxes"),
        ({"kind": "cub200", "path": "x", "labels": "coarse"}, "cub200 has only one kind of labels"),
        ({"kind": "image_folder", "path": "x", "train": "y", "holdout": 0.5}, "train or holdout, not both"),
        ({"kind": "datasets", "dataset": "x"}, "one of text, image and columns"),
        ({"kind": "text_table", "path": "x", "prompt": "none"}, "needs {} exactly once"),
        ({"kind": "sst2", "path": "x", "size": 3}, "extra"),
    ],
)
def test_what_does_not_fit_is_refused(section, message):
    with pytest.raises(ValueError, match=message.replace("{}", r"\{\}")):
        TypeAdapter(DataConfig).validate_python(section)
