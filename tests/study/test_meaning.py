"""Whether the models of a study mean the same: right values, or one line that says what to do."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny_study import BUILDER, _build
from torch import nn
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    ViTConfig,
    ViTForImageClassification,
)

import bequeath as bq
from bequeath.errors import BequeathError
from bequeath.models.preprocessing import Preprocessing
from bequeath.study.run import Study

WORDS = """
the a film was very good bad warm cold funny boring plot is not and story great awful nice
""".split()  # noqa: SIM905
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
ROWS = [
    ("the film was very good and funny", "pos"),
    ("a boring plot and bad story", "neg"),
    ("not good and not bad film", "neu"),
    ("great awful nice story the plot", "pos"),
    ("cold warm film was boring", "neg"),
    ("the plot was not nice", "neu"),
]
MODELS = ("first", "second")


def bert(
    folder: Path, seed: int, names: tuple[str, ...] | None = None, words: list[str] = VOCABULARY, **more
) -> nn.Module:
    """A tiny classifier of three classes in a folder of its own, with its tokenizer."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=24,
        num_labels=len(names) if names else 3,
        initializer_range=0.5,
        **more,
    )
    if names:
        config.id2label, config.label2id = dict(enumerate(names)), {name: i for i, name in enumerate(names)}
    model = BertForSequenceClassification(config).eval()
    model.save_pretrained(folder)
    BertTokenizer(vocab={word: i for i, word in enumerate(words)}).save_pretrained(folder)
    return model


def text_study(folder: Path, rows=ROWS, models: dict | None = None, **data) -> Path:
    """Two models, in the folders that bear their names."""
    with (folder / "dev.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    study = {
        "models": {
            name: {"architecture": f"transformers:{folder / name}", "weights": str(folder / name)}
            for name in MODELS
        },
        "roles": {"before": "first", "after": "second"},
        "data": {"kind": "text_table", "path": "dev.csv", **data},
        "players": {"kind": "words", "n": 3},
        "decomposition": "and-or",
        "baseline": "mask_token",
        "samples": 4,
        "engine": {"kind": "local", "workers": 1, "threads": 1},
    }
    for name, more in (models or {}).items():
        study["models"][name] |= more
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(study))
    return file


def run(file: Path, out: str = "out") -> dict:
    return Study.from_yaml(file).run(file.parent / out).findings


def true_values(folder: Path, model: nn.Module, text: str, output: int) -> float:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return bq.values.log_odds(output)(model(**tokenizer(text, return_tensors="pt")).logits).item()


def assert_values(
    findings: dict, folder: Path, models: dict[str, nn.Module], outputs: dict[str, tuple[str, ...]]
) -> None:
    """v(N) of each sample is the log-odds of the output that the model calls by the sample's class."""
    assert findings["samples"]
    for sample in findings["samples"]:
        text = ROWS[int(sample["id"].split(":")[1]) - 2][0]
        for name, model in models.items():
            expected = true_values(folder / name, model, text, outputs[name].index(sample["class"]))
            assert sample["v_full"][name] == pytest.approx(expected, abs=1e-4)


@pytest.fixture
def no_page(without_report):
    return None


@pytest.mark.usefixtures("no_page")
def test_outputs_are_found_by_their_names(tmp_path):
    outputs = {"first": ("pos", "neu", "neg"), "second": ("NEU".lower(), "neg", "pos")}
    models = {name: bert(tmp_path / name, seed, outputs[name]) for seed, name in enumerate(MODELS)}
    findings = run(text_study(tmp_path))
    assert findings["study"]["classes"] == ["neg", "neu", "pos"]
    assert_values(findings, tmp_path, models, outputs)
    assert findings["models"]["second"]["outputs"] == "neu, neg, pos (named by its config)"
    # Accuracies are of the same outputs.
    right = [
        models["first"](
            **AutoTokenizer.from_pretrained(tmp_path / "first")(text, return_tensors="pt")
        ).logits.argmax()
        == outputs["first"].index(label)
        for text, label in ROWS
    ]
    assert findings["models"]["first"]["accuracy"]["mean"] == pytest.approx(np.mean(right))


@pytest.mark.usefixtures("no_page")
def test_other_names_are_refused_until_the_study_says_which_is_which(tmp_path):
    names = ("POSITIVE", "NEUTRAL", "NEGATIVE")
    models = {name: bert(tmp_path / name, seed, names) for seed, name in enumerate(MODELS)}
    with pytest.raises(
        BequeathError, match=r"models\.first: its outputs are POSITIVE, NEUTRAL, NEGATIVE \(config\)"
    ):
        run(text_study(tmp_path))
    labels = {"labels": ["pos", "neu", "neg"]}
    findings = run(text_study(tmp_path, models=dict.fromkeys(MODELS, labels)))
    assert_values(findings, tmp_path, models, dict.fromkeys(MODELS, ("pos", "neu", "neg")))
    with pytest.raises(
        BequeathError, match=r"models\.first\.labels: pos, neg; give the data's classes, neg, neu, pos"
    ):
        run(text_study(tmp_path, models={"first": {"labels": ["pos", "neg"]}}), "other")


@pytest.mark.usefixtures("no_page")
def test_another_tokenizer_is_refused(tmp_path):
    bert(tmp_path / "first", 0)
    bert(tmp_path / "second", 1, words=[*VOCABULARY[:5], *VOCABULARY[5:][::-1]])
    with pytest.raises(
        BequeathError, match=r"models\.second: its own tokenizer \(.*second\) makes other tokens of"
    ):
        run(text_study(tmp_path))
    findings = run(text_study(tmp_path, tokenizer=str(tmp_path / "first")))
    assert any("second: its own tokenizer" in text for text in findings["warnings"])


@pytest.mark.usefixtures("no_page")
@pytest.mark.parametrize("problem", ["multi_label_classification", "regression"])
def test_outputs_that_are_no_classes_are_refused(tmp_path, problem):
    for seed, name in enumerate(MODELS):
        bert(tmp_path / name, seed, problem_type=problem)
    with pytest.raises(BequeathError, match=rf"models\.first: its config says problem_type: {problem}"):
        run(text_study(tmp_path))


@pytest.mark.usefixtures("no_page")
def test_long_texts_and_zero_widths_are_passed_over_or_joined(tmp_path):
    models = {name: bert(tmp_path / name, seed) for seed, name in enumerate(MODELS)}
    # 24 positions hold 22 words; the tokenizer itself says nothing of a limit.
    rows = [*ROWS[:3], (" ".join(["film"] * 23), "pos"), ("the \u200b plot was nice", "neu")]
    findings = run(text_study(tmp_path, rows))
    assert [sample["id"] for sample in findings["samples"]] == [f"dev.csv:{line}" for line in (2, 3, 4, 6)]
    expected = true_values(tmp_path / "first", models["first"], rows[4][0], 1)
    assert findings["samples"][3]["v_full"]["first"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.usefixtures("no_page")
def test_other_preprocessing_is_refused_unless_the_study_says_what_is_right(tmp_path):
    for label in ("0", "1"):
        (tmp_path / "val" / label).mkdir(parents=True)
        for number in range(3):
            pixels = np.random.default_rng([number, int(label)]).integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "val" / label / f"{number}.png")
    for seed, name in enumerate(MODELS):
        torch.manual_seed(seed)
        config = ViTConfig(
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=8,
            image_size=16,
            patch_size=8,
        )
        ViTForImageClassification(config).save_pretrained(tmp_path / name)
        processor = {"image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16}}
        processor |= {"image_mean": [0.1 * (seed + 4)] * 3, "image_std": [0.5] * 3}
        (tmp_path / name / "preprocessor_config.json").write_text(json.dumps(processor))
    study = yaml.safe_load(text_study(tmp_path).read_text())
    study |= {
        "data": {"kind": "image_folder", "path": "val"},
        "players": {"kind": "grid", "rows": 2, "cols": 2},
    }
    study["baseline"] = "mean"
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(study))
    message = (
        r"models\.second: was trained on pictures with mean 0.5/0.5/0.5, .* the study uses mean 0.4/0.4/0.4"
    )
    with pytest.raises(BequeathError, match=message):
        run(file)
    study["data"] |= {"mean": [0.4, 0.4, 0.4]}
    file.write_text(yaml.safe_dump(study))
    told = [text for text in run(file)["warnings"] if "was trained on pictures" in text]
    assert len(told) == 1
    assert told[0].startswith("second was trained on pictures with mean 0.5")


# Pictures, with a builder of the user's own.


def image_study(folder: Path, **top) -> Path:
    rng = np.random.default_rng(0)
    for index, label in enumerate(("blue", "green", "red")):
        for part in ("val", "train"):
            (folder / part / label).mkdir(parents=True, exist_ok=True)
            for number in range(4):
                pixels = rng.integers(0, 120, size=(16, 16, 3))
                pixels[4:12, 4:12, 2 - index] += 120
                Image.fromarray(pixels.astype(np.uint8)).save(folder / part / label / f"{number}.png")
    for seed, name in enumerate(MODELS):
        torch.manual_seed(seed)
        torch.save(_build(3).state_dict(), folder / f"{name}.pt")
    (folder / "tiny_net_for_study.py").write_text(BUILDER)
    study = {
        "models": {
            name: {"architecture": "tiny_net_for_study:build", "weights": f"{name}.pt"} for name in MODELS
        },
        "roles": {"before": "first", "after": "second"},
        "data": {"kind": "image_folder", "path": "val", "size": 16},
        "players": {"kind": "grid", "rows": 2, "cols": 2},
        "decomposition": "and-or",
        "samples": 4,
        "engine": {"kind": "local", "workers": 1, "threads": 1},
    }
    study.update(top)
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return folder / "study.yaml"


@pytest.fixture
def project(tmp_path, monkeypatch, without_report):
    import sys

    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "tiny_net_for_study", raising=False)
    return tmp_path


def test_pictures_in_grey_for_models_of_one_channel(project):
    grey = BUILDER.replace("Conv2d(3,", "Conv2d(1,")
    data = {"kind": "image_folder", "path": "val", "size": 16, "mean": [0.4], "std": [0.2]}
    file = image_study(project, data=data)
    (project / "tiny_net_for_study.py").write_text(grey)
    nets = {}
    for seed, name in enumerate(MODELS):
        torch.manual_seed(seed)
        space: dict = {}
        exec(grey, space)
        nets[name] = space["build"](3).eval()
        torch.save(nets[name].state_dict(), project / f"{name}.pt")
    findings = run(file)
    sample = findings["samples"][0]
    with Image.open(project / "val" / sample["id"]) as picture:
        pixels = torch.from_numpy(np.array(picture.convert("L"))).float()
    x = ((pixels / 255 - 0.4) / 0.2)[None, None]
    label = findings["study"]["classes"].index(sample["class"])
    with torch.no_grad():
        expected = bq.values.log_odds(label)(nets["second"](x)).item()
    assert sample["v_full"]["second"] == pytest.approx(expected, abs=1e-4)
    assert Preprocessing(16, (0.4,), (0.2,)).view(Image.new("RGB", (16, 16), (255, 0, 0))).max() == 76


def test_a_builder_that_brings_no_weights_is_refused(project):
    file = image_study(
        project, models={name: {"architecture": "tiny_net_for_study:build"} for name in MODELS}
    )
    with pytest.raises(
        BequeathError, match=r"first: tiny_net_for_study:build has random weights .* give weights"
    ):
        run(file)


def test_the_same_data_for_training_and_holding_out_is_refused(project):
    data = {"kind": "image_folder", "path": "val", "train": "val", "size": 16}
    with pytest.raises(BequeathError, match="all 4 held-out samples are also in the training data"):
        run(image_study(project, data=data))
    file = image_study(project, data=data | {"train": "train"})
    for label in ("blue", "red"):
        (project / "train" / label / "0.png").write_bytes((project / "val" / label / "0.png").read_bytes())
        (project / "train" / label / "1.png").write_bytes((project / "val" / label / "1.png").read_bytes())
    told = [text for text in run(file, "second")["warnings"] if "also in the training data" in text]
    assert len(told) <= 1
    chosen = {
        sample["id"] for sample in json.loads((project / "second/findings.json").read_text())["samples"]
    }
    known = chosen & {f"{label}/{number}.png" for label in ("blue", "red") for number in (0, 1)}
    assert bool(told) == bool(known)
    if known:
        assert told[0].startswith(f"{len(known)} of the 4 held-out samples")


def test_folders_that_are_numbers_are_told_of(project):
    file = image_study(project)
    for name, number in (("blue", "10"), ("green", "2"), ("red", "1")):
        (project / "val" / name).rename(project / "val" / number)
    assert any("as in torchvision's ImageFolder (1, 10, 2)" in text for text in run(file)["warnings"])
    data = {"kind": "image_folder", "path": "val", "size": 16, "classes": ["1", "2", "10"]}
    study = yaml.safe_load(file.read_text()) | {"data": data}
    file.write_text(yaml.safe_dump(study))
    assert not any("ImageFolder" in text for text in run(file, "listed")["warnings"])
