"""Studies of every kind of data and players, from files to findings."""

import csv
import json

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import nn

import bequeath as bq
from bequeath.models import mlp
from bequeath.study.config import load_study
from bequeath.study.config.games import EvaluationConfig
from bequeath.study.loading.inputs import StudyInputs
from bequeath.study.loading.parts import StudyParts
from bequeath.study.run import Study


def run(file, out="out"):
    return Study.from_yaml(file).run(file.parent / out).findings


def lines(findings):
    """What every finished study has right."""
    for rows in findings["ledger"].values():
        assert sum(row["effect"]["mean"] for row in rows[1:]) == pytest.approx(
            rows[0]["effect"]["mean"], abs=1e-6
        )
    assert all(model["accuracy"]["n"] > 0 for model in findings["models"].values())
    return findings["study"]


@pytest.mark.parametrize(
    ("players", "baseline", "says"),
    [
        (
            {"kind": "grid", "rows": 3, "cols": 3, "cells": "central", "k": 4},
            "blur",
            "4 cells (the rest shown)",
        ),
        (
            {"kind": "grid", "rows": 3, "cols": 3, "cells": [0, 4, 8], "rest": "hidden"},
            "dataset_mean",
            "3 cells",
        ),
        ({"kind": "superpixels", "n": 4}, {"kind": "blur", "sigma": 3}, "4 superpixels"),
        ({"kind": "positions", "layer": "2", "rows": 2, "cols": 2}, "dataset_mean", "positions at layer 2"),
        ({"kind": "channels", "layer": "2", "n": 3}, "zero", "3 groups of channels at layer 2"),
    ],
)
def test_image_players(study_dir, edit, players, baseline, says):
    edit("baseline", baseline)
    findings = run(edit("players", players))
    assert says in lines(findings)["players"]
    sample = findings["samples"][0]
    boxes = sample["scene"]["boxes"] or findings["study"]["boxes"]
    areas = sample["scene"]["areas"]
    n_players = findings["study"]["n_players"]
    if players["kind"] == "channels":
        assert (boxes, areas) == (None, None)
    elif players["kind"] == "superpixels":
        assert boxes is None
        assert {player for player in areas["runs"][::2] if player >= 0} == set(range(n_players))
        assert sum(areas["runs"][1::2]) == areas["width"] * areas["height"]
    else:
        assert len(boxes) == n_players


def test_regions_and_a_given_baseline(study_dir, edit):
    np.save(study_dir / "labels.npy", np.arange(24)[:, None].repeat(24, 1) // 8)
    np.save(study_dir / "grey.npy", np.zeros((3, 1, 1)))
    edit("baseline", {"kind": "given", "path": "grey.npy"})
    findings = run(edit("players", {"kind": "regions", "path": "labels.npy"}))
    assert lines(findings)["n_players"] == 3
    edit("baseline", "zero")
    assert run(study_dir / "study.yaml", "zero")["samples"] == findings["samples"]


def test_influential_cells_are_the_same_for_all_models_and_kept(study_dir, edit):
    file = edit("players", {"kind": "grid", "rows": 4, "cols": 4, "cells": "influential", "k": 4})
    findings = run(file)
    assert lines(findings)["n_players"] == 4
    (kept,) = (study_dir / "out").glob("cells-*.json")
    cells = json.loads(kept.read_text())
    assert len(cells) == 6
    # Independent: hide each cell alone, by hand.
    config = load_study(file)
    parts = StudyParts.of(config)
    data = parts.inputs.data
    name = findings["samples"][0]["id"]
    index = next(i for i in range(len(data)) if data[i].id == name)
    x, label = data[index].x, data[index].label
    total = np.zeros(16)
    from bequeath.study.loading.plan import make_plan

    plan = make_plan(config, data, parts.games.players())
    for model_name in ("pretrained", "finetuned", "scratch"):
        model = parts.models.load(plan.checkpoints[plan.of(model_name)[-1]], study_dir / "out")
        value = bq.values.log_odds(label)
        with torch.inference_mode():
            full = value(model(x[None])).item()
            changes = []
            for cell in range(16):
                hidden = x.clone()
                r, c = divmod(cell, 4)
                part = (slice(None), slice(6 * r, 6 * r + 6), slice(6 * c, 6 * c + 6))
                hidden[part] = x.mean((1, 2), keepdim=True)
                changes.append(abs(full - value(model(hidden[None])).item()))
        total += np.array(changes) / sum(changes)
    assert cells[name] == sorted(np.argsort(-total)[:4].tolist())
    boxes = next(sample["scene"]["boxes"] for sample in findings["samples"] if sample["id"] == name)
    assert boxes[0] == [
        cells[name][0] % 4 / 4,
        cells[name][0] // 4 / 4,
        cells[name][0] % 4 / 4 + 0.25,
        cells[name][0] // 4 / 4 + 0.25,
    ]


@pytest.fixture
def table_study(tmp_path):
    """Three perceptrons on a table of four columns."""
    rng = np.random.default_rng(0)
    for name, count in (("train", 60), ("test", 40)):
        x = rng.normal(size=(count, 4)) * [1, 10, 100, 1] + 5
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["a", "b=0", "b=1", "c", "grade"])
            writer.writerows([*row, "high" if row[0] + row[1] / 10 > 5.5 else "low"] for row in x.tolist())
    for seed, name in enumerate(("pretrained", "finetuned", "scratch")):
        torch.manual_seed(seed)
        save_file(mlp(2, 4, widths=(8,)).state_dict(), tmp_path / f"{name}.safetensors")
    model = {"architecture": "bequeath:mlp", "options": {"num_features": 4, "widths": [8]}}
    study = {
        "models": {
            name: {**model, "weights": f"{name}.safetensors"}
            for name in ("pretrained", "finetuned", "scratch")
        },
        "data": {"kind": "table", "path": "test.csv", "train": "train.csv", "label": "grade"},
        "players": {"kind": "columns"},
        "baseline": "dataset_mean",
        "samples": 5,
    }
    study["models"]["pretrained"]["probe"] = True

    def write(**changes):
        file = tmp_path / "study.yaml"
        file.write_text(yaml.safe_dump({**study, **changes}))
        return file

    return write


def test_a_table(table_study):
    findings = run(table_study())
    study = lines(findings)
    assert (study["modality"], study["n_players"]) == ("table", 4)
    assert findings["models"]["pretrained"]["accuracy"]["mean"] > 0.7
    assert findings["samples"][0]["scene"]["words"][0].startswith("a = ")


def test_groups_of_columns_and_a_held_out_share(table_study):
    data = {"kind": "table", "path": "test.csv", "holdout": 0.5, "label": "grade"}
    groups = {"a": ["a"], "b": ["b=0", "b=1"]}
    file = table_study(players={"kind": "columns", "groups": groups}, data=data)
    findings = run(file)
    assert lines(findings)["n_players"] == 2
    assert findings["models"]["scratch"]["accuracy"]["n"] == 20
    inputs = StudyInputs(load_study(file))
    train = np.stack([inputs.train[i].x for i in range(20)])
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-5)
    held = {inputs.data[i].id for i in range(20)}
    assert not held & {inputs.train[i].id for i in range(20)}


def test_one_output_and_binary_logit(table_study, tmp_path):
    for name in ("pretrained", "finetuned", "scratch"):
        save_file(mlp(1, 4, widths=(8,)).state_dict(), tmp_path / f"{name}.safetensors")
    model = {"architecture": "bequeath:mlp", "options": {"num_features": 4, "widths": [8]}}
    models = {
        name: {**model, "weights": f"{name}.safetensors"} for name in ("pretrained", "finetuned", "scratch")
    }
    findings = run(table_study(models=models, value="binary_logit"))
    lines(findings)
    inputs = StudyInputs(load_study(table_study(models=models, value="binary_logit")))
    net = mlp(1, 4, widths=(8,))
    net.load_state_dict(load_file(tmp_path / "scratch.safetensors"))
    x = torch.stack([inputs.data[i].x for i in range(40)])
    right = ((net(x)[:, 0] > 0).long().numpy() == np.array(inputs.data.labels)).mean()
    assert findings["models"]["scratch"]["accuracy"]["mean"] == pytest.approx(right)


def test_lower_precision_is_measured_and_told(table_study):
    findings = run(table_study(evaluation={"autocast": "bfloat16", "batch_size": "auto"}))
    effect = findings["evaluation"]["autocast_effect"]["scratch"]
    assert 0 < effect["mean"] <= effect["max"] < 1
    assert any("run in bfloat16" in warning for warning in findings["warnings"])
    assert findings["evaluation"]["batch_size"] is None


@pytest.fixture
def language_model(tmp_path):
    """A folder with a tiny GPT-2 and a tokenizer of its own words."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = [
        "Review",
        ":",
        "It",
        "was",
        "bad",
        "good",
        "a",
        "warm",
        "funny",
        "dull",
        "film",
        "very",
        "indeed",
    ]
    words += ["the", "[UNK]", "[EOS]"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", eos_token="[EOS]"
    )
    folder = tmp_path / "lm"
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=len(words), n_positions=32, n_embd=16, n_layer=2, n_head=2)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    with (tmp_path / "texts.jsonl").open("w") as file:
        for i in range(12):
            text = ["a warm funny film indeed", "the very dull film indeed"][i % 2] + " very" * (i // 2)
            file.write(json.dumps({"text": text, "label": ["good", "bad"][i % 2]}) + "\n")
        # Longer than the model's 32 positions: never drawn, cut off for the accuracy.
        file.write(json.dumps({"text": "very " * 60, "label": "good"}) + "\n")
    source = {"architecture": "transformers-causal-lm:lm", "weights": "lm"}
    study = {
        "models": dict.fromkeys(("pretrained", "finetuned", "scratch"), source),
        "data": {
            "kind": "text_table",
            "path": "texts.jsonl",
            "classes": ["bad", "good"],
            "prompt": "Review : {} It was",
            "answers": ["bad", "good"],
        },
        "players": {"kind": "words", "n": 4},
        "baseline": "removal",
        "value": "next_token",
        "samples": 12,
    }

    def write(**data):
        file = tmp_path / "study.yaml"
        file.write_text(yaml.safe_dump({**study, "data": {**study["data"], **data}}))
        return file

    return write


def test_a_causal_language_model(language_model, tmp_path):
    transformers = pytest.importorskip("transformers")
    findings = run(language_model())
    assert "token as the next one" in lines(findings)["value"]
    model = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "lm").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "lm")
    rows = [json.loads(line) for line in (tmp_path / "texts.jsonl").read_text().splitlines()]
    right = []
    answers = tokenizer.convert_tokens_to_ids(["bad", "good"])
    values = {}
    for i, row in enumerate(rows):
        with torch.inference_mode():
            ids = tokenizer(f"Review : {row['text']} It was", return_tensors="pt")["input_ids"][:, -32:]
            logits = model(ids).logits[0, -1]
        label = ["bad", "good"].index(row["label"])
        right.append(int(logits[answers].argmax()) == label)
        values[f"texts.jsonl:{i + 1}"] = bq.values.log_odds(answers[label])(logits[None]).item()
    assert findings["models"]["scratch"]["accuracy"]["mean"] == pytest.approx(np.mean(right))
    assert len(findings["samples"]) == 12
    assert "texts.jsonl:13" not in {sample["id"] for sample in findings["samples"]}
    for sample in findings["samples"]:
        assert sample["v_full"]["scratch"] == pytest.approx(values[sample["id"]], abs=1e-5)
    # A model compared with itself keeps everything.
    assert findings["knowledge"]["shares"]["preserved"]["observed"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"answers": None}, "next_token and data.answers need each other"),
        ({"answers": ["bad"]}, "1 for 2 classes"),
        ({"answers": ["bad good", "bad"]}, "begin with the same token"),
        ({"prompt": "no place"}, r"needs \{\} exactly once"),
    ],
)
def test_prompts_and_answers_that_do_not_fit_are_named(language_model, data, message):
    with pytest.raises(bq.BequeathError, match=message):
        run(language_model(**data))


def test_adapters_along_a_run(tmp_path):
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    np.savetxt(
        tmp_path / "t.csv",
        np.column_stack([rng.normal(size=(30, 3)), np.arange(30) % 2]),
        delimiter=",",
        header="a,b,c,y",
        comments="",
        fmt=["%f", "%f", "%f", "%d"],
    )
    base = mlp(2, 3, widths=(6,))
    save_file(base.state_dict(), tmp_path / "base.safetensors")
    layers = [name for name, module in base.named_modules() if isinstance(module, nn.Linear)]
    for step in (1, 2, 3):
        adapted = peft.get_peft_model(
            base, peft.LoraConfig(target_modules=layers[:1], r=2, init_lora_weights=False)
        )
        adapted.save_pretrained(tmp_path / f"lora/checkpoint-{step}")
        base = adapted.unload()
    model = {"architecture": "bequeath:mlp", "options": {"num_features": 3, "widths": [6]}}
    study = {
        "models": {
            "pretrained": {**model, "weights": "base.safetensors"},
            "finetuned": {**model, "base": "base.safetensors", "checkpoints": "lora/checkpoint-*"},
            "scratch": {**model, "weights": "base.safetensors"},
        },
        "data": {"kind": "table", "path": "t.csv", "label": "y"},
        "players": {"kind": "columns"},
        "baseline": "zero",
        "samples": 4,
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    findings = run(tmp_path / "study.yaml")
    assert [c["step"] for c in findings["models"]["finetuned"]["checkpoints"]] == [1, 2, 3]
    assert findings["samples"][0]["v_full"]["finetuned"] != findings["samples"][0]["v_full"]["scratch"]
    lines(findings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"players": {"kind": "columns"}},
            r"columns does not fit data of kind image_folder: it is for table data",
        ),
        ({"players": {"kind": "superpixels", "n": 4}, "baseline": "mask_token"}, "use mean, zero, blur"),
        (
            {"players": {"kind": "grid", "rows": 2, "cols": 2, "k": 3}},
            "k: is needed by cells: central and influential",
        ),
        ({"players": {"kind": "grid", "rows": 2, "cols": 2, "cells": "central", "k": 5}}, "5 of 2 x 2 cells"),
        (
            {"players": {"kind": "regions", "path": "gone.npy"}},
            r"players\.path: .*gone\.npy: not an \.npy array",
        ),
        (
            {"players": {"kind": "positions", "layer": "nine", "rows": 2, "cols": 2}},
            "layer 'nine': no such module",
        ),
        ({"evaluation": {"batch_size": 0}}, "batch_size: 0; give 1 to 1,048,576, or auto"),
        ({"evaluation": {"device": "cuda:77"}}, "device: 'cuda:77' cannot be used"),
        ({"evaluation": {"memory": "much"}}, "memory: 'much'"),
        ({"value": "next_token"}, "next_token and data.answers"),
        ({"value": "binary_logit"}, "outputs, but the data have|needs|1"),
        ({"data": {"kind": "cub200", "path": "val"}}, "CUB|images.txt|cub"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_work(study_dir, edit, changes, message):
    file = study_dir / "study.yaml"
    for key, value in changes.items():
        study = yaml.safe_load(file.read_text())
        study[key] = value
        file.write_text(yaml.safe_dump(study))
    with pytest.raises(bq.BequeathError, match=message) as caught:
        run(file)
    assert "\n" not in str(caught.value)
    assert not (study_dir / "out/tables.zarr").exists()


def test_the_models_own_preprocessing_is_used_unless_the_file_says_otherwise(study_dir, edit, monkeypatch):
    from bequeath.data import Preprocessing

    own = Preprocessing(30, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), resize_to=32, interpolation="bicubic")
    monkeypatch.setattr("bequeath.study.loading.inputs.preprocessing_of", lambda *a: own)
    assert StudyInputs(load_study(edit("data.size", None))).data.preprocessing == own
    changed = StudyInputs(load_study(edit("data.size", 24))).data.preprocessing
    assert (changed.size, changed.resize_to, changed.interpolation) == (24, None, "bicubic")


@pytest.mark.parametrize(
    ("numbers", "size"), [(3 * 224 * 224, 16), (3 * 48 * 48, 256), (3 * 512 * 512, 8), (10, 256), (None, 128)]
)
def test_the_usual_batch_size_comes_from_the_inputs(numbers, size):
    assert EvaluationConfig(device="cpu").make(numbers).batch_size == size
    assert EvaluationConfig(device="cpu", batch_size=5).make(numbers).batch_size == 5
    assert EvaluationConfig(device="cpu", batch_size="auto").make(numbers).batch_size is None
