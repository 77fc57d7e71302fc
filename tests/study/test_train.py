"""`bequeath train`: from a study file to trained models, and on to findings."""

import signal

import pytest
import torch
import yaml
from safetensors.torch import load_file
from study_runs import bequeath, findings_of, start, wait_until
from tiny_study import DEEPER
from tiny_text import DATA, make_project

import bequeath as bq
from bequeath.models import checkpoint_series
from bequeath.study.config import load_study
from bequeath.study.progress import Bars
from bequeath.study.run import Study
from bequeath.study.train import train

TRAINING = {
    "steps": 24,
    "batch_size": 8,
    "seeds": [0, 1],
    "checkpoints": 5,
    "finetuned": {"learning_rate": 0.01},
    "scratch": {"learning_rate": 0.02},
}


@pytest.fixture
def to_train(study_dir, edit):
    """The study with a training section in the place of the trained models."""
    for name in ("finetuned", "scratch"):
        edit(f"models.{name}", None)
    edit("training", TRAINING)
    return study_dir


def trained(folder, file="study.yaml", out="trained"):
    return train(load_study(folder / file), folder / out, Bars(None))


def states(folder):
    return {step: load_file(path) for _, step, path in checkpoint_series(folder, "here")}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(value, b[name]) for name, value in a.items())


def test_from_a_study_file_to_findings(to_train):
    got = bequeath(to_train, "train", "study.yaml", "--out", "trained")
    assert got.returncode == 0, got.stderr
    assert "bequeath run" in got.stdout
    for seed in (0, 1):
        folder = to_train / f"trained/seed-{seed}"
        for name in ("finetuned", "scratch"):
            assert list(states(folder / name)) == [1, 2, 5, 11, 24]
        findings = Study.from_yaml(folder / "study.yaml").run(to_train / f"runs/{seed}").findings
        assert findings["study"]["name"] == f"colours, seed {seed}"
        assert findings["models"]["finetuned"]["accuracy"]["mean"] > 0.6
        assert [row["step"] for row in findings["models"]["scratch"]["checkpoints"]] == [1, 2, 5, 11, 24]
    ids = [[s["id"] for s in findings_of(to_train / f"runs/{seed}")["samples"]] for seed in (0, 1)]
    assert ids[0] == ids[1]  # seeds of training are compared on the same samples


def test_seeds_differ_and_the_backbone_is_the_pre_trained_one(to_train, edit):
    edit("training.first_checkpoint", 0)
    edit("training.seeds", [1, 2])  # 0 is that of the pre-trained model
    trained(to_train)
    start_of = {
        (seed, name): states(to_train / f"trained/seed-{seed}/{name}")[0]
        for seed in (1, 2)
        for name in ("finetuned", "scratch")
    }
    backbone = load_file(to_train / "models/pretrained.safetensors")
    for seed in (1, 2):
        assert torch.equal(start_of[seed, "finetuned"]["0.weight"], backbone["0.weight"])
        assert not torch.equal(start_of[seed, "scratch"]["0.weight"], backbone["0.weight"])
    for name, key in (("finetuned", "5.weight"), ("scratch", "0.weight")):
        assert not torch.equal(start_of[1, name][key], start_of[2, name][key])


def test_training_starts_from_the_set_of_weights_that_is_chosen(to_train, edit):
    edit("training.first_checkpoint", 0)
    edit("training.seeds", [0])
    edit("training.steps", 1)
    raw = load_file(to_train / "models/pretrained.safetensors")
    ema = {name: value * 2 for name, value in raw.items()}
    torch.save({"model": raw, "model_ema": ema}, to_train / "models/both.pt")
    edit("models.pretrained.weights", "models/both.pt")
    for key, wanted in (("model", raw), ("model_ema", ema)):
        edit("models.pretrained.weights_key", key)
        trained(to_train, out=key)
        start_of = states(to_train / f"{key}/seed-0/finetuned")[0]
        assert torch.equal(start_of["0.weight"], wanted["0.weight"])
        written = load_study(to_train / f"{key}/seed-0/study.yaml").models
        assert written["pretrained"].weights_key == key
        # The folder's data may not say it: the architecture is a function of the user's own.
        assert written["finetuned"].architecture == "tiny_net_for_study:build"


def test_a_killed_training_goes_on_to_the_same_weights(to_train, edit):
    edit("training.steps", 200)
    trained(to_train, out="whole")
    process = start(to_train, "train", "study.yaml", "--out", "killed")
    place = to_train / "killed/seed-0/scratch"
    wait_until(lambda: len(list(place.glob("step-*.safetensors"))) >= 4)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = to_train / "killed/seed-0/finetuned/step-000200.safetensors"
    before = done.stat().st_mtime_ns
    assert not (to_train / "killed/seed-1").exists()
    assert bequeath(to_train, "train", "study.yaml", "--out", "killed").returncode == 0
    assert done.stat().st_mtime_ns == before  # what is finished is not trained again
    for seed in (0, 1):
        for name in ("finetuned", "scratch"):
            whole, killed = (states(to_train / f"{out}/seed-{seed}/{name}") for out in ("whole", "killed"))
            assert whole.keys() == killed.keys()
            assert all(same(whole[step], killed[step]) for step in whole)


@pytest.mark.parametrize(
    ("part", "fixed"),
    [({"freeze": "2"}, ("0.", "1.")), ({"head_only": True}, ("0.", "1.")), ({}, ())],
)
def test_parts_of_the_fine_tuned_model(to_train, edit, part, fixed):
    edit("training.finetuned", {"learning_rate": 0.01, **part})
    edit("training.seeds", [0])
    trained(to_train)
    backbone = load_file(to_train / "models/pretrained.safetensors")
    end = states(to_train / "trained/seed-0/finetuned")[24]
    for name, value in backbone.items():
        # BatchNorm in front of what is trained takes its own statistics, unless it is frozen.
        if not name.startswith("5.") and "num_batches" not in name:
            frozen = torch.equal(value, end[name])
            assert frozen == name.startswith(fixed), name


def test_other_settings_in_the_same_folder_are_refused_and_more_seeds_are_not(to_train, edit):
    edit("training.seeds", [0])
    trained(to_train)
    edit("training.seeds", [0, 5])
    assert [file.parent.name for file in trained(to_train)] == ["seed-0", "seed-5"]
    edit("training.batch_size", 4)
    with pytest.raises(
        bq.BequeathError, match=r"training\.yaml: this folder holds models trained with other settings"
    ):
        trained(to_train)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("training", None, "training: missing in the study file"),
        ("training.epochs", 3, r"study\.yaml:\d+: training: give either steps or epochs"),
        ("training.scratch.lora", {"targets": ["5"]}, r"scratch\.lora: adapters need a pre-trained base"),
        ("training.finetuned.freeze", "nowhere", r"freeze: no layer 'nowhere'"),
        ("training.samples", 1000, r"samples: 1000 asked"),
        ("training.seeds", [1, 1], r"seeds: \[1, 1\] has an entry twice"),
        ("training.finetuned.learning_rate", 0, r"training\.finetuned\.learning_rate: .*greater than 0"),
        ("training.optimiser", "sgd", r"training\.optimiser: unknown key"),
        ("training.disturbed", ["shuffled"], r"disturbed: shuffled needs a pretraining section"),
        ("training.disturbed", ["late", "late"], r"disturbed: \['late', 'late'\] has an entry twice"),
        ("training.disturbed", ["nowhere"], r"training\.disturbed\.0: "),
        ("training.disturbed", ["late"], r"disturbed: Sequential has 2 layers below its head; 3 are needed"),
        ("models.pretrained.weights", None, r"models\.pretrained: probe: needs weights"),
    ],
)
def test_bad_settings_are_named(to_train, edit, path, value, message):
    if path == "training":
        edit("models.finetuned", {"architecture": "x:y"})
        edit("models.scratch", {"architecture": "x:y"})
    edit(path, value)
    with pytest.raises(bq.BequeathError, match=message):
        trained(to_train)


def test_a_study_that_is_to_be_trained_cannot_be_run_before(to_train):
    with pytest.raises(bq.BequeathError, match=r"models\.finetuned: not trained yet; first bequeath train"):
        Study.from_yaml(to_train / "study.yaml").run(to_train / "out")


DISTURBED = ["early", "middle", "late", "frozen", "shuffled"]


@pytest.fixture
def to_pretrain(to_train, edit):
    """Pre-trained here, and so little fine-tuned that ends are starts."""
    (to_train / "deeper_net.py").write_text(DEEPER)
    edit("models.pretrained", {"architecture": "deeper_net:build", "probe": True})
    pretraining = {
        "data": {"kind": "image_folder", "path": "val", "train": "train", "size": 24},
        "steps": 30,
        "learning_rate": 0.01,
        "batch_size": 8,
    }
    still = {"learning_rate": 1e-12, "weight_decay": 0}
    training = {"steps": 3, "seeds": [0], "pretraining": pretraining, "disturbed": DISTURBED}
    edit("training", {**training, "finetuned": still, "scratch": {"learning_rate": 0.01}})
    return to_train


def test_pre_training_here_and_disturbed_starts(to_pretrain):
    files = trained(to_pretrain)
    assert [file.name for file in files] == ["study.yaml", *(f"disturbed-{name}.yaml" for name in DISTURBED)]
    out = to_pretrain / "trained"
    source = {name: states(out / name) for name in ("pretrained", "pretrained-shuffled")}
    assert all(list(found) == [30] for found in source.values())  # only the end is kept
    given, noise = (found[30] for found in source.values())
    assert not torch.allclose(given["0.weight"], noise["0.weight"], atol=1e-3)
    ends = {name: states(out / f"seed-0/disturbed-{name}")[3] for name in DISTURBED}
    layers = {"early": "0", "middle": "2", "late": "4"}
    for name, end in ends.items():
        start = noise if name == "shuffled" else given
        for layer in ("0", "2", "4"):
            kept = torch.allclose(end[f"{layer}.weight"], start[f"{layer}.weight"], atol=1e-6)
            assert kept == (layers.get(name) != layer), (name, layer)
    finetuned = states(out / "seed-0/finetuned")[3]
    assert torch.allclose(finetuned["4.weight"], given["4.weight"], atol=1e-6)


def test_data_of_the_pre_training_that_are_not_there_are_named_at_once(to_pretrain, edit):
    edit("training.pretraining.data.train", "nowhere")
    with pytest.raises(
        bq.BequeathError, match=r"study\.yaml:\d+: training\.pretraining\.data\.train: no such file"
    ) as error:
        load_study(to_pretrain / "study.yaml")
    line = int(str(error.value).split("study.yaml:")[1].split(":")[0])
    assert "nowhere" in (to_pretrain / "study.yaml").read_text().splitlines()[line - 1]


def test_runs_with_disturbed_starts_take_over_what_they_share(to_pretrain, without_report):
    main, early, *_ = trained(to_pretrain)
    whole = Study.from_yaml(main).run(to_pretrain / "main")
    begun = {}
    listen = [lambda stage: begun.setdefault(stage.name, (stage.done, stage.total))]
    Study.from_yaml(early).run(to_pretrain / "like", like=to_pretrain / "main", listeners=listen)
    Study.from_yaml(early).run(to_pretrain / "alone")
    # Tables and interactions of the pre-trained and of the last scratch model are there.
    assert begun["value tables"] == (12, 18)
    assert begun["interactions"] == (12, 18)
    assert findings_of(to_pretrain / "like") == findings_of(to_pretrain / "alone")
    assert whole.findings["models"]["pretrained"]["accuracy"]["mean"] > 1 / 3
    assert next(iter((to_pretrain / "like").glob("probe-*.npz"))).name in {
        file.name for file in (to_pretrain / "main").iterdir()
    }


def test_more_disturbances_are_only_more_runs_and_finished_ones_are_left(to_pretrain, edit):
    edit("training.disturbed", ["late"])
    trained(to_pretrain)
    before = (to_pretrain / "trained/seed-0/disturbed-late/step-000003.safetensors").stat().st_mtime_ns
    edit("training.disturbed", ["late", "frozen"])
    assert len(trained(to_pretrain)) == 3
    after = (to_pretrain / "trained/seed-0/disturbed-late/step-000003.safetensors").stat().st_mtime_ns
    assert after == before


def test_a_small_form_takes_the_place_of_sections(to_train, edit):
    edit("small", {"samples": 3, "training": {**TRAINING, "steps": 2, "seeds": [4]}})
    large, small = (load_study(to_train / "study.yaml", small=small) for small in (False, True))
    assert (large.samples, large.training.steps, large.training.seeds) == (6, 24, [0, 1])
    assert (small.samples, small.training.steps, small.training.seeds) == (3, 2, [4])
    assert small.players == large.players
    edit("small.training.steps", 0)
    with pytest.raises(bq.BequeathError, match=r"study\.yaml:\d+: training\.steps: ") as error:
        load_study(to_train / "study.yaml", small=True)
    line = int(str(error.value).split("study.yaml:")[1].split(":")[0])
    assert (to_train / "study.yaml").read_text().splitlines()[line - 1].strip() == "steps: 0"
    edit("small", None)
    with pytest.raises(bq.BequeathError, match="the study has no small form"):
        load_study(to_train / "study.yaml", small=True)


def test_epochs_and_a_part_of_the_data(to_train, edit):
    edit("training", {**TRAINING, "steps": 5, "epochs": 3, "samples": 16, "seeds": [0]})
    edit("training.steps", None)
    trained(to_train)
    assert list(states(to_train / "trained/seed-0/scratch"))[-1] == 6


@pytest.mark.parametrize("lora", [False, True])
def test_texts_by_the_trainer_also_as_adapters(tmp_path, lora, capfd):
    make_project(tmp_path)
    finetuned = {"learning_rate": 0.01}
    if lora:
        finetuned["lora"] = {"targets": ["query", "value"], "rank": 4}
    study = {
        "models": {
            "pretrained": {"architecture": "transformers:encoder", "weights": "encoder", "probe": True}
        },
        "data": DATA,
        "players": {"kind": "words", "n": 4},
        "baseline": "mask_token",
        "samples": 4,
        "training": {
            "epochs": 20,
            "batch_size": 16,
            "checkpoints": 4,
            "finetuned": finetuned,
            "scratch": {"learning_rate": 0.01},
        },
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    capfd.readouterr()
    (file,) = trained(tmp_path)
    assert "Writing" not in capfd.readouterr().err  # bars are ours alone
    series = checkpoint_series(tmp_path / "trained/seed-0/finetuned", "here")
    assert [step for _, step, _ in series][-1] == 120
    assert all(path.is_dir() == lora for _, _, path in series)
    findings = Study.from_yaml(file).run(tmp_path / "out").findings
    assert findings["models"]["scratch"]["accuracy"]["mean"] > 0.8
    # Adapters of so small an encoder, which has learned nothing before, do not get far.
    assert lora or findings["models"]["finetuned"]["accuracy"]["mean"] > 0.8


def test_settings_of_a_start_that_failed_bind_nobody(to_train, edit):
    edit("training.samples", 10_000)
    with pytest.raises(bq.BequeathError, match="samples: 10000 asked for, but"):
        trained(to_train)
    edit("training.samples", 12)
    edit("training.seeds", [0])
    assert [path.name for path in trained(to_train)] == ["study.yaml"]
    edit("training.samples", 9)
    with pytest.raises(bq.BequeathError, match="this folder holds models trained with other settings"):
        trained(to_train)
