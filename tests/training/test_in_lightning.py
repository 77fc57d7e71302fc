"""The callback in real Lightning runs: whole, stopped and gone on with, into a study file."""

import csv
import time

import lightning
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import bequeath as bq
from bequeath.models import checkpoint_series, load_model, mlp
from bequeath.study.config import ModelConfig
from bequeath.training import LightningCheckpoints, Live
from bequeath.training.snapshots import Snapshot

pytestmark = pytest.mark.filterwarnings("ignore")


class Classifier(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = mlp(2, num_features=4, widths=(6,))

    def training_step(self, batch, index):
        x, y = batch
        loss = nn.functional.cross_entropy(self.model(x), y)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)


def loader():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 4, generator=generator)
    return DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=8)


def fit(folder, callback, resume=None, **settings):
    lightning.seed_everything(1, verbose=False)
    module = Classifier()
    trainer = lightning.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback, *settings.pop("callbacks", [])],
        **{"logger": False, "enable_checkpointing": False, **settings},
    )
    trainer.fit(module, loader(), ckpt_path=resume)
    return module


def keep(folder, **settings):
    return LightningCheckpoints(
        folder,
        module="model",
        architecture="bequeath:mlp",
        options={"num_features": 4, "widths": [6]},
        **settings,
    )


def steps(folder):
    return [step for _, step, _ in checkpoint_series(folder, "here")]


def test_a_run_by_steps_and_one_by_epochs(tmp_path):
    module = fit(tmp_path, keep(tmp_path / "steps", count=3), max_epochs=4)
    assert steps(tmp_path / "steps") == [1, 6, 32]
    state = load_file(tmp_path / "steps/step-000032.safetensors")
    assert all(torch.equal(value, state[name]) for name, value in module.model.state_dict().items())
    fit(tmp_path, keep(tmp_path / "epochs", count=2, first=0, by="epoch"), max_epochs=4)
    assert steps(tmp_path / "epochs") == [0, 8, 32]
    config = ModelConfig.model_validate(str(tmp_path / "epochs"))
    back = load_model(
        config.architecture, tmp_path / "epochs/step-000032.safetensors", 2, "table", **config.options
    )
    x = torch.randn(5, 4)
    assert torch.equal(back(x), module.model.eval()(x))  # the same seed


def test_gradients_over_several_batches_are_one_step(tmp_path):
    fit(tmp_path, keep(tmp_path / "run", count=30), max_epochs=3, accumulate_grad_batches=4)
    assert steps(tmp_path / "run") == [1, 2, 3, 4, 5, 6]


def test_the_whole_module_is_saved_where_none_is_named(tmp_path):
    fit(tmp_path, LightningCheckpoints(tmp_path / "run", count=2), max_epochs=1)
    assert all(name.startswith("model.") for name in load_file(tmp_path / "run/step-000008.safetensors"))
    # The prefix is taken off when it is loaded.
    load_model(
        "bequeath:mlp", tmp_path / "run/step-000008.safetensors", 2, "table", num_features=4, widths=[6]
    )
    with pytest.raises(ValueError, match="architecture"):
        ModelConfig.model_validate(str(tmp_path / "run"))


@pytest.fixture
def slow_disk(monkeypatch):
    """One that takes longer to write a checkpoint than the tiny runs take for many steps."""
    write = Snapshot.write
    monkeypatch.setattr(Snapshot, "write", lambda *args: (time.sleep(0.2), write(*args)))


class _Break(lightning.Callback):
    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 21:
            raise RuntimeError("pulled the plug")


def test_a_run_that_broke_off_goes_on_to_the_same_checkpoints(tmp_path, slow_disk):
    fit(tmp_path, keep(tmp_path / "whole", count=12), max_epochs=5)
    own = lightning.pytorch.callbacks.ModelCheckpoint(tmp_path / "own", save_last=True, every_n_train_steps=8)
    with pytest.raises(RuntimeError, match="pulled the plug"):
        fit(
            tmp_path,
            keep(tmp_path / "broken", count=12),
            max_epochs=5,
            enable_checkpointing=True,
            callbacks=[own, _Break()],
        )
    assert steps(tmp_path / "broken")[-1] == 20
    fit(tmp_path, keep(tmp_path / "broken", count=12), resume=tmp_path / "own/last.ckpt", max_epochs=5)
    assert steps(tmp_path / "broken") == steps(tmp_path / "whole")
    for (_, _, first), (_, _, second) in zip(
        *(checkpoint_series(tmp_path / name, "here") for name in ("whole", "broken")), strict=True
    ):
        a, b = load_file(first), load_file(second)
        assert all(torch.equal(value, b[name]) for name, value in a.items())


def test_live_measures_reach_the_logger(tmp_path):
    live = Live([torch.ones(4), -torch.ones(4)], [1, 0], bq.players.columns("abcd"), bq.baselines.zero())
    logger = lightning.pytorch.loggers.CSVLogger(tmp_path, name="log")
    fit(tmp_path, keep(tmp_path / "run", count=3, live=live), max_epochs=4, logger=logger)
    logger.save()
    with open(f"{logger.log_dir}/metrics.csv") as file:
        rows = [row for row in csv.DictReader(file) if row.get("bequeath/strength")]
    assert [int(row["step"]) for row in rows] == [1, 6, 32]
    assert float(rows[-1]["bequeath/value"]) > float(rows[0]["bequeath/value"])
