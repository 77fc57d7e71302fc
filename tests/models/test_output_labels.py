"""Names of a model's outputs against the data's classes."""

import json
from pathlib import Path

import pytest
from transformers import BertConfig

from bequeath.errors import BequeathError
from bequeath.models.labels import output_names, output_order


def _folder(place: Path, **config: object) -> Path:
    place.mkdir()
    (place / "config.json").write_text(json.dumps({"model_type": "bert", **config}))
    return place


NAMED = {"id2label": {"0": "pos", "1": "neu", "2": "neg"}, "label2id": {"pos": 0, "neu": 1, "neg": 2}}


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (NAMED, ("pos", "neu", "neg")),
        ({"id2label": NAMED["id2label"]}, ("pos", "neu", "neg")),
        ({"label2id": NAMED["label2id"]}, ("pos", "neu", "neg")),
        ({"id2label": {"1": "b", "0": "a"}}, ("a", "b")),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, None),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"no": 0, "yes": 1}}, ("no", "yes")),
        ({"id2label": {"0": "no", "1": "yes"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}, ("no", "yes")),
        ({"id2label": {str(k): f"c{k}" for k in range(11)}}, tuple(f"c{k}" for k in range(11))),
        ({}, None),
    ],
)
def test_names_are_read_from_the_weights_folder(tmp_path, config, names):
    folder = _folder(tmp_path / "m", **config)
    assert output_names("my:build", folder) == names
    file = folder / "model.safetensors"
    file.touch()
    assert output_names("my:build", file) == names


def test_the_weights_own_config_goes_before_the_architectures(tmp_path):
    base = tmp_path / "base"
    BertConfig(id2label={0: "b", 1: "a"}, label2id={"b": 0, "a": 1}).save_pretrained(base)
    tuned = _folder(tmp_path / "tuned", id2label={"0": "a", "1": "b"})
    assert output_names(f"transformers:{base}", tuned) == ("a", "b")
    assert output_names(f"transformers:{base}", tmp_path / "elsewhere.pt") == ("b", "a")
    assert output_names("torchvision:resnet18", None) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"id2label": {"0": "a", "1": "b"}, "label2id": {"b": 0, "a": 1}},
            "id2label says a, b, label2id b, a",
        ),
        ({"id2label": {"0": "a", "2": "b"}}, "id2label is .* it must name the outputs 0, 1"),
        ({"id2label": ["a", "b"]}, "it must name the outputs"),
        ({"label2id": {"a": 0, "b": "x"}}, "label2id is"),
    ],
)
def test_configs_that_contradict_themselves_are_refused(tmp_path, config, message):
    folder = _folder(tmp_path / "m", **config)
    with pytest.raises(BequeathError, match=message):
        output_names("my:build", folder)
    (folder / "config.json").write_text("[")
    with pytest.raises(BequeathError, match=r"config\.json: cannot be read"):
        output_names("my:build", folder)


@pytest.mark.parametrize(
    ("names", "classes", "order"),
    [
        (("pos", "neu", "neg"), ("neg", "neu", "pos"), (2, 1, 0)),
        (("NEGATIVE", "Positive"), ("negative", "positive"), None),
        (("Positive", "NEGATIVE "), ("negative", "positive"), (1, 0)),
        (("1", "0"), ("0", "1"), (1, 0)),
        (("NEGATIVE", "POSITIVE"), ("0", "1"), None),  # a number is an output's place
        (None, ("a", "b"), None),
        (("a", "b", "c"), ("a", "b"), None),  # told where the model is loaded
    ],
)
def test_order(names, classes, order):
    assert output_order("models.m", names, classes) == order


@pytest.mark.parametrize("names", [("NEGATIVE", "POSITIVE"), ("neg", "negative"), ("pos", "Pos")])
def test_other_names_are_refused(names):
    with pytest.raises(BequeathError, match=r"models\.m: its outputs are .* classes are neg, pos; .* labels"):
        output_order("models.m", names, ("neg", "pos"))
