"""Files with several sets of weights in a study: which is taken is said, is part of the identity, and can be chosen."""

import json

import pytest
import torch
import yaml
from safetensors.torch import load_file
from study_runs import run

import bequeath as bq
from bequeath.study.config import load_study

pytestmark = pytest.mark.usefixtures("without_report")

EMA = "models/finetuned-10.safetensors"
RAW = "models/finetuned-100.safetensors"


@pytest.fixture
def both(study_dir, edit):
    """The fine-tuned model as one file with an average beside it."""
    raw, ema = load_file(study_dir / RAW), load_file(study_dir / EMA)
    torch.save({"state_dict": raw, "state_dict_ema": ema, "epoch": 3}, study_dir / "models/both.pt")
    edit("players", {"kind": "grid", "rows": 1, "cols": 2})
    edit("models.scratch", None)
    edit("samples", 3)
    edit("models.finetuned.checkpoints", None)
    return study_dir


def values(findings):
    return [sample["v_full"]["finetuned"] for sample in findings["samples"]]


def test_the_set_that_is_taken_is_said_and_can_be_chosen(both, edit):
    edit("models.finetuned.weights", EMA)
    ema = values(run(both, "ema"))
    edit("models.finetuned.weights", RAW)
    raw = values(run(both, "raw"))
    assert ema != raw
    edit("models.finetuned.weights", "models/both.pt")
    with pytest.warns(UserWarning, match="'state_dict_ema' is taken"):
        findings = run(both)
    assert values(findings) == ema
    (said,) = (text for text in findings["warnings"] if "state_dict" in text)
    assert said == (
        "finetuned: the file holds several sets of weights; 'state_dict_ema' is taken (the average over training, "
        "as timm does), not 'state_dict'; choose another with weights_key."
    )
    # Other weights are another study: nothing of the one is taken for the other's.
    edit("models.finetuned.weights_key", "state_dict")
    with pytest.raises(
        bq.BequeathError, match=r"the study changed \(checkpoints: 1 changed\); .* give --update"
    ):
        run(both)
    findings = run(both, update=True)
    assert values(findings) == raw
    assert not any("state_dict" in text for text in findings["warnings"])
    # The same set by its key is the same set.
    edit("models.finetuned.weights_key", "state_dict_ema")
    assert values(run(both, update=True)) == ema


def test_two_sets_of_one_file_are_two_models(both, edit):
    edit("models.finetuned", None)
    for name in ("state_dict", "state_dict_ema"):
        model = {"architecture": "tiny_net_for_study:build", "weights": "models/both.pt", "weights_key": name}
        edit(f"models.{name}", model)
    edit("models.pretrained", None)
    edit("roles", {"before": "state_dict", "after": "state_dict_ema"})
    findings = run(both)
    assert not any("same file" in text for text in findings["warnings"])
    for sample in findings["samples"]:
        assert sample["v_full"]["state_dict"] != sample["v_full"]["state_dict_ema"]


def test_what_no_rule_decides_is_asked_before_any_work(both, edit):
    content = torch.load(both / "models/both.pt")
    torch.save(
        {"student": content["state_dict"], "teacher": content["state_dict_ema"]}, both / "models/both.pt"
    )
    edit("models.finetuned.weights", "models/both.pt")
    with pytest.raises(
        bq.BequeathError, match=r"both\.pt: holds several sets of weights: student, teacher; choose"
    ):
        run(both)
    assert not (both / "out/tables.zarr").exists()
    edit("models.finetuned.weights_key", "coach")
    with pytest.raises(bq.BequeathError, match=r"weights_key: no 'coach' in it; there are student, teacher"):
        run(both)


@pytest.mark.parametrize("model", [{"weights": "hub"}, {}])
def test_a_key_without_a_file_is_refused(study_dir, edit, model):
    edit("models.scratch", {"architecture": "bequeath:mobilenet_v2", "weights_key": "ema", **model})
    with pytest.raises(
        bq.BequeathError, match=r"study\.yaml:\d+: models\.scratch: weights_key: is for a local file"
    ):
        load_study(study_dir / "study.yaml")


def test_an_adapter_without_its_base_is_named_at_once(study_dir, edit):
    folder = study_dir / "lora/checkpoint-5"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(
        (study_dir / "models/pretrained.safetensors").read_bytes()
    )
    for key, value in (("checkpoints", "lora/checkpoint-*"), ("weights", "lora/checkpoint-5")):
        edit("models.scratch", {"architecture": "tiny_net_for_study:build", key: value})
        with pytest.raises(
            bq.BequeathError, match=r"models\.scratch: .*checkpoint-5 is a PEFT adapter, .*add base"
        ):
            load_study(study_dir / "study.yaml")


def test_a_folder_with_brackets_in_its_name(study_dir):
    place = study_dir.parent / "exp [v2]"
    study_dir.rename(place)
    study = load_study(place / "study.yaml")
    assert study.models["finetuned"].checkpoints == str(place / "models/finetuned-*.safetensors")
    from bequeath.study.config import checkpoint_files

    found = checkpoint_files(study.models["finetuned"], "models.finetuned")
    assert [step for _, step, _ in found] == [1, 10, 100]


def test_looking_at_a_run_runs_no_code_that_its_study_names(study_dir, edit):
    edit("players", {"kind": "grid", "rows": 1, "cols": 2})
    edit("models.scratch", None)
    run(study_dir)
    (study_dir / "planted_for_study.py").write_text(
        "open('was-run', 'w').close()\ndef f(label):\n    return None\n"
    )
    file = study_dir / "out/study.yaml"
    study = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**study, "value": "planted_for_study:f"}))
    assert bq.Run(study_dir / "out").config.value == "planted_for_study:f"
    bq.Run(study_dir / "out").evidence()
    assert not (study_dir / "was-run").exists()
    # A study file that is run is the user's own, and is code.
    load_study(file)
    assert (study_dir / "was-run").exists()


def test_arrays_of_the_older_format_are_not_opened(study_dir, edit):
    edit("players", {"kind": "grid", "rows": 1, "cols": 2})
    edit("models.scratch", None)
    run(study_dir)
    # Its filters are named by data, and one of them unpickles.
    store = study_dir / "out/tables.zarr"
    attributes = json.loads((store / "zarr.json").read_text())["attributes"]
    (store / "zarr.json").unlink()
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    (store / ".zattrs").write_text(json.dumps(attributes))
    with pytest.raises(bq.BequeathError, match=r"tables\.zarr: not a run's arrays"):
        run(study_dir)
