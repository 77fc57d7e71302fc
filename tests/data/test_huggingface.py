"""What the `datasets` library reads."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import data_slices
import numpy as np
import pytest
from PIL import Image
from torchvision_shim import mend_torchvision

from bequeath.data import ImageFolder, Preprocessing, balanced, batch, from_datasets
from bequeath.errors import BequeathError

mend_torchvision()
hf = pytest.importorskip("datasets", reason="datasets is not installed")

SMALL = Preprocessing(32)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def reviews(**columns: list) -> Any:
    given = {"text": ["good ", "bad", "fine"], "label": [1, 0, 1], **columns}
    features = hf.Features(
        {
            name: hf.ClassLabel(names=["neg", "pos"])
            if name == "label"
            else hf.Value("float64" if isinstance(values[0], float) else "string")
            for name, values in given.items()
        }
    )
    return hf.Dataset.from_dict(given, features=features)


@pytest.fixture
def cars(tmp_path: Path) -> Path:
    for number, (kind, jpeg) in enumerate(data_slices.cars("train", 2)):
        file = tmp_path / "cars" / kind / f"{number:03}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(jpeg)
    return tmp_path / "cars"


def test_texts() -> None:
    data = from_datasets(reviews(), text="text")
    assert (data.modality, data.classes, data.labels, len(data)) == ("text", ("neg", "pos"), (1, 0, 1), 3)
    sample = data[0]
    assert (sample.id, sample.x, sample.label, sample.picture) == ("0", "good", 1, None)
    assert data.source == "3 texts of 2 classes in data set in memory"
    assert len(balanced(data, 2, seed=0)) == 2
    joined = from_datasets(reviews(more=["x", None, ""]), text=["text", "more"])
    assert [joined[i].x for i in range(3)] == ["good x", "bad", "fine"]


def test_a_formatted_shuffled_data_set_is_read_as_it_stands() -> None:
    rows = reviews().select([2, 1, 0]).with_format("torch", columns=["label"])
    data = from_datasets(rows, text="text")
    assert [(data[i].x, data[i].label) for i in range(3)] == [("fine", 1), ("bad", 0), ("good", 1)]


@pytest.mark.parametrize(
    ("labels", "classes", "names", "expected"),
    [
        ([1, 2, 2], None, ("1", "2"), (0, 1, 1)),
        ([0, 1, 1], ["a", "b"], ("a", "b"), (0, 1, 1)),
        (["u", "d", "u"], None, ("d", "u"), (1, 0, 1)),
        (["u", "d", "u"], ["u", "d"], ("u", "d"), (0, 1, 0)),
    ],
)
def test_labels_without_names(labels: list, classes: list | None, names: tuple, expected: tuple) -> None:
    data = from_datasets(
        hf.Dataset.from_dict({"t": list("xyz"), "y": labels}), text="t", label="y", classes=classes
    )
    assert (data.classes, data.labels) == (names, expected)


def test_classes_of_a_class_label_choose_rows() -> None:
    rows = reviews(a=[1.0, 2.0, 3.0])
    data = from_datasets(rows, text="text", classes=["pos"])
    assert ([(data[i].id, data[i].x) for i in range(2)], data.labels) == (
        [("0", "good"), ("2", "fine")],
        (0, 0),
    )
    table = from_datasets(rows, columns=["a"], classes=["pos"])
    assert ([table[i].id for i in range(2)], table.values.tolist()) == (["0", "2"], [[1], [3]])


def test_images_of_a_folder_are_those_of_image_folder(cars: Path) -> None:
    data = from_datasets("imagefolder", data_dir=str(cars), split="train", image="image", preprocessing=SMALL)
    ours = ImageFolder(cars, SMALL)
    assert (data.classes, len(data)) == (ours.classes, 24)
    expected = {sample.picture.tobytes(): sample for sample in (ours[i] for i in range(24))}
    assert len(expected) == 24
    for i in range(24):
        sample = data[i]
        assert sample.label == expected[sample.picture.tobytes()].label
    assert batch(data, [0, 1]).shape == (2, 3, 32, 32)
    data.check()


@pytest.mark.parametrize("save", ["memory", "dataset", "dict", "parquet"])
def test_images_saved_by_the_library_are_as_it_decodes_them(tmp_path: Path, cars: Path, save: str) -> None:
    files = sorted(str(file) for file in cars.rglob("*.jpg"))
    rows = hf.Dataset.from_dict({"picture": files, "y": [k // 2 for k in range(24)]})
    rows = rows.cast_column("picture", hf.Image())
    given: dict[str, Any] = {}
    source: Any = rows
    if save == "dataset":
        rows.save_to_disk(tmp_path / "saved")
        source = tmp_path / "saved"
    elif save == "dict":
        hf.DatasetDict({"train": rows, "test": rows.select([0])}).save_to_disk(tmp_path / "saved")
        source, given = str(tmp_path / "saved"), {"split": "train"}
    elif save == "parquet":
        rows.to_parquet(tmp_path / "rows.parquet")
        source, given = "parquet", {"data_files": str(tmp_path / "rows.parquet"), "split": "train"}
    data = from_datasets(source, image="picture", label="y", preprocessing=SMALL, **given)
    for i in (0, 7, 23):
        assert np.array_equal(data.open(i), rows[i]["picture"].convert("RGB"))
        assert np.array_equal(data[i].picture, SMALL.view(rows[i]["picture"].convert("RGB")))
    assert data.labels == tuple(k // 2 for k in range(24))


def test_bad_images_are_named() -> None:
    rows = hf.Dataset.from_dict(
        {"image": [{"bytes": b"no image", "path": None}, None], "label": [0, 1]},
    )
    data = from_datasets(rows, image="image")
    with pytest.raises(
        BequeathError, match=r"row 0: cannot be read \(cannot identify .*\(2 of 2 files are bad\)"
    ):
        data.check()
    with pytest.raises(BequeathError, match="row 1: has no image"):
        data[1]
    deep = Image.fromarray(np.full((4, 4), 40000, dtype=np.uint16))
    rows = hf.Dataset.from_dict(
        {"image": [deep], "label": [0]}, features=hf.Features(image=hf.Image(), label=hf.Value("int64"))
    )
    with pytest.raises(BequeathError, match="row 0: its pixels have more than 8 bits"):
        from_datasets(rows, image="image").check([0])


def test_csv_by_builder(tmp_path: Path) -> None:
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("a", "b", "y"), (1, 0.5, "u"), (2, 1.5, "d")])
    files = {"data_files": str(tmp_path / "t.csv")}
    table = from_datasets("csv", columns=["b", "a"], label="y", **files)  # its one split is taken
    assert (table.modality, table.columns, table.values.tolist()) == (
        "table",
        ("b", "a"),
        [[0.5, 1], [1.5, 2]],
    )
    assert (table.classes, table.labels) == (("d", "u"), (1, 0))
    with pytest.raises(BequeathError, match=r"data set csv: cannot be loaded \(.*nonsense"):
        from_datasets("csv", columns=["b"], label="y", nonsense=3, **files)
    half = from_datasets("csv", columns=["b"], label="y", split="train[:50%]", **files)
    assert half.source == "1 rows of 1 classes in data set csv, split train[:50%]"


@pytest.mark.parametrize(
    ("dataset", "given", "message"),
    [
        (reviews(), {}, "give one of text, image and columns; it has text, label"),
        (reviews(), {"text": "text", "columns": ["text"]}, "give one of text, image and columns"),
        (reviews(), {"text": []}, "no columns are given"),
        (reviews(), {"text": "sentence"}, "no column 'sentence'; there are text, label"),
        (reviews(), {"text": "text", "label": "y"}, "no column 'y'"),
        (
            reviews(),
            {"text": "text", "split": "train"},
            "split 'train' is given, but it is a single split; give a DatasetDict",
        ),
        (reviews(), {"text": "text", "classes": ["bad"]}, "no class 'bad'; there are neg, pos"),
        (reviews(), {"text": "text", "name": "x"}, "name is for names and folders"),
        (reviews(label=[1, -1, 0]), {"text": "text"}, "row 1: has no label; use another split"),
        (reviews(), {"columns": ["text"]}, "row 0: 'text' is 'good ', not a number; encode it"),
        (reviews(a=[1.0, None, 2.0]), {"columns": ["a"]}, "row 1: 'a' is None, not a number"),
        (reviews(a=[1.0, float("nan"), 2.0]), {"text": "text", "label": "a"}, "row 1: the label is 'nan'"),
        (
            hf.Dataset.from_dict({"text": ["x"], "a": [[1]]}),
            {"text": "text", "label": "a"},
            "row 0: a is a list",
        ),
        (reviews(a=[1.0, 2.0, 2.0]), {"image": "a"}, "'a' is a Value, not images; cast it to datasets.Image"),
        (reviews().select([]), {"text": "text"}, "has no rows"),
        (reviews().to_iterable_dataset(), {"text": "text"}, "a IterableDataset cannot be indexed"),
        ([1, 2], {"text": "text"}, "a list cannot be indexed"),
        (hf.DatasetDict(a=reviews(), b=reviews()), {"text": "text"}, "has the splits a, b; give split"),
        (hf.DatasetDict(a=reviews()), {"text": "text", "split": "c"}, "no split 'c'; there are a"),
        (
            "no-such/data-set",
            {"text": "text"},
            r"data set no-such/data-set: cannot be loaded \(.*save_to_disk",
        ),
        ("csv", {"text": "t", "data_files": "/no/such.csv"}, "data set csv: cannot be loaded"),
        ("x/y", {"text": "t", "trust_remote_code": True}, "trust_remote_code would run code of the data set"),
        (
            "pandas",
            {"text": "t", "data_files": "x.pkl"},
            "data set pandas: reads pickles, which may run code",
        ),
    ],
)
def test_errors_say_what_to_do(dataset: Any, given: dict, message: str) -> None:
    with pytest.raises(BequeathError, match=message) as caught:
        from_datasets(dataset, **given)
    assert "\n" not in str(caught.value)


def test_texts_that_are_none_are_named_when_asked_for() -> None:
    data = from_datasets(reviews(text=["a", None, " "]), text="text")
    for i in (1, 2):
        with pytest.raises(BequeathError, match=f"row {i}: the text is empty"):
            data[i]
    data = from_datasets(reviews(a=[1.0, 2.0, 3.0]), text="a")
    with pytest.raises(BequeathError, match="row 0: 'a' is a float; give a column of texts"):
        data[0]


def test_a_saved_split_is_called_by_its_name(tmp_path: Path) -> None:
    reviews().save_to_disk(tmp_path / "one")
    with pytest.raises(BequeathError, match="holds one split, None, not 'test'; leave split out"):
        from_datasets(tmp_path / "one", text="text", split="test")
    with pytest.raises(BequeathError, match="revision is not for saved folders"):
        from_datasets(tmp_path / "one", text="text", revision="main")


def test_no_code_of_a_folder_is_run(tmp_path: Path) -> None:
    folder = tmp_path / "scripted"
    folder.mkdir()
    (folder / "scripted.py").write_text(f"open({str(tmp_path / 'trap')!r}, 'w')\n")
    with pytest.raises(BequeathError, match="scripted: cannot be loaded"):
        from_datasets(folder, text="text")
    assert not (tmp_path / "trap").exists()


def test_pattern_characters_in_folders(tmp_path: Path) -> None:
    folder = tmp_path / "exp [v2]"
    folder.mkdir()
    for name, row in (("a", ("good", "u")), ("b", ("bad", "d"))):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("text", "y"), row])
    one, both = str(folder / "a.csv"), str(folder / "*.csv")
    for files, texts in ((one, ["good"]), ([one, both], None), ({"train": both}, ["good", "bad"])):
        found = from_datasets(
            "csv", text="text", label="y", split="train", classes=["d", "u"], data_files=files
        )
        assert texts is None or [found[i].x for i in range(len(found))] == texts
    for name, given in ((folder, {}), ("csv", {"data_dir": str(folder)})):
        with pytest.raises(
            BequeathError, match=r"reads .*exp \[v2\] as a pattern; give its files as data_files"
        ):
            from_datasets(name, text="text", label="y", split="train", **given)
    saved = tmp_path / "saved [1]"
    reviews().save_to_disk(saved)
    assert len(from_datasets(saved, text="text")) == 3
