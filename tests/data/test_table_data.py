"""Tables of numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from bequeath.data import Table, batch, read_table, split
from bequeath.errors import BequeathError


def write(tmp_path: Path, content: str, name: str = "t.csv") -> Path:
    (tmp_path / name).write_text(content)
    return tmp_path / name


def test_a_table_is_a_data_set() -> None:
    values = np.array([[1, 2.5], [3, -4]])
    data = Table(values, [1, 0], ["no", "yes"], ["a", "b"], "toy")
    assert (data.modality, data.classes, data.labels, data.columns) == (
        "table",
        ("no", "yes"),
        (1, 0),
        ("a", "b"),
    )
    sample = data[1]
    assert (sample.id, sample.label, sample.picture) == ("1", 0, None)
    assert sample.x.dtype == torch.float32
    assert sample.x.tolist() == [3, -4]
    assert batch(data, [1, 0]).tolist() == [[3, -4], [1, 2.5]]
    assert Table(values, [1, 0], ["no", "yes"]).columns == ("0", "1")
    assert len(split(Table(np.ones((8, 1)), [0, 1] * 4, ["a", "b"]), 0.25, seed=0)[1]) == 2


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_wine_is_read_as_pandas_reads_it_and_scaled_as_sklearn_scales_it(tmp_path: Path, suffix: str) -> None:
    wine = load_wine(as_frame=True)
    frame = wine.frame.assign(target=[wine.target_names[k] for k in wine.target], constant=0.1)
    path = tmp_path / f"wine.{suffix}"
    if suffix == "jsonl":
        frame.to_json(path, orient="records", lines=True, double_precision=15)
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",")
    data = read_table(path, "target")
    features = frame.drop(columns="target")
    assert data.columns == tuple(features.columns)
    assert np.array_equal(data.values, features.to_numpy())
    assert (data.classes, data.labels) == (("class_0", "class_1", "class_2"), tuple(wine.target))
    assert data[0].id == f"wine.{suffix}:{1 if suffix == 'jsonl' else 2}"
    train = Table(data.values[:100], data.labels[:100], data.classes, data.columns)
    expected = StandardScaler().fit(data.values[:100]).transform(data.values)
    for scaled in (data.standardised(train), read_table(path, "target", standardise=train)):
        np.testing.assert_allclose(batch(scaled, range(178)), expected, atol=1e-6)
        assert np.array_equal(scaled.values, data.values)
        assert scaled[0].id == data[0].id
    assert batch(train.standardised(train), range(100)).mean(0).abs().max() < 1e-5


def test_columns_are_chosen_and_ordered(tmp_path: Path) -> None:
    path = write(tmp_path, "name,a,b,y\nJo,1,2e3,u\nAl,-.5, 4 ,d\n")
    data = read_table(path, "y", ["b", "a"], classes=["u", "d"])
    assert (data.columns, data.values.tolist(), data.labels) == (("b", "a"), [[2000, 1], [4, -0.5]], (0, 1))
    assert data.source == f"2 rows of 2 classes in {path}"
    bare = read_table(write(tmp_path, "1 2 0\n3 4 1\n", "t.txt"), 2, delimiter=" ")
    assert (bare.columns, bare.values.tolist(), bare.labels) == (("0", "1"), [[1, 2], [3, 4]], (0, 1))


@pytest.mark.parametrize(
    ("content", "kwargs", "message"),
    [
        ("a,b,y\n1,2,0\n3,red,1\n", {}, r"t\.csv, line 3, column 'b': 'red' is no number; encode categories"),
        (
            "a,b,y\n1,,0\n",
            {},
            r"t\.csv, line 2, column 'b': the cell is empty; fill it in, or list the other columns",
        ),
        ("a,b,y\n1,nan,0\n", {}, r"line 2, column 'b': nan is not finite"),
        ("a,b,y\n1,-inf,0\n", {}, r"line 2, column 'b': -inf is not finite"),
        ("a,b,y\n1,1e39,0\n", {}, r"column 'b' of row t\.csv:2 is 1e\+39, not a finite number in float32"),
        ("a,b,y\n1,2,0\n", {"columns": ["c"]}, r"line 1: no column 'c'; there are 'a', 'b', 'y'"),
        ("a,b,y\n1,2,0\n", {"columns": ["a", "y"]}, "column 'y' is the label; leave it out"),
        ("a,b,y\n1,2,0\n", {"columns": ["a", "a"]}, "2 features need as many different column names"),
        ("y\n1\n", {}, "no columns beside the label"),
        ("a,b,y\n1,2,x\n3,4,5\n", {"classes": ["x"]}, "line 3: label '5' is none of 'x'"),
    ],
)
def test_errors_name_line_and_column(tmp_path: Path, content: str, kwargs: dict, message: str) -> None:
    with pytest.raises(BequeathError, match=message) as caught:
        read_table(write(tmp_path, content), "y", **kwargs)
    assert "\n" not in str(caught.value)


def test_an_empty_cell_of_a_frame_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    pandas.DataFrame({"a": [1.0, None], "y": [0, 1]}).to_json(path, orient="records", lines=True)
    with pytest.raises(BequeathError, match=r"t\.jsonl, line 2, column 'a': the cell is empty"):
        read_table(path, "y")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"values": np.ones(2)}, r"toy: values must be numbers of shape .* not float64 \(2,\)"),
        ({"values": np.ones((2, 0))}, r"not float64 \(2, 0\)"),
        ({"values": np.array([["a"], ["b"]])}, "not <U1"),
        ({"values": np.array([[1.0, 2], [3, np.nan]])}, "toy: column '1' of row 1 is nan, not a finite"),
        ({"labels": [0, 2]}, "toy: label 2 of row 1"),
        ({"columns": ["a"]}, "toy: 2 features need as many different column names, not a"),
        ({"ids": ["a", "a"]}, "toy: 2 rows need as many different ids"),
        (
            {"standardise": Table(np.ones((2, 1)), [0, 0], ["a"])},
            "toy: has the columns 0, 1, but the table to standardise by has 0; give both the same",
        ),
    ],
)
def test_parts_must_fit(given: dict, message: str) -> None:
    with pytest.raises(BequeathError, match=message):
        Table(
            **{"values": np.ones((2, 2)), "labels": [0, 1], "classes": ["a", "b"], "source": "toy", **given}
        )
