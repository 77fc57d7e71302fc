"""Tables of labelled texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from bequeath.data import TextList, TextTable, balanced
from bequeath.errors import BequeathError


def table(tmp_path: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_columns_by_name(tmp_path: Path) -> None:
    path = table(tmp_path, "id,review,stars\n7,fine,1\n8,bad,0\n")
    data = TextTable(path, text="review", label="stars", classes=["down", "up"])
    assert (data.modality, data.classes, data.labels) == ("text", ("down", "up"), (1, 0))
    sample = data[0]
    assert (sample.id, sample.x, sample.label, sample.picture) == ("t.csv:2", "fine", 1, None)
    assert data.source == f"2 texts of 2 classes in {path}"
    assert len(balanced(data, 2, seed=0)) == 2


def test_columns_by_number_and_joined_text(tmp_path: Path) -> None:
    path = table(tmp_path, '"2","Title","Body, with ""quotes"""\n"1","Only title",""\n')
    data = TextTable(path, text=[1, 2], label=0, classes=["a", "b"])
    assert data.texts == ('Title Body, with "quotes"', "Only title")
    assert data.labels == (1, 0)


def test_name_and_number_mix_means_a_header(tmp_path: Path) -> None:
    assert TextTable(table(tmp_path, "text,y\ngood,1\nbad,0\n"), text=0, label="y").labels == (1, 0)


def test_windows_lines_bom_blank_lines_and_lines_inside_quotes(tmp_path: Path) -> None:
    path = table(tmp_path, '\ufefftext,y\r\n\r\n"two\r\nlines",1\r\nbad,0\r\n')
    data = TextTable(path, text="text", label="y")
    assert data.texts == ("two\nlines", "bad")
    assert [data[i].id for i in range(2)] == ["t.csv:3", "t.csv:5"]


@pytest.mark.parametrize(("name", "delimiter"), [("t.tsv", None), ("t.txt", None), ("t.csv", "\t")])
def test_tabs(tmp_path: Path, name: str, delimiter: str | None) -> None:
    path = table(tmp_path, 'a "lone quote, start\t1\n"another\t0\n', name)
    assert TextTable(path, 0, 1, delimiter=delimiter).texts == ('a "lone quote, start', '"another')


def test_quoted_tabs_on_request(tmp_path: Path) -> None:
    assert TextTable(table(tmp_path, '"a\tb"\t1\nc\t0\n', "t.tsv"), 0, 1, quoted=True).texts[0] == "a\tb"


@pytest.mark.parametrize(
    ("labels", "classes", "first", "expected_classes", "expected"),
    [
        (["0", "1", "1"], None, None, ("0", "1"), (0, 1, 1)),
        (["0", "2"], None, None, ("0", "1", "2"), (0, 2)),
        (["1", "4"], None, None, ("1", "2", "3", "4"), (0, 3)),
        (["1", "4"], ["w", "s", "b", "t"], None, ("w", "s", "b", "t"), (0, 3)),
        (["1", "3"], ["w", "s", "b", "t"], 0, ("w", "s", "b", "t"), (1, 3)),
        (["pos", "neg", "pos"], None, None, ("neg", "pos"), (1, 0, 1)),
        (["pos", "neg"], ["pos", "neg"], None, ("pos", "neg"), (0, 1)),
        (["-1", "1"], ["-1", "1"], None, ("-1", "1"), (0, 1)),
        (["-1", "1"], ["neg", "none", "pos"], -1, ("neg", "none", "pos"), (0, 2)),
    ],
)
def test_labels(
    tmp_path: Path,
    labels: list[str],
    classes: list[str] | None,
    first: int | None,
    expected_classes: tuple[str, ...],
    expected: tuple[int, ...],
) -> None:
    path = table(tmp_path, "".join(f"text,{label}\n" for label in labels))
    data = TextTable(path, 0, 1, classes=classes, first_label=first)
    assert (data.classes, data.labels) == (expected_classes, expected)


@pytest.mark.parametrize(
    ("content", "kwargs", "message"),
    [
        ("", {}, r"t\.csv: the file is empty"),
        ("x,y\n", {"text": "x", "label": "y"}, r"t\.csv: only a header"),
        ("x,y\na,0\n", {"text": "z", "label": "y"}, r"t\.csv, line 1: no column 'z'; there are 'x', 'y'"),
        ("x,y\na,0\n", {"text": "x", "label": "z"}, r"line 1: no column 'z'"),
        ("a,0\n", {"text": 2}, r"t\.csv: no column 2; there are columns 0\.\.1"),
        ("a,0\n", {"text": []}, "text names no column"),
        ("a,0\nb,c,1\n", {}, r"t\.csv, line 2: 3 columns where 2 are expected; check the delimiter"),
        ("a,0\n,1\n", {}, r"t\.csv, line 2: the text is empty"),
        ("a,0\nb,\n", {}, r"t\.csv, line 2: the label is empty"),
        ("a,0\nb,1.5\n", {}, r"t\.csv, line 2: label '1\.5' is no integer"),
        ("a,0\nb,up\n", {"classes": ["u", "d"]}, r"line 2: label 'up' is no integer and none of 'u', 'd'"),
        ("a,u\nb,up\n", {"classes": ["u", "d"]}, r"line 2: label 'up' is none of 'u', 'd'"),
        (
            "a,0\nb,2\n",
            {"classes": ["u", "d"]},
            r"line 2: label 2 is not in 0\.\.1 \(2 classes, counted from 0\)",
        ),
        (
            "a,1\nb,3\n",
            {"classes": list("wxyz")},
            r"labels 1\.\.3 for 4 classes do not show .* give first_label",
        ),
        ("a,-1\nb,1\n", {}, r"labels -1\.\.1 do not show"),
        (
            "text,y\nb,1\nc,0\n",
            {},
            r"line 1: label 'y' is no integer, unlike all others; if this line is a header",
        ),
        ('a,0\n"b,1\n', {}, r"t\.csv, line 2: unexpected end of data"),
        ("a,0\n", {"delimiter": ", "}, r"delimiter ', '; give one character"),
        (b"a,0\ncaf\xe9,1\n", {}, r"t\.csv, line 2: byte 0xe9 is not UTF-8"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, content: str | bytes, kwargs: dict, message: str) -> None:
    with pytest.raises(BequeathError, match=message) as caught:
        TextTable(table(tmp_path, content), **{"text": 0, "label": 1, **kwargs})
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(BequeathError, match=r"no\.csv: does not exist"):
        TextTable(tmp_path / "no.csv", 0, 1)
    with pytest.raises(BequeathError, match="is a folder"):
        TextTable(tmp_path, 0, 1)


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.ndjson"])
def test_json_lines(tmp_path: Path, name: str) -> None:
    lines = [
        '{"id": 7, "title": " Caf\\u00e9", "body": "a\\nb", "stars": 5, "tags": ["x"]}',
        "",
        '{"stars": 4, "title": "no body\u2028here", "id": 8}',
        '{"title": "null", "body": null, "stars": "5", "id": 9}',
    ]
    data = TextTable(table(tmp_path, "\r\n".join(lines), name), ["title", "body"], "stars", first_label=4)
    assert data.texts == ("Caf\u00e9 a\nb", "no body\u2028here", "null")
    assert (data.labels, data.classes) == ((1, 0, 1), ("4", "5"))
    assert [data[i].id for i in range(3)] == [f"{name}:{line}" for line in (1, 3, 4)]


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (["true", "false"], ("false", "true"), (1, 0)),
        (["0", "1"], ("0", "1"), (0, 1)),
        (['"spam"', '"ham"'], ("ham", "spam"), (1, 0)),
    ],
)
def test_json_labels(tmp_path: Path, labels: list[str], classes: tuple, expected: tuple) -> None:
    content = "".join(f'{{"text": "t", "y": {label}}}\n' for label in labels)
    data = TextTable(table(tmp_path, content, "t.jsonl"), "text", "y")
    assert (data.classes, data.labels) == (classes, expected)


@pytest.mark.parametrize(
    ("content", "kwargs", "message"),
    [
        ("\n", {}, r"t\.jsonl: the file is empty"),
        (
            '{"x": "a", "y": 0}\n{"x": ',
            {},
            r"t\.jsonl, line 2: not JSON \(Expecting value\); write one object",
        ),
        ('[{"x": "a", "y": 0}]', {}, r"line 1: a JSON list, not an object; write one object per line"),
        ('{\n"x": "a"}', {}, r"line 1: not JSON"),
        ('{"x": "a", "y": 0}\n{"y": 1}', {}, r"line 2: the text is empty"),
        ('{"x": "a", "y": 0}\n{"x": "b"}', {}, r"line 2: the label is empty"),
        ('{"x": {"z": 1}, "y": 0}', {}, r"line 1: 'x' is a JSON object; give a key"),
        ('{"x": "a", "y": [0]}', {}, r"line 1: 'y' is a JSON list; give a key"),
        ('{"x": "a", "y": 0.5}', {"classes": ["u"]}, r"line 1: label '0\.5' is no integer and none of 'u'"),
        ('{"x": "a", "y": 0}', {"text": "z"}, r"no column 'z'; there are 'x', 'y'"),
        ('{"x": "a", "y": 0}', {"text": 0}, r"column 0 is a number, but JSON lines have keys"),
        ("[" * 100_000, {}, r"line 1: not JSON"),
    ],
)
def test_json_errors_name_file_and_line(tmp_path: Path, content: str, kwargs: dict, message: str) -> None:
    with pytest.raises(BequeathError, match=message) as caught:
        TextTable(table(tmp_path, content, "t.jsonl"), **{"text": "x", "label": "y", **kwargs})
    assert "\n" not in str(caught.value)


def test_texts_in_memory() -> None:
    data = TextList(["good", "bad"], [1, 0], ["down", "up"], "toy")
    assert (data.modality, data.classes, data.labels, data.source, len(data)) == (
        "text",
        ("down", "up"),
        (1, 0),
        "toy",
        2,
    )
    assert (data[1].id, data[-1].id, data[0].x, data[0].label, data[0].picture) == ("1", "1", "good", 1, None)


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (["a", " "], [0, 0], "toy: text 1 is ' '; give a string"),
        (["a", 3], [0, 0], "toy: text 1 is 3"),
        ("ab", [0, 0], "toy: texts is one string"),
        (["a"], [0, 0], "toy: 1 texts need as many integer labels"),
        (["a", "b"], [0, 1], r"toy: label 1 of text 1 is not in 0\.\.0"),
    ],
)
def test_texts_in_memory_must_fit(texts: list, labels: list, message: str) -> None:
    with pytest.raises(BequeathError, match=message):
        TextList(texts, labels, ["only"], "toy")
