"""Docstrings of the public names: they have the sections that their signatures need, and their examples run."""

from __future__ import annotations

import doctest
import inspect
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import torch
import yaml
from safetensors.torch import save_file

import bequeath as bq
from bequeath.models import mlp

matplotlib.use("Agg")

docscrape = pytest.importorskip("numpydoc.docscrape")

MODULES = ("players", "baselines", "values", "plots")


def public() -> dict[str, Any]:
    """All public names, with those of the public modules."""
    names = {name: getattr(bq, name) for name in bq.__all__ if name not in MODULES}
    for module in MODULES:
        members = getattr(bq, module)
        names |= {f"{module}.{name}": getattr(members, name) for name in members.__all__}
    return names


PUBLIC = public()


def is_error(value: Any) -> bool:
    """Whether it is an exception or a warning: these need a sentence only."""
    return inspect.isclass(value) and issubclass(value, BaseException)


def documented(value: Any, *sections: str) -> set[str]:
    """Names in some sections of a docstring; for a class, also in those of its base classes."""
    texts = (
        [cls.__doc__ for cls in value.__mro__ if cls is not object]
        if inspect.isclass(value)
        else [value.__doc__]
    )
    names: set[str] = set()
    for text in texts:
        parsed = docscrape.NumpyDocString(inspect.cleandoc(text or ""))
        names |= {
            name.strip().lstrip("*")
            for section in sections
            for entry in parsed[section]
            for name in entry.name.split(",")
        }
    return names


def parameters(value: Any) -> list[str]:
    """Names of the parameters of a function, or of a class; without private ones."""
    if inspect.isclass(value) and (
        value.__init__ is object.__init__ or getattr(value, "_is_protocol", False)
    ):
        return []
    names = inspect.signature(value).parameters
    return [name for name in names if not name.startswith("_")]


@cache
def tokenizer() -> Any:
    """The tokenizer that examples of text players speak of: words of a small vocabulary."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[MASK]", "a", "good", "film", "A", ".", "!"]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]"
    )


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that examples of studies speak of: a study file of two perceptrons on a table of 60 rows."""
    folder = tmp_path_factory.mktemp("study")
    rows = torch.randn(60, 3, generator=torch.Generator().manual_seed(0)).tolist()
    lines = [",".join(f"{x:.3f}" for x in row) + f",{'ab'[int(row[0] > 0)]}" for row in rows]
    (folder / "rows.csv").write_text("\n".join(["x,y,z,label", *lines]))
    options = {"num_features": 3, "widths": [8]}
    for seed, name in enumerate(("old", "new")):
        torch.manual_seed(seed)
        save_file(mlp(2, **options).state_dict(), folder / f"{name}.safetensors")
    study = {
        "name": "old and new",
        "models": {
            name: {"architecture": "bequeath:mlp", "weights": f"{name}.safetensors", "options": options}
            for name in ("old", "new")
        },
        "roles": {"before": "old", "after": "new"},
        "data": {"kind": "table", "path": "rows.csv", "label": "label"},
        "players": {"kind": "columns"},
        "baseline": "dataset_mean",
        "samples": 10,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return folder


@pytest.mark.parametrize("name", PUBLIC)
def test_sections(name: str) -> None:
    value = PUBLIC[name]
    parsed = docscrape.NumpyDocString(inspect.cleandoc(value.__doc__ or ""))
    assert parsed["Summary"], f"{name}: no summary"
    if is_error(value):
        return
    is_class = inspect.isclass(value)
    missing = set(parameters(value)) - documented(value, "Parameters", *(["Attributes"] if is_class else []))
    assert not missing, f"{name}: parameters without a description: {sorted(missing)}"
    unknown = documented(value, "Parameters") - set(parameters(value))
    assert is_class or not unknown, f"{name}: described, but not in the signature: {sorted(unknown)}"
    if not is_class and inspect.signature(value).return_annotation not in (None, "None"):
        assert parsed["Returns"] or parsed["Yields"], f"{name}: what it returns is not described"
    assert parsed["Examples"], f"{name}: no example"


@pytest.mark.parametrize("name", [name for name, value in PUBLIC.items() if not is_error(value)])
def test_examples_run(name: str, monkeypatch: pytest.MonkeyPatch, study_folder: Path) -> None:
    value = PUBLIC[name]
    monkeypatch.chdir(study_folder)
    text = inspect.cleandoc(value.__doc__ or "")
    given = {"tokenizer": tokenizer()} if "`tokenizer`" in text else {}
    test = doctest.DocTestParser().get_doctest(text, given, name, None, 0)
    assert test.examples, f"{name}: no example"
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)
