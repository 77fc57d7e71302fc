"""Labels as people and programs write them."""

from pathlib import Path

import pytest

from bequeath.data.labels import read_labels
from bequeath.data.text import TextTable
from bequeath.errors import BequeathError


def _read(raw: list[str], **options: object) -> tuple[tuple[str, ...], tuple[int, ...]]:
    return read_labels("table t.csv", raw, lambda i: f"line {i + 1}", **options)


@pytest.mark.parametrize(
    ("raw", "options", "classes", "labels"),
    [
        (["0.0", "1.0", "0.0"], {}, ("0", "1"), (0, 1, 0)),
        (["1", "0.0", "1.0"], {}, ("0", "1"), (1, 0, 1)),
        (["2.", "1.00"], {}, ("1", "2"), (1, 0)),
        # As texts 10.0 would come before 2.0.
        ([f"{k}.0" for k in range(11)], {}, tuple(map(str, range(11))), tuple(range(11))),
        # Numbers that are no integers are names, sorted as numbers.
        (["10.5", "2.5", "10.5"], {}, ("2.5", "10.5"), (1, 0, 1)),
        (["1e1", "2.5"], {}, ("2.5", "1e1"), (1, 0)),
        (["b", "a"], {}, ("a", "b"), (1, 0)),
        # Class names are kept as the user wrote them.
        (["0.0", "1.0"], {"classes": ["1.0", "0.0"]}, ("1.0", "0.0"), (1, 0)),
        (["0.0", "1.0"], {"classes": ["no", "yes"]}, ("no", "yes"), (0, 1)),
        (["1.0", "2.0"], {"classes": ["no", "yes"]}, ("no", "yes"), (0, 1)),
        (["3.0", "4.0"], {"first_label": 3}, ("3", "4"), (0, 1)),
        (["None", "some"], {"classes": ["some", "None"]}, ("some", "None"), (1, 0)),
        (["inf", "a"], {}, ("a", "inf"), (1, 0)),
    ],
)
def test_read_labels(raw: list[str], options: dict, classes: tuple, labels: tuple) -> None:
    assert _read(raw, **options) == (classes, labels)


@pytest.mark.parametrize("missing", ["nan", "NaN", "<NA>", "N/A", "null", "None"])
@pytest.mark.parametrize("others", [["1.0", "0.0"], ["pos", "neg"]])
def test_a_missing_label_is_told_by_line(missing: str, others: list[str]) -> None:
    with pytest.raises(
        BequeathError, match=f"^line 2: the label is '{missing}'; fill it in or leave the row out"
    ):
        _read([others[0], missing, others[1]])


def test_a_column_of_ids_makes_no_million_classes() -> None:
    with pytest.raises(
        BequeathError, match=r"^line 2: label 10000000000000000000 would make 1000000000000000000"
    ):
        _read(["0", str(10**19)])


def test_pandas_labels_in_a_table(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("text,label\na,1.0\nb,0.0\n")
    table = TextTable(file, "text", "label")
    assert (table.classes, table.labels) == (("0", "1"), (1, 0))
    file.write_text("text,label\na,1.0\nb,nan\n")
    with pytest.raises(BequeathError, match=r"t\.csv, line 3: the label is 'nan'"):
        TextTable(file, "text", "label")
