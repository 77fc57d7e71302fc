"""The callback in real Trainer runs: whole, killed and gone on with, with adapters, into a study."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tiny_text import make_project
from transformers import AutoTokenizer, BertForSequenceClassification

import bequeath as bq
from bequeath.models import checkpoint_series, load_adapter, load_model
from bequeath.study.run import Study

DOC = Path(__file__).parents[2] / "docs/own-training.md"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    make_project(tmp_path)
    return tmp_path


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", DOC.read_text(), re.DOTALL)


def test_the_page_turns_a_trainer_script_into_a_finding(project):
    script, study = blocks("python")[0], blocks("yaml")[0]
    added = [line for line in script.splitlines() if line.endswith("# added")]
    assert 1 <= len(added) + len(study.strip().splitlines()) + 1 < 15
    # It is a script without them, too.
    compile("\n".join(line for line in script.splitlines() if line not in added), "script", "exec")
    Path("train.py").write_text(script)
    Path("study.yaml").write_text(study)
    got = subprocess.run([sys.executable, "train.py"], capture_output=True, text=True)
    assert got.returncode == 0, got.stderr
    for name in ("finetuned", "scratch"):
        steps = [step for _, step, _ in checkpoint_series(f"runs/{name}", "here")]
        assert steps[0] == 1
        assert steps[-1] == 36
        assert 5 <= len(steps) <= 7
    findings = Study.from_yaml("study.yaml").run("runs/found").findings
    assert findings["study"]["n_players"] == 6
    assert [row["step"] for row in findings["models"]["scratch"]["checkpoints"]][-1] == 36
    assert findings["dynamics"] is not None


TRAIN = """
import sys, time, torch
from datasets import load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainerCallback, TrainingArguments
from bequeath.training import TransformersCheckpoints

tokenizer = AutoTokenizer.from_pretrained("encoder")
data = load_dataset("csv", data_files="train.tsv", delimiter="\\t", split="train")
data = data.map(lambda rows: tokenizer(rows["sentence"], truncation=True), batched=True)

class Slow(TrainerCallback):
    def on_step_end(self, *_, **__):
        time.sleep({slow})

model = AutoModelForSequenceClassification.from_pretrained("encoder", num_labels=2)
arguments = TrainingArguments(
    "trainer", max_steps=40, save_steps=8, seed=3, report_to="none", disable_tqdm=True, logging_steps=5
)
trainer = Trainer(model, arguments, train_dataset=data, processing_class=tokenizer, callbacks=[Slow()])
TransformersCheckpoints("runs/{name}", count=12).attach(trainer)
trainer.train(resume_from_checkpoint={resume})
"""


def test_a_killed_run_that_goes_on_ends_with_the_same_checkpoints(project):
    def start(name, resume=False, slow=0.0):
        Path(f"{name}.py").write_text(TRAIN.format(name=name, resume=resume, slow=slow))
        return subprocess.Popen([sys.executable, f"{name}.py"], stderr=subprocess.PIPE, text=True)

    whole = start("whole")
    assert whole.wait(120) == 0, whole.stderr.read()
    subprocess.run(["rm", "-r", "trainer"], check=True)
    killed = start("killed", slow=0.2)
    deadline = time.monotonic() + 120
    # Beyond the Trainer's checkpoint at 16, and at one of ours that it will pass again.
    while not any(Path("runs/killed").glob("step-000020*")) and killed.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert {"checkpoint-8", "checkpoint-16"} <= set(os.listdir("trainer"))
    gone_on = start("killed", resume=True)
    assert gone_on.wait(120) == 0, gone_on.stderr.read()
    series = [checkpoint_series(f"runs/{name}", "here") for name in ("whole", "killed")]
    assert [step for _, step, _ in series[0]] == [step for _, step, _ in series[1]]
    assert [step for _, step, _ in series[0]][-1] == 40
    for (_, _, first), (_, _, second) in zip(*series, strict=True):
        a, b = load_file(first), load_file(second)
        for name, value in a.items():
            torch.testing.assert_close(value, b[name], rtol=0, atol=1e-6)
    with safe_open(series[1][-1][2], "pt") as file:
        metadata = file.metadata()
    assert metadata["seed"] == "3"
    assert float(metadata["epoch"]) == pytest.approx(40 / 12, abs=0.01)
    assert json.loads(metadata["metrics"])["loss"] > 0


def trainer_of(model, tokenizer, **arguments):
    from transformers import Trainer, TrainingArguments

    sentences = [line.split("\t") for line in Path("train.tsv").read_text().splitlines()[1:]]
    data = [{**tokenizer(text), "label": int(label)} for text, label in sentences]
    settings = TrainingArguments(
        "trainer", save_strategy="no", report_to="none", disable_tqdm=True, **arguments
    )
    return Trainer(model, settings, train_dataset=data, processing_class=tokenizer)


def test_of_an_adapter_only_what_is_trained_is_saved(project):
    from peft import LoraConfig, get_peft_model

    from bequeath.study.config import ModelConfig
    from bequeath.training import TransformersCheckpoints

    tokenizer = AutoTokenizer.from_pretrained("encoder")
    base = BertForSequenceClassification.from_pretrained("encoder", num_labels=2)
    model = get_peft_model(base, LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value"]))
    trainer = trainer_of(model, tokenizer, num_train_epochs=2, learning_rate=0.05)
    TransformersCheckpoints("runs/lora", count=3).attach(trainer)
    trainer.train()
    series = checkpoint_series("runs/lora", "here")
    assert [step for _, step, _ in series] == [1, 5, 24]
    state = load_file(series[-1][2] / "adapter_model.safetensors")
    assert all("lora" in name or "classifier" in name for name in state)
    size = sum(value.numel() for value in state.values())
    assert size < 0.1 * sum(p.numel() for p in base.parameters())
    config = ModelConfig.model_validate("runs/lora")
    assert config.base == str(project / "encoder")
    loaded = load_model(config.architecture, config.base, 2, "text", new_head=True)
    back = load_adapter(loaded, series[-1][2])
    tokens = tokenizer(["the film is funny", "a dull story"], return_tensors="pt", padding=True)
    model.eval()
    torch.testing.assert_close(back(**tokens).logits, model(**tokens).logits)


def test_live_measures_reach_the_trainers_log_and_early_ends_are_saved(project):
    from transformers import TrainerCallback

    from bequeath.training import Live, TransformersCheckpoints

    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            control.should_training_stop = state.global_step == 7

    tokenizer = AutoTokenizer.from_pretrained("encoder")
    model = BertForSequenceClassification.from_pretrained("encoder", num_labels=2)
    live = Live(
        ["the film is a funny story", "a dull and grim film is"],
        [1, 0],
        bq.players.words(tokenizer, 3),
        bq.baselines.mask_token(),
    )
    trainer = trainer_of(model, tokenizer, max_steps=30)
    trainer.add_callback(Stop())
    TransformersCheckpoints("runs/live", count=4, live=live).attach(trainer)
    trainer.train()
    measured = [entry for entry in trainer.state.log_history if "bequeath/strength" in entry]
    assert [entry["step"] for entry in measured] == [1, 3, 7]
    assert "bequeath/similarity_to_last" in measured[-1]
    assert [step for _, step, _ in checkpoint_series("runs/live", "here")] == [1, 3, 7]


def test_a_folder_in_use_is_refused_before_training(project):
    from bequeath.training import TransformersCheckpoints

    tokenizer = AutoTokenizer.from_pretrained("encoder")
    for turn in range(2):
        model = BertForSequenceClassification.from_pretrained("encoder", num_labels=2)
        trainer = trainer_of(model, tokenizer, max_steps=2)
        TransformersCheckpoints("runs/twice").attach(trainer)
        if turn:
            with pytest.raises(bq.BequeathError, match="holds checkpoints of another run"):
                trainer.train()
            assert trainer.state.global_step == 0
        else:
            trainer.train()
