"""Two models compared without a study file: what the words of a command mean, and what they leave out."""

import json
import re
import shutil

import pytest
import torch
import yaml
from safetensors.torch import save_file
from study_runs import bequeath, findings_of
from tiny_text import make_project
from torch import nn
from transformers import BertForSequenceClassification

from bequeath import BequeathError
from bequeath.study.direct import Wanted, direct_study
from bequeath.study.direct.data import data_section
from bequeath.study.direct.models import Source, model_source, unique_names
from bequeath.study.direct.players import cells, runs_of_words
from bequeath.study.run import Study

ARCH = "tiny_net_for_study:build"


@pytest.fixture
def pictures(study_dir, monkeypatch):
    monkeypatch.chdir(study_dir)
    return study_dir


@pytest.fixture
def texts(tmp_path, monkeypatch):
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Models


def test_each_form_of_a_model(pictures):
    file = "models/pretrained.safetensors"
    whole = str(pictures / file)
    for text, architecture, section in (
        (file, ARCH, {"architecture": ARCH, "weights": whole}),
        (f"{ARCH}={file}", None, {"architecture": ARCH, "weights": whole}),
        ("timm:resnet18=hub:a1_in1k", None, {"architecture": "timm:resnet18", "weights": "hub:a1_in1k"}),
        ("torchvision:resnet18", None, {"architecture": "torchvision:resnet18", "weights": "hub"}),
        ("my_nets:build", None, {"architecture": "my_nets:build"}),
        ("owner/some-bert", None, {"architecture": "transformers:owner/some-bert", "weights": "hub"}),
    ):
        assert model_source("BEFORE", text, architecture).section == section


def test_a_folder_of_transformers_is_a_model(texts):
    folder = str(texts / "encoder")
    for text in ("encoder", "transformers:encoder"):
        section = model_source("AFTER", text, None).section
        assert section["weights"] == folder
        assert section["architecture"].startswith("transformers:")


def test_a_series_of_training_is_its_last_checkpoint(pictures):
    folder = pictures / "series"
    folder.mkdir()
    for step in (1, 20):
        shutil.copy("models/finetuned-1.safetensors", folder / f"step-{step:06d}.safetensors")
    entry = {"format": "bequeath.series/1", "architecture": "bequeath:mobilenet_v2", "options": {}}
    (folder / "series.json").write_text(json.dumps(entry))
    source = model_source("AFTER", "series", None)
    assert source.names[0] == "series"
    assert source.section == {
        "architecture": "bequeath:mobilenet_v2",
        "weights": str(folder / "step-000020.safetensors"),
    }
    # What a folder from elsewhere says is data, and names no code to run.
    (folder / "series.json").write_text(json.dumps({**entry, "architecture": "os:system"}))
    with pytest.raises(BequeathError, match="a data file may not run code"):
        model_source("AFTER", "series", None)
    assert model_source("AFTER", "series", ARCH).section["architecture"] == ARCH


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models/pretrained.safetensors", "BEFORE: .* is a state file, .* add --arch"),
        ("models/none.pt", "BEFORE: no such file or folder: models/none.pt"),
        ("./none", "BEFORE: no such file or folder"),
        (f"{ARCH}=none.pt", "BEFORE: .*no such file: 'none.pt'"),
        (f"{ARCH}=", "BEFORE: .*no such file: ''; give a state file"),
        ("models", "BEFORE: models: no config.json in it"),
        ("no name at all", "BEFORE: no such file or folder"),
    ],
)
def test_what_is_no_model(pictures, text, message):
    with pytest.raises(BequeathError, match=message):
        model_source("BEFORE", text, None)


def test_models_are_called_as_their_files_where_that_tells_them_apart():
    def source(*names):
        return Source("", names, {"architecture": "a"})

    assert unique_names([source("a", "x a"), source("b", "x b")], ["before", "after"]) == ["a", "b"]
    three = [source("net", "a net"), source("tuned", "a tuned"), source("tuned", "b tuned")]
    assert unique_names(three, ["before", "after", "twin 1"]) == ["net", "a tuned", "b tuned"]
    assert unique_names([source("build"), source("build")], ["before", "after"]) == ["before", "after"]
    assert unique_names([source("owner/bert"), source("b", "c/b")], ["before", "after"]) == [
        "owner bert",
        "b",
    ]


# Data


def test_folders_of_pictures(pictures):
    assert data_section("val") == {"kind": "image_folder", "path": str(pictures / "val")}
    assert data_section("val", "train")["train"] == str(pictures / "train")
    both = pictures / "both"
    both.mkdir()
    for part in ("train", "val"):
        shutil.copytree(part, both / part)
    section = data_section("both")
    assert (section["path"], section["train"]) == (str(both / "val"), str(both / "train"))
    assert data_section("cifar10:val") == {"kind": "cifar10", "path": str(pictures / "val")}


def test_files_of_texts_and_numbers(texts):
    assert data_section("dev.tsv") == {
        "kind": "text_table",
        "path": str(texts / "dev.tsv"),
        "text": ["sentence"],
        "label": "label",
    }
    assert data_section("dev.tsv", text="0", label="1")["text"] == [0]
    (texts / "t.csv").write_text("a,b,class\n1,2,x\n3,4,y\n")
    assert data_section("t.csv") == {"kind": "table", "path": str(texts / "t.csv"), "label": "class"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none",), "--data: no such file or folder: none"),
        (("dev.tsv", "none.tsv"), "--train: no such file or folder: none.tsv"),
        (("encoder/config.json", None, None, "stars"), "--label: .*no column 'stars'"),
        (("dev.tsv", None, "words"), "--text: .*no column 'words'; give one of sentence, label"),
        (("dev.tsv", None, "0"), "one column is given by number; give both"),
        (("odd.csv",), "--label: .*no column with a usual name of labels; give one of a, b"),
        (
            ("odd.txt",),
            "--data: odd.txt: unknown kind of data; give a folder of pictures, a file that ends in",
        ),
    ],
)
def test_what_is_no_data(texts, arguments, message):
    (texts / "encoder/config.json").write_text('{"a": 1}\n')
    for name in ("odd.csv", "odd.txt"):
        (texts / name).write_text("a,b\n1,2\n")
    with pytest.raises(BequeathError, match=message):
        data_section(*arguments)


# Players


def test_players_of_pictures():
    assert cells("6x5") == {"kind": "grid", "rows": 6, "cols": 5}
    assert cells("9") == {"kind": "superpixels", "n_players": 9}
    with pytest.raises(BequeathError, match="--players: 'six'; give rows x columns"):
        cells("six")


def test_runs_of_words_leave_texts_to_choose_from():
    texts = ["a " * length for length in range(1, 21)]  # 1 to 20 words
    assert runs_of_words(texts, 4) == 12  # eight have 13 or more
    assert runs_of_words(texts, 8) == 5  # sixteen have 5 or more
    assert runs_of_words(["a b"] * 5, 4) == 3


# The study


def _wanted(**given):
    return Wanted(
        **{
            "before": "models/pretrained.safetensors",
            "after": "models/finetuned-100.safetensors",
            "data": "val",
            "architecture": ARCH,
            **given,
        }
    )


def test_a_head_for_other_classes_becomes_a_probe_and_that_is_said(pictures):
    config, said = direct_study(_wanted(control="models/scratch-100.safetensors"))
    assert {name: model.probe for name, model in config.models.items()} == {
        "pretrained": True,
        "finetuned-100": False,
        "scratch-100": False,
    }
    assert any(
        re.search("BEFORE: pretrained has 7 outputs, but the data have 3 classes: a linear probe", one)
        for one in said
    )
    # No training data: half of the pictures.
    assert config.data.holdout == 0.5
    assert any("50% of the data" in one for one in said)
    assert (config.samples, config.accuracy_samples) == (12, 12)
    trained, said = direct_study(_wanted(train="train"))
    assert trained.data.holdout is None
    assert trained.samples == 24
    assert not any("50%" in one for one in said)


def test_small_square_pictures_are_given_as_they_are(pictures):
    config, said = direct_study(_wanted())
    assert config.data.size == 24
    assert any("24 x 24 pixels and ImageNet's normalisation" in one for one in said)
    config, said = direct_study(_wanted(size=32, players="2x3", masks="auto", samples=8))
    assert (config.data.size, config.players.n_players, config.masks.number, config.samples) == (
        32,
        6,
        "auto",
        8,
    )
    assert not any("pixels" in one for one in said)


def test_the_device_is_the_one_that_is_given(pictures):
    config, _ = direct_study(_wanted(device="cpu"))
    assert config.evaluation.device == "cpu"


def test_twins_are_those_of_the_model_after(pictures):
    config, _ = direct_study(
        _wanted(twins=("models/finetuned-10.safetensors", "models/finetuned-1.safetensors"))
    )
    assert config.roles.twins == {"after": ["finetuned-10", "finetuned-1"]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"masks": "many"}, "--masks: 'many'; give a number or auto"),
        ({"masks": "4"}, "masks: 4; .*give more masks"),
        ({"before": "models/none.pt"}, "BEFORE: no such file"),
        ({"twins": ("models/none.pt",)}, "--twin: no such file"),
        ({"device": "nothing"}, "device: 'nothing' cannot be used"),
        ({"after": "models/pretrained.safetensors", "players": "6by6"}, "--players: '6by6'"),
        ({"architecture": "bequeath:mobilenet_v2"}, "none of its .* names fits MobileNetV2"),
    ],
)
def test_arguments_that_cannot_be_used(pictures, given, message):
    with pytest.raises(BequeathError, match=message):
        direct_study(_wanted(**given))


def test_one_output_for_two_classes_is_for_a_study_file(pictures):
    (pictures / "val/red").rename(pictures / "red")
    with open("tiny_net_for_study.py", "a") as file:
        file.write("\n\ndef single(num_classes):\n    return build(1)\n")
    space = {}
    exec((pictures / "tiny_net_for_study.py").read_text(), space)
    net: nn.Module = space["build"](1)
    save_file(net.state_dict(), "models/single.safetensors")
    with pytest.raises(BequeathError, match=r"AFTER: single has one output for two classes; .*binary_logit"):
        direct_study(_wanted(after="models/single.safetensors"))


def test_texts_and_a_tokenizer_without_a_mask(texts):
    torch.manual_seed(1)
    model = BertForSequenceClassification.from_pretrained("encoder")
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p), alpha=0.1)
    model.save_pretrained("tuned")
    config, said = direct_study(Wanted("encoder", "tuned", "dev.tsv", samples=6))
    assert config.players.n_players == 7
    assert config.baseline == "mask_token"
    assert any("7 runs of words" in one for one in said)
    assert not any(model.probe for model in config.models.values())
    with pytest.raises(BequeathError, match="--size: is for pictures"):
        direct_study(Wanted("encoder", "tuned", "dev.tsv", size=32))


def test_an_adapter_goes_onto_the_model_before(texts):
    from peft import LoraConfig, get_peft_model

    model = BertForSequenceClassification.from_pretrained("encoder")
    get_peft_model(model, LoraConfig(task_type="SEQ_CLS", target_modules=["query"])).save_pretrained(
        "adapter"
    )
    config, _ = direct_study(Wanted("encoder", "adapter", "dev.tsv", samples=6))
    after = config.models[config.roles.after]
    assert after.base == str(texts / "encoder")
    assert after.weights == str(texts / "adapter")
    with pytest.raises(BequeathError, match="BEFORE: adapter is a PEFT adapter"):
        direct_study(Wanted("adapter", "encoder", "dev.tsv"))


# The command


def test_the_command_ends_in_findings_and_the_study_that_repeats_them(pictures):
    words = ["compare", "models/pretrained.safetensors", "models/finetuned-100.safetensors", "--arch", ARCH]
    words += ["--data", "val", "--train", "train", "--players", "3x3", "--masks", "64", "--samples", "8"]
    got = bequeath(pictures, *words, "--out", "first")
    assert got.returncode == 0, got.stderr
    assert "pretrained has 7 outputs" in got.stderr
    assert "preserved" in got.stdout
    assert (pictures / "first/report.html").exists()
    assert "To repeat it: bequeath run first/study.yaml --out FOLDER" in got.stdout
    Study.from_yaml("first/study.yaml").run("second")
    assert findings_of(pictures / "first") == findings_of(pictures / "second")
    study = yaml.safe_load((pictures / "first/study.yaml").read_text())
    assert study["roles"]["before"] == "pretrained"
    # Other models into the same folder: nothing is mixed.
    other, _ = direct_study(_wanted(after="models/finetuned-10.safetensors"))
    with pytest.raises(BequeathError, match="first"):
        Study(other).run("first")


def test_bad_words_are_one_line(pictures):
    got = bequeath(pictures, "compare", "models/none.pt", "models/finetuned-1.safetensors", "--data", "val")
    assert got.returncode == 2
    assert re.fullmatch(r"bequeath: BEFORE: no such file or folder: models/none\.pt; give .*\n", got.stderr)
