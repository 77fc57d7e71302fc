"""Checkpoints that training libraries write themselves: the model that comes back is the one that they load."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_models import TinyNet
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchvision_shim import ensure_torchvision

from bequeath.errors import BequeathError
from bequeath.games.inputs import Inputs, logits
from bequeath.models import checkpoint_series, load_adapter, load_model, load_weights

SMALL = {"layers": (1, 1, 1, 1), "channels": (8, 8, 8, 8), "stem_width": 8}


def outputs(model: nn.Module, x: Inputs) -> Tensor:
    with torch.inference_mode():
        return logits(model.eval(), x)


def trained(model: nn.Module, images: Tensor, average: Any, steps: int = 3) -> torch.optim.Optimizer:
    """A few steps; `average` is called after each."""
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for step in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model.train()(images), torch.arange(len(images)) % 3).backward()
        optimizer.step()
        average(step)
    return optimizer


@pytest.fixture
def timm() -> ModuleType:
    ensure_torchvision()
    return pytest.importorskip("timm", reason="timm is not installed")


@pytest.mark.parametrize("averaged", [True, False])
def test_timms_saver(timm: ModuleType, tmp_path: Path, averaged: bool) -> None:
    from timm.utils import CheckpointSaver, ModelEmaV3

    torch.manual_seed(0)
    model = timm.create_model("resnet18", num_classes=3, **SMALL)
    images = torch.randn(4, 3, 32, 32)
    ema = ModelEmaV3(model, decay=0.5) if averaged else None
    optimizer = trained(model, images, lambda step: ema and ema.update(model, step))
    saver = CheckpointSaver(
        model,
        optimizer,
        args=argparse.Namespace(model="resnet18", lr=0.1, opt_betas=(0.9, 0.99)),
        model_ema=ema,
        checkpoint_dir=str(tmp_path),
        recovery_dir=str(tmp_path),
    )
    saver.save_checkpoint(epoch=2, metric=71.5)
    file = tmp_path / "last.pth.tar"
    theirs = timm.create_model("resnet18", num_classes=3, **SMALL)
    timm.models.load_checkpoint(theirs, str(file))
    if not averaged:
        ours = load_model("timm:resnet18", file, 3, "image", **SMALL)
    else:
        with pytest.warns(
            UserWarning, match="'state_dict_ema' is taken .the average over training, as timm does.*"
        ):
            ours = load_model("timm:resnet18", file, 3, "image", **SMALL)
        raw = load_model("timm:resnet18", file, 3, "image", weights_key="state_dict", **SMALL)
        assert torch.equal(outputs(raw, images), outputs(model, images))
        assert not torch.equal(outputs(raw, images), outputs(ours, images))
    assert torch.equal(outputs(ours, images), outputs(theirs, images))


def test_lightning_with_its_own_average(tmp_path: Path, images: Tensor) -> None:
    lightning: Any = pytest.importorskip("lightning", reason="lightning is not installed")
    from lightning.pytorch.callbacks import WeightAveraging

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = TinyNet()
            self.loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]))

        def training_step(self, batch: Any, _: int) -> Tensor:
            return self.loss(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), 0.05)

    torch.manual_seed(0)
    module, data = Module(), torch.utils.data.TensorDataset(images, torch.arange(5) % 3)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    fit = lightning.Trainer(
        max_steps=4, accelerator="cpu", callbacks=[WeightAveraging()], default_root_dir=tmp_path, **quiet
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit.fit(module, torch.utils.data.DataLoader(data, batch_size=5))
    (file,) = tmp_path.rglob("*.ckpt")
    theirs = Module.load_from_checkpoint(file)
    with pytest.warns(UserWarning, match="weights") as told:
        ours = load_weights(TinyNet(), file)
    assert torch.equal(outputs(ours, images), outputs(theirs.net, images))
    said = " ".join(str(one.message) for one in told)
    assert "'state_dict' is taken (as Lightning does), not 'current_model_state'" in said
    assert "left out, since they are not the model's: loss.weight" in said
    raw = load_weights(TinyNet(), file, weights_key="current_model_state")
    assert not torch.equal(outputs(raw, images), outputs(ours, images))
    ((_, step, _),) = checkpoint_series([file], "here")
    assert step == 4


def test_the_trainer_with_peft(transformers: ModuleType, tmp_path: Path) -> None:
    peft: Any = pytest.importorskip("peft", reason="peft is not installed")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        num_labels=2,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path / "base")
    base = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "base")
    lora = peft.LoraConfig(task_type="SEQ_CLS", target_modules=["query"], r=2, init_lora_weights=False)
    model = peft.get_peft_model(base, lora)
    rows = [{"input_ids": [2, 5 + k, 7, 3], "attention_mask": [1] * 4, "labels": k % 2} for k in range(8)]
    settings = transformers.TrainingArguments(
        str(tmp_path / "out"), max_steps=2, save_steps=2, use_cpu=True, disable_tqdm=True, report_to=[]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers.Trainer(model, settings, train_dataset=rows).train()
    ((_, step, folder),) = checkpoint_series(tmp_path / "out/checkpoint-*", "here")
    assert step == 2
    again = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "base")
    theirs = peft.PeftModel.from_pretrained(again, str(folder))
    ours = load_adapter(load_model(f"transformers:{tmp_path / 'base'}", tmp_path / "base", 2, "text"), folder)
    tokens = {"input_ids": torch.tensor([[2, 9, 8, 3]]), "attention_mask": torch.ones(1, 4, dtype=torch.long)}
    assert torch.allclose(outputs(ours, tokens), outputs(theirs, tokens), atol=1e-6)
    with pytest.raises(BequeathError, match="is a PEFT adapter, not a whole model"):
        load_model(f"transformers:{tmp_path / 'base'}", folder, 2, "text")
    # A PEFT model's whole state dict, as a loop of one's own saves it.
    torch.save(model.state_dict(), tmp_path / "whole.pt")
    with pytest.raises(BequeathError, match=r"it holds a PEFT adapter: give .* or save model\.merge"):
        load_model(f"transformers:{tmp_path / 'base'}", tmp_path / "whole.pt", 2, "text")
    save_file(model.merge_and_unload().state_dict(), tmp_path / "merged.safetensors")
    merged = load_model(f"transformers:{tmp_path / 'base'}", tmp_path / "merged.safetensors", 2, "text")
    assert torch.allclose(outputs(merged, tokens), outputs(theirs, tokens), atol=1e-6)


def test_a_plain_loop_with_data_parallelism_and_an_average(tmp_path: Path, images: Tensor) -> None:
    torch.manual_seed(0)
    net = TinyNet()
    # DDP's own names are those of DataParallel, which needs no process group.
    model = nn.DataParallel(torch.compile(net, backend="eager"))  # type: ignore[arg-type]
    ema = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=True)
    optimizer = trained(net, images, lambda step: ema.update_parameters(net))
    content = {
        "epoch": 3,
        "best": np.float32(0.5),
        "args": argparse.Namespace(lr=0.1, out=Path("runs")),
        "model": model.state_dict(),
        "model_ema": ema.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
    }
    torch.save(content, tmp_path / "w.pt")
    with pytest.warns(UserWarning, match="'model_ema' is taken"):
        ours = load_weights(TinyNet(), tmp_path / "w.pt")
    assert torch.equal(outputs(ours, images), outputs(ema.module, images))
    raw = load_weights(TinyNet(), tmp_path / "w.pt", weights_key="model")
    assert torch.equal(outputs(raw, images), outputs(net, images))
    assert not torch.equal(outputs(raw, images), outputs(ours, images))
