"""Whole runs of a small study: findings, repetition, resumption, refusals."""

import numpy as np
import pytest
import torch
import xarray
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file
from study_runs import findings_of

import bequeath as bq
from bequeath.data import ImageFolder, Preprocessing
from bequeath.models import load_model
from bequeath.study.run import Study


def run(study_dir, out="out"):
    Study.from_yaml(study_dir / "study.yaml").run(study_dir / out)
    return findings_of(study_dir / out)


def estimates(node):
    if isinstance(node, dict):
        if {"mean", "low", "high", "n"} <= node.keys():
            yield node
        for value in node.values():
            yield from estimates(value)
    elif isinstance(node, list):
        for value in node:
            yield from estimates(value)


def test_a_run_writes_consistent_findings_and_a_page(study_dir):
    findings = run(study_dir)
    assert findings["schema"] == "bequeath.findings/7"
    assert findings["ledger_error"] < 1e-9
    assert findings["faithfulness"]["max_reconstruction_error"] < 1e-9
    certificates = findings["certificates"]
    assert certificates["n"] == 7 * 6
    assert certificates["worst_gap"] <= certificates["tol"]
    found = list(estimates(findings))
    assert len(found) > 200
    for e in found:
        assert e["mean"] is None or e["low"] <= e["mean"] <= e["high"]
    shares = findings["knowledge"]["shares"]
    assert shares["preserved"]["observed"] + shares["discarded"]["observed"] == pytest.approx(1)
    assert 0 < shares["preserved"]["floor"] < 1
    overall = next(r for r in findings["knowledge"]["by_order"] if (r["type"], r["order"]) == ("all", 0))
    strength = overall["strength"]
    assert strength["preserved"]["mean"] + strength["new"]["mean"] == pytest.approx(strength["after"]["mean"])
    of_after = [r["strength"]["mean"] for r in findings["regions"] if "after" in r["models"]]
    assert len(of_after) == 4
    assert sum(of_after) == pytest.approx(strength["after"]["mean"])
    assert findings["dynamics"]["runs"]["finetuned"][-1]["similarity"]["mean"] == 1
    page = (study_dir / "out/report.html").read_text()
    assert "colours" in page
    assert len(page) > 50_000


def test_forgotten_and_learned_samples_are_those_that_the_models_say(study_dir, without_report):
    findings = run(study_dir)
    flips, models = findings["forgotten"], findings["models"]
    assert flips["n"] == sum(flips[key] for key in ("both", "forgotten", "learned", "neither")) == 24
    right = {name: models[name]["accuracy"]["mean"] * 24 for name in ("pretrained", "finetuned")}
    assert flips["both"] + flips["forgotten"] == pytest.approx(right["pretrained"])
    assert flips["both"] + flips["learned"] == pytest.approx(right["finetuned"])
    assert sum(row["n"] for row in flips["by_class"]) == 24
    for key in ("forgotten", "learned"):
        assert flips[key] == sum(row[key] for row in flips["by_class"])
        assert flips[key] == sum(one["flip"] == key for one in flips["samples"])
    assert flips["samples"]
    model = load_model("tiny_net_for_study:build", "models/finetuned-100.safetensors", 3, "image")
    data = ImageFolder("val", Preprocessing(24))
    by_id = {data[i].id: data[i] for i in range(len(data))}
    for one in flips["samples"]:
        sample = by_id[one["sample"]]
        assert one["class"] == data.classes[sample.label]
        assert (int(model(sample.x[None]).argmax()) == sample.label) == (one["flip"] == "learned")
    read = {sample["id"] for sample in findings["samples"]}
    assert all((one["change"] is not None) == (one["sample"] in read) for one in flips["samples"])


def test_the_arrays_are_readable_with_plain_xarray_and_belong_to_the_findings(study_dir):
    findings = run(study_dir)
    with xarray.open_zarr(study_dir / "out/tables.zarr", consolidated=False) as arrays:
        assert arrays["table"].dims == ("checkpoint", "sample", "subset")
        last = arrays.sel(checkpoint="finetuned/step 100")
        table = last["table"].values
        effects = last["interactions"].sum(("type", "subset")).values
    np.testing.assert_allclose(effects, table[:, -1] - table[:, 0], atol=1e-9)
    np.testing.assert_allclose(table[:, -1], [s["v_full"]["finetuned"] for s in findings["samples"]])


def test_two_runs_give_identical_findings_and_a_second_start_redoes_nothing(study_dir, monkeypatch):
    first, second = run(study_dir, "one"), run(study_dir, "two")
    assert first == second

    def refuse(*args, **kwargs):
        raise AssertionError("work was done again")

    monkeypatch.setattr("bequeath.games.game.Game.start", refuse)
    monkeypatch.setattr("bequeath.study.engines.worker.decompose", refuse)
    assert run(study_dir, "one") == first


def test_the_finetuned_model_in_the_pretrained_models_place_keeps_everything(study_dir, edit):
    last = "models/finetuned-100.safetensors"
    edit("models.pretrained", {"architecture": "tiny_net_for_study:build", "weights": last})
    findings = run(study_dir)
    shares = findings["knowledge"]["shares"]
    assert shares["preserved"]["observed"] >= 0.999
    assert shares["new"]["observed"] <= 0.001
    assert findings["claims"]["F1"]["verdict"] != "supported"


def test_a_model_of_other_classes_is_refused(study_dir, edit):
    edit(
        "models.pretrained",
        {"architecture": "tiny_net_for_study:build", "weights": "models/pretrained.safetensors"},
    )
    with pytest.raises(
        bq.BequeathError, match=r"pretrained\.safetensors: the saved model has 7 outputs .* labels need 3"
    ):
        run(study_dir)


def test_an_unreadable_image_is_named_before_any_work(study_dir):
    (study_dir / "val/red/3.png").write_bytes(b"not a picture")
    with pytest.raises(bq.BequeathError, match=r"red/3\.png"):
        run(study_dir)
    assert not (study_dir / "out/tables.zarr").exists()


@pytest.mark.parametrize("kind", ["and", "or"])
def test_closed_forms_need_no_certificate(study_dir, edit, kind):
    edit("decomposition", {"kind": kind})
    findings = run(study_dir)
    assert findings["certificates"] is None
    assert findings["faithfulness"]["max_reconstruction_error"] < 1e-9


def test_models_without_checkpoints_leave_f3_open(study_dir, edit):
    for name in ("finetuned", "scratch"):
        weights = f"models/{name}-100.safetensors"
        edit(f"models.{name}", {"architecture": "tiny_net_for_study:build", "weights": weights})
    findings = run(study_dir)
    assert findings["dynamics"] is None
    assert findings["claims"]["F3"]["verdict"] == "not measurable"
    assert any("F3" in warning for warning in findings["warnings"])
    assert (study_dir / "out/report.html").exists()


def test_samples_are_those_of_the_seed(study_dir, edit):
    first = run(study_dir)
    edit("seed", 1)
    other = run(study_dir, "seed1")
    assert [s["id"] for s in first["samples"]] != [s["id"] for s in other["samples"]]
    assert sorted(s["class"] for s in other["samples"]) == ["blue", "blue", "green", "green", "red", "red"]


def test_the_resolved_study_runs_again(study_dir):
    first = run(study_dir)
    resolved = yaml.safe_load((study_dir / "out/study.yaml").read_text())
    (study_dir / "again.yaml").write_text(yaml.safe_dump(resolved))
    Study.from_yaml(study_dir / "again.yaml").run(study_dir / "again")
    assert findings_of(study_dir / "again") == first


def test_pictures_of_other_sizes_and_modes_are_taken(study_dir):
    Image.new("L", (31, 57)).save(study_dir / "val/red/grey.png")
    Image.new("RGBA", (90, 20)).save(study_dir / "val/blue/wide.png")
    assert run(study_dir)["models"]["scratch"]["accuracy"]["n"] == 24


def test_a_model_that_died_is_told(study_dir, without_report):
    file = study_dir / "models/finetuned-100.safetensors"
    save_file({name: torch.zeros_like(value) for name, value in load_file(file).items()}, file)
    warnings = run(study_dir)["warnings"]
    assert any("finetuned gives the same output whatever parts" in text for text in warnings)
    assert not any("scratch gives the same output" in text for text in warnings)
