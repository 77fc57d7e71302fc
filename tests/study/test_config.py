"""Bad study files: one line that names the place, before any work."""

import pytest

import bequeath as bq
from bequeath.study.config import load_study


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model", {}, r"study\.yaml:\d+: model: unknown key"),
        ("players.row", 3, r"study\.yaml:\d+: players\.grid\.row: unknown key"),
        ("players.rows", "many", r"study\.yaml:\d+: players\.grid\.rows: .*integer"),
        ("players.rows", 40, r"players: 80 players need 2\*\*80 = [\d,]+ model evaluations and [\d,]+ bytes"),
        ("players", {"kind": "words"}, "words does not fit data of kind image_folder"),
        (
            "baseline",
            "mask_token",
            r"baseline: mask_token does not fit players of kind grid; use mean, zero, blur",
        ),
        ("baseline", "black", r"study\.yaml:\d+: baseline: Input should be 'mean', 'zero', 'blur'"),
        ("samples", 1, "samples: .*greater than or equal to 2"),
        ("data.train", None, r"data\.train: needed by a model with probe"),
        ("data.path", "nowhere", r"study\.yaml:\d+: data\.path: no such file or folder: .*nowhere"),
        ("models.finetuned", None, r"roles: say which model is before and which is after"),
        ("models.finetuned.checkpoints", "models/x-*.pt", r"models\.finetuned\.checkpoints: nothing matches"),
        ("models.pretrained.weights", "gone.pt", r"models\.pretrained\.weights: no such file: .*gone\.pt"),
        ("models.finetuned.weights", "a.pt", "weights or checkpoints, not both"),
    ],
)
def test_the_place_is_named(edit, path, value, message):
    file = edit(path, value)
    with pytest.raises(bq.BequeathError, match=message) as caught:
        load_study(file)
    assert "\n" not in str(caught.value)


def test_a_good_file_is_read_and_its_paths_are_relative_to_it(study_dir, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = load_study("project/study.yaml")
    assert config.data.path == (study_dir / "val").resolve()
    assert config.players.n_players == 4


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(bq.BequeathError, match=r"no such file: .*none\.yaml"):
        load_study(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("models: [\n  a: b: c")
    with pytest.raises(bq.BequeathError, match=r"broken\.yaml:2: not valid YAML"):
        load_study(broken)
    broken.write_text("- a list")
    with pytest.raises(bq.BequeathError, match="a mapping is needed"):
        load_study(broken)


def test_the_commented_template_is_valid_but_for_its_files(study_dir, tmp_path):
    from importlib.resources import files

    target = tmp_path / "study.yaml"
    target.write_text(files("bequeath.study").joinpath("study.yaml").read_text())
    with pytest.raises(bq.BequeathError, match=r"no such file: .*resnet18-imagenet"):
        load_study(target)
